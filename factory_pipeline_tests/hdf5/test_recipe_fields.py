"""What a dataset file of a recipe holds is what its samples are."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.hdf5.recipe_fields import (
    COMPOSITE_LENGTH,
    RecipeSamples,
    extra_type,
    extra_types_of,
    label_nodata,
    label_type,
    recipe_fields,
)
from factory_pipeline_tests.hdf5.recipe_factories import made_sources, recipe_of, write_fused

RECIPE = """
name: crops
labels: LABELS
window: {size: 4, pixel_size: 10}
sources:
  s2:
    collection: sentinel-2-l2a
    assets: [B02, SCL]
    time: {periods: 3, length: 30d, start: 2021-01-01}
    composite: first_valid
    resampling: {default: bilinear}
  dem: {collection: cop-dem-glo-30, assets: [data], derive: [slope]}
"""
TARGET = "{column: crop, classes: {1: Maize, 2: Wheat}}"
POINTS = f"{{kind: points, path: a.csv, target: {TARGET}, extra: [region, visits]}}"


def recipe(labels: str) -> Any:
    return recipe_of(RECIPE.replace("LABELS", labels))


def test_every_field_is_written_as_the_samples_are(tmp_path: Path) -> None:
    extra = pl.DataFrame({"region": ["north", None], "visits": [3, 4]})
    samples = write_fused(tmp_path / "a.h5", recipe(POINTS), ["a", "b"], [1, 2], extra)
    types = {name: extra_type(dtype) for name, dtype in extra.schema.items()}
    fields = recipe_fields(recipe(POINTS), types)
    with h5py.File(tmp_path / "a.h5") as file:
        assert extra_types_of(file) == types
        for field in fields:
            stored = file[field.path]
            assert (stored.dtype, stored.shape) == (field.dtype, (2, *field.shape)), field.path
            np.testing.assert_array_equal(stored[:], field.values(samples).reshape(stored.shape))
        assert file["data/s2"].shape == (2, 3, 2, 4, 4)
        assert file["data/s2_mask"].shape == (2, 3, 4, 4)
        assert file["data/dem"].shape == (2, 2, 4, 4)
        assert file["data/s2"].attrs["axes"] == "TCYX"
        assert list(file["data/label"].attrs["classes"]) == ["1 Maize", "2 Wheat"]
        assert list(file["extra/region"].asstr()[:, 0]) == ["north", ""]


@pytest.mark.parametrize(
    ("labels", "nodata", "dtype"),
    [
        ("{kind: rasters, path: a.tif, classes: {1: a, 2: b}}", 0, "i4"),
        ("{kind: rasters, path: a.tif, classes: {0: a, 2: b}}", -1, "i4"),
        ("{kind: rasters, path: a.tif, unit: m}", math.nan, "f4"),
        ("{kind: polygons, path: a.gpkg}", 0, "i4"),
    ],
)
def test_a_pixel_without_a_label_holds_no_class_and_no_number(
    labels: str, nodata: float, dtype: str, tmp_path: Path
) -> None:
    assert label_nodata(recipe(labels)) == pytest.approx(nodata, nan_ok=True)
    assert label_type(recipe(labels)) == np.dtype(dtype)
    write_fused(tmp_path / "a.h5", recipe(labels), ["a"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data/label"].shape == (1, 1, 4, 4)
        assert file["data/label"].attrs["nodata"] == pytest.approx(nodata, nan_ok=True)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.Int16(), "<i8"),
        (pl.Float32(), "<f8"),
        (pl.Boolean(), "u1"),
        (pl.Date(), "S256"),
        (pl.String(), "S256"),
        (pl.Array(pl.Float64(), 101), "(101,)<f4"),
    ],
)
def test_columns_that_are_carried_along_have_one_type_each(dtype: Any, expected: str) -> None:
    assert extra_type(dtype) == np.dtype(expected)


# Ids of STAC items: as many as fit, and how many more there are


def stored_items(*texts: str) -> list[str]:
    """What a file holds of the items of the three steps of a composite."""
    made = recipe(POINTS)
    sources = made_sources(made, 1, 0)
    sources["s2"] = replace(sources["s2"], items=[list(texts)])
    (field,) = [field for field in recipe_fields(made, {}) if field.path == "provenance/s2 Items"]
    stored = field.values(RecipeSamples(sources, pl.DataFrame(), None))
    return [text.decode() for text in stored[0].tolist()]


def test_ids_that_fit_are_kept_as_they_are() -> None:
    text = ";".join(f"S2A_{number:04d}" for number in range(100))
    assert stored_items(text, "", "one") == [text, "", "one"]


def test_of_more_ids_the_last_are_counted() -> None:
    ids = [f"S2A_MSIL2A_20210101T100000_R022_T32TQR_20210101T{number:06d}" for number in range(120)]
    shortened, *_ = stored_items(";".join(ids), "", "")
    assert len(shortened) <= COMPOSITE_LENGTH
    *kept, more = shortened.split(";")
    assert kept == ids[: len(kept)]
    assert more == f"+{120 - len(kept)} more"
    one_more = ";".join([*ids[: len(kept) + 1], f"+{119 - len(kept)} more"])
    assert len(one_more) > COMPOSITE_LENGTH, "as many as fit are kept"
