"""Tables, and on what they were made."""

import argparse
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "h5py",
    "imagecodecs",
    "numpy",
    "obstore",
    "polars",
    "pystac-client",
    "rasterio",
    "tensorstore",
    "tifffile",
    "async-geotiff",
    "odc-stac",
    "pandas",
)
Row = Sequence[object]


def table(title: str, columns: Sequence[str], rows: Iterable[Row]) -> str:
    """A Markdown table under a title in bold; numbers are shown to three digits."""
    lines = [f"**{title}**", "", "| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def shown(cell: object) -> str:
    """A cell: numbers to three digits, nothing for None."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def met(reached: bool) -> str:
    """What a table says of a goal."""
    return "met" if reached else "missed"


def machine() -> str:
    """Processor, cores, memory, system and the versions of what was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB of memory; Linux, Python"
        f" {platform.python_version()}; {versions}, GDAL {_gdal()}, HDF5 {_hdf5()}."
    )


def is_installed(module: str) -> bool:
    """Whether a peer, which the project itself does not need, can be measured."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def main(benchmark: Callable[[float], list[str]], description: str | None) -> None:
    """The command line of one benchmark: print its tables."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the work; 0.1 is a quick try")
    print("\n\n".join([machine(), *benchmark(parser.parse_args().scale)]))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _gdal() -> str:
    import rasterio

    return str(rasterio.__gdal_version__)


def _hdf5() -> str:
    import h5py

    return str(h5py.version.hdf5_version)
