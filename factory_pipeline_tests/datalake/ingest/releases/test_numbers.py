"""Numbers per image as rasters of one value."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import rasterio

from factory_pipeline.datalake.ingest.releases.numbers import number_type, write_number

IMAGE: dict[str, Any] = {
    "width": 3,
    "height": 2,
    "crs": "EPSG:32633",
    "transform": (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0),
}


@pytest.mark.parametrize(
    ("int32", "float32", "dtype"),
    [
        ([True, True], [True, True], "int32"),
        ([True, False], [True, True], "float32"),
        ([True, False], [True, False], "float64"),
    ],
)
def test_the_type_holds_every_number(int32: list[bool], float32: list[bool], dtype: str) -> None:
    assert number_type(pl.DataFrame({"are_int32": int32, "are_float32": float32})) == dtype


def test_every_pixel_on_the_grid_of_the_image_has_the_number(tmp_path: Path) -> None:
    path, digest = write_number(tmp_path, "Tree height", "tile_7", 12.25, "float32", IMAGE)
    assert path == tmp_path / "tree-height" / "tile_7.tif"
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with rasterio.open(path) as written:
        assert written.read().tolist() == np.full((1, 2, 3), 12.25).tolist()
        assert written.dtypes == ("float32",)
        assert written.descriptions == ("Tree height",)
        assert written.crs.to_epsg() == 32633
        assert tuple(written.transform)[:6] == IMAGE["transform"]


def test_a_number_of_an_image_without_position_has_none(tmp_path: Path) -> None:
    path, _ = write_number(tmp_path, "count", "a", 4, "int32", {**IMAGE, "crs": None, "transform": None})
    with rasterio.open(path) as written:
        assert written.crs is None
        assert written.transform.is_identity
        assert written.read(1).dtype == np.int32
