"""Small granules and footprints made for a test: right in every field, unless a test says otherwise."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA

NAME_2020 = "GEDI04_A_2020036151358_O06515_02_T00198_02_002_01_V002.h5"
NAME_2021 = "GEDI04_A_2021150031254_O13948_03_T06447_02_002_01_V002.h5"


def seconds(day: date, hour: float = 12.0) -> float:
    """delta_time of an hour of a day."""
    return (day - date(2018, 1, 1)).days * 86_400 + hour * 3_600


def beam(shots: int = 5, first_shot: int = 65150500200000001, **fields: Any) -> dict[str, Any]:
    """The fields of a beam whose shots all pass the default rules; a field given as None is left out."""
    step = np.arange(shots)
    made = {
        "shot_number": first_shot + step.astype(np.uint64),
        "delta_time": seconds(date(2020, 2, 5)) + step * 0.00826,
        "lat_lowestmode": 36.0 + step * 0.0005,
        "lon_lowestmode": 51.0 + step * 0.0005,
        "agbd": np.full(shots, 100, np.float32),
        "agbd_se": np.full(shots, 10, np.float32),
        "l2_quality_flag": np.ones(shots, np.uint8),
        "l4_quality_flag": np.ones(shots, np.uint8),
        "surface_flag": np.ones(shots, np.uint8),
    }
    return {name: values for name, values in {**made, **fields}.items() if values is not None}


def write_granule(folder: Path, name: str = NAME_2020, **beams: Mapping[str, Any]) -> Path:
    """Write a granule with these beams (one good beam where none is given)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with h5py.File(path, "w") as file:
        file.create_group("METADATA")
        for beam_name, fields in (beams or {"BEAM0101": beam()}).items():
            group = file.create_group(beam_name)
            for field, values in fields.items():
                group[field] = values
    return path


def copy_beam(granule: Path, target: Path, name: str) -> None:
    """Write a granule that holds one beam of another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(granule) as whole, h5py.File(target, "w") as part:
        whole.copy(name, part)


def footprints(shots: int, **columns: Any) -> pl.DataFrame:
    """A table of footprints as the stages pass it on."""
    made = {name: pl.Series(name, values) for name, values in beam(shots).items()}
    made.update({name: pl.Series(name, values) for name, values in columns.items()})
    labels = {"granule": pl.lit(NAME_2020.removesuffix(".h5")), "beam": pl.lit("BEAM0101")}
    return (
        pl.DataFrame(list(made.values()))
        .with_columns(**labels)
        .select(*FOOTPRINT_SCHEMA)
        .cast(FOOTPRINT_SCHEMA)
    )
