"""Names of bands of a time series as one raster: all bands of the first step, then all of the next."""

import re
from collections.abc import Sequence

_NAME = re.compile(r"(?P<band>.+)_t(?P<step>\d{2,})")


def step_bands(bands: Sequence[str], steps: int) -> tuple[str, ...]:
    """Return the names of the bands of a series, such as `B04_t01`; of one step they are those of the bands.

    Args:
        bands: of each step.
        steps: number of them.
    """
    if steps == 1:
        return tuple(bands)
    return tuple(f"{band}_t{step:02d}" for step in range(1, steps + 1) for band in bands)


def split_steps(names: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return the bands of each step and the number of steps of a raster; one step where it is no series.

    Args:
        names: of the bands of the raster; a series has those that `step_bands` makes.
    """
    found = [_NAME.fullmatch(name) for name in names]
    bands = tuple(match["band"] for match in found if match and int(match["step"]) == 1)
    steps = len(names) // len(bands) if bands else 1
    return (bands, steps) if steps > 1 and step_bands(bands, steps) == tuple(names) else (tuple(names), 1)


def bare_band(name: str) -> str:
    """Return the name of a band without that of its step."""
    match = _NAME.fullmatch(name)
    return match["band"] if match else name
