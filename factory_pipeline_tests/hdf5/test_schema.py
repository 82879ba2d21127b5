"""Samples that do not fit the schema are refused, and every field is made of its samples."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.recipe import S2_BANDS
from factory_pipeline.hdf5.schema import SCL_CLASSES, TABLE_SCHEMA, Samples, dataset_fields


def test_every_field_has_its_type_and_shape_and_a_path_of_its_own(samples: Samples) -> None:
    fields = dataset_fields(S2_BANDS, 32)
    assert len({field.path for field in fields}) == len(fields)
    for field in fields:
        values = field.values(samples)
        assert values.shape == (len(samples), *field.shape), field.path
        assert np.can_cast(values.dtype, field.dtype, "same_kind"), field.path
        assert len(field.units) in (0, 1, *field.shape[:1]), field.path
        assert len(field.band_names) in (0, *field.shape), field.path


def test_fractions_of_scene_classes_are_beside_their_names(samples: Samples) -> None:
    [field] = [each for each in dataset_fields(S2_BANDS, 32) if each.name == "S2 SCL Stats"]
    stored = field.values(samples)
    assert stored[0, :, 0].astype(str).tolist() == list(SCL_CLASSES)
    np.testing.assert_array_equal(
        stored[:, :, 1].astype(np.float64), samples.table["scl_fractions"].to_numpy()
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sentinel2": np.zeros((12, 12, 32, 32), np.int16)}, "sentinel2 is int16"),
        ({"worldcover": np.zeros((12, 2, 32, 32), np.uint8)}, "worldcover is uint8"),
        ({"copdem": np.zeros((11, 2, 32, 32), np.float32)}, "copdem is float32"),
        ({"label": np.zeros((12, 1, 16, 16), np.float32)}, "label is float32"),
    ],
)
def test_rasters_of_another_type_or_shape_are_refused(
    changes: dict[str, Any], says: str, samples: Samples
) -> None:
    with pytest.raises(ValueError, match=says):
        replace(samples, **changes)


def test_tables_with_other_columns_or_nulls_are_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="the table's columns are"):
        replace(samples, table=samples.table.drop("beam"))
    with pytest.raises(ValueError, match=r"nulls in \['beam'\]"):
        replace(samples, table=samples.table.with_columns(beam=pl.lit(None, pl.String)))


def test_some_of_the_samples_are_those_that_are_kept(samples: Samples) -> None:
    kept = np.arange(len(samples)) % 3 == 0
    some = samples.where(kept)
    assert len(some) == kept.sum()
    np.testing.assert_array_equal(some.label, samples.label[kept])
    assert some.table.equals(samples.table.filter(pl.Series(kept)))
    empty = Samples.empty(len(S2_BANDS), 32)
    assert len(empty) == 0
    assert empty.table.schema == pl.Schema(TABLE_SCHEMA)
