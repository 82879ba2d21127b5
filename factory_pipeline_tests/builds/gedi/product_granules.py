"""Small granules of several products for a test, and their join as h5py, numpy and a dictionary make it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline_tests.builds.gedi.factories import write_granule

ORBIT = "O06515_02_T00198"
FIRST = 65150500200000001
"""A shot number that no float64 holds: the odd numbers around it are rounded."""
SPELLINGS = {
    "002": {},
    "003": {
        "L2A": {"quality_flag": "l2a_quality_flag_rel3"},
        "L2B": {
            "geolocation/lat_lowestmode": "lat_lowestmode",
            "geolocation/lon_lowestmode": "lon_lowestmode",
            "l2b_quality_flag": "l2b_quality_flag_rel3",
            "algorithmrun_flag": "l2_algrunflag",
        },
        "L4A": {"l4_quality_flag": "l4a_quality_flag_rel3", "l2_quality_flag": "l2a_quality_flag_rel3"},
        "L4C": {"wsci_quality_flag": "l4c_quality_flag_rel3"},
    },
}
"""By version and product: a field's name in version 2, and the name there."""
PREFIXES = {"L2A": "GEDI02_A", "L2B": "GEDI02_B", "L4A": "GEDI04_A", "L4C": "GEDI04_C"}


def name_of(product: str, orbit: str = ORBIT, version: str = "002", production: str = "01") -> str:
    return f"{PREFIXES[product]}_2020036151358_{orbit}_02_003_{production}_V{version}.h5"


def fields_of(product: str, shots: Iterable[int]) -> dict[str, Any]:
    """Fields of a beam of a product, each a function of the shot number; rh rises from -1 to a height."""
    numbers = np.array(list(shots), dtype=np.uint64)
    step = (numbers % np.uint64(1000)).astype(np.float64)
    ones = np.ones(len(numbers), np.uint8)
    place = {"lat_lowestmode": 36 + step * 0.0005, "lon_lowestmode": 51 + step * 0.0005}
    common = {"shot_number": numbers, "delta_time": 65_000_000 + step * 0.00826}
    height = (5 + step).astype(np.float32)
    own: dict[str, Any] = {
        "L2A": {
            **place,
            "quality_flag": ones,
            "degrade_flag": 0 * ones,
            "sensitivity": (0.9 + step / 1000).astype(np.float32),
            "rh": np.linspace(-1, height, 101, dtype=np.float32, axis=1),
            **{f"geolocation/elev_lowestmode_a{n}": height + n / 10 for n in range(1, 7)},
        },
        "L2B": {
            **{f"geolocation/{name}": values for name, values in place.items()},
            "l2b_quality_flag": ones,
            "algorithmrun_flag": ones,
            "cover": (step / 1000).astype(np.float32),
            "pai": (step / 100).astype(np.float32),
            "pai_z": np.repeat(step[:, np.newaxis], 30, axis=1).astype(np.float32) / np.arange(1, 31),
            "sensitivity": np.full(len(numbers), 0.5, np.float32),
        },
        "L4A": {
            **place,
            "agbd": (100 + step).astype(np.float32),
            "agbd_se": np.full(len(numbers), 10, np.float32),
            "l4_quality_flag": ones,
            "l2_quality_flag": ones,
            "degrade_flag": 0 * ones,
            "predict_stratum": np.array(["EBT_SA"] * len(numbers), dtype=object),
            "land_cover_data/pft_class": np.array([2, 4], np.uint8)[numbers.astype(np.int64) % 2],
        },
        "L4C": {**place, "wsci": (5 + step / 10).astype(np.float32), "wsci_quality_flag": ones},
    }[product]
    return {**common, **own}


def write_product(
    folder: Path, product: str, beams: Mapping[str, Mapping[str, Any]], version: str = "002", **name: Any
) -> Path:
    """Write a granule of a product; fields are named as in version 2 and renamed for a later one."""
    renamed = SPELLINGS[version].get(product, {})
    spelled = {
        beam: {renamed.get(field, field): values for field, values in fields.items() if values is not None}
        for beam, fields in beams.items()
    }
    return write_granule(folder, name_of(product, version=version, **name), **spelled)


def dictionary_join(
    paths: Mapping[str, Path], fields: Mapping[str, tuple[str, str]]
) -> dict[int, dict[str, Any]]:
    """Join granules in the plainest way: a dictionary by shot number for each product.

    Args:
        paths: by product.
        fields: by column the product and the field.
    """
    by_product: dict[str, dict[int, dict[str, Any]]] = {}
    for product, path in paths.items():
        shots = by_product.setdefault(product, {})
        with h5py.File(path) as file:
            for beam in (name for name in file if name.startswith("BEAM")):
                wanted = [(column, f) for column, (of, f) in fields.items() if of == product]
                values: dict[str, NDArray[Any]] = {column: file[beam][field][()] for column, field in wanted}
                for row, number in enumerate(file[beam]["shot_number"][()].tolist()):
                    shots.setdefault(number, {column: values[column][row] for column in values})
    numbers = set.intersection(*(set(shots) for shots in by_product.values()))
    return {n: {k: v for shots in by_product.values() for k, v in shots[n].items()} for n in numbers}
