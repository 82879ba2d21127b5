"""Pixels with and without data, and storing what was computed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from factory_pipeline.datasets.augment.pixels import (
    NormalisedFilter,
    as_dtype,
    measured_bands,
    nodata_in,
    store,
    valid_pixels,
)
from factory_pipeline.datasets.model.sample import SampleRaster

EVERY_DTYPE = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


def of(dtype: str, nodata: float | None) -> SampleRaster:
    return SampleRaster(np.zeros((1, 1, 1), dtype), ("B1",), nodata)


@pytest.mark.parametrize(
    ("dtype", "nodata", "held"),
    [
        ("uint8", None, None),
        ("uint8", 255.0, 255),
        ("uint8", -9999.0, None),
        ("uint8", 0.5, None),
        ("int16", float("nan"), None),
        ("float32", -9999.0, -9999.0),
        ("float32", 1e300, None),
        ("float32", float("-inf"), float("-inf")),
    ],
)
def test_nodata_that_the_dtype_can_not_hold_is_none(dtype: str, nodata: float | None, held: Any) -> None:
    assert nodata_in(of(dtype, nodata)) == held


def test_pixels_without_data_are_nodata_and_what_is_not_finite() -> None:
    band = np.array([[1, np.nan, np.inf, -9999, 0]], np.float32)
    assert valid_pixels(band, np.float32(-9999)).tolist() == [[True, False, False, False, True]]
    assert valid_pixels(band, np.float32(np.nan)).tolist() == [[True, False, False, True, True]]
    assert valid_pixels(band, None).tolist() == [[True, False, False, True, True]]


def test_bands_of_class_codes_are_known_by_their_name_or_that_of_their_modality() -> None:
    raster = SampleRaster(np.zeros((3, 1, 1), np.uint16), ("SCL", "B02", "Land cover"))
    assert measured_bands("S2", raster).tolist() == [False, True, False]
    assert measured_bands("LULC", raster).tolist() == [False, False, False]


def test_complex_numbers_are_not_measured_real_numbers() -> None:
    assert not measured_bands("SLC", SampleRaster(np.zeros((1, 1, 1), np.complex64), ("VV",)))


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
@given(computed=hnp.arrays(np.float64, 8, elements=st.floats(-1e30, 1e30)), nodata=st.integers(0, 127))
def test_what_is_stored_is_near_within_the_dtype_and_never_nodata(
    dtype: str, computed: Any, nodata: int
) -> None:
    into = np.full(8, nodata, dtype)
    valid = np.arange(8) % 4 != 3
    store(computed, into, valid, into.dtype.type(nodata))
    assert (into[~valid] == nodata).all()
    assert (into[valid] != nodata).all()
    limits = np.iinfo(dtype) if into.dtype.kind in "iu" else np.finfo(dtype)
    expected = np.clip(computed, float(limits.min), float(limits.max))[valid]
    np.testing.assert_allclose(into[valid].astype(np.float64), expected, rtol=1e-6, atol=1.51)


def test_integers_are_rounded_half_up() -> None:
    assert as_dtype(np.array([-1.5, -0.5, 0.49, 0.5, 1.5, 300]), np.dtype("int8")).tolist() == [
        -1,
        0,
        0,
        1,
        2,
        127,
    ]


@pytest.mark.parametrize(
    ("dtype", "nodata", "beside"), [("uint8", 255, 254), ("uint8", 0, 1), ("int16", -9999, -9998)]
)
def test_a_value_that_would_be_nodata_becomes_its_neighbour(dtype: str, nodata: int, beside: int) -> None:
    into = np.ones(1, dtype)
    store(np.array([float(nodata)]), into, np.ones(1, bool), into.dtype.type(nodata))
    assert into[0] == beside


def test_a_normalised_filter_gives_the_mean_of_what_is_valid() -> None:
    noise = np.random.default_rng(3)
    mean = NormalisedFilter(lambda band: ndimage.uniform_filter(band, 3, mode="constant"))
    for _ in range(3):
        band, valid = noise.uniform(0, 9, (7, 8)), noise.random((7, 8)) < 0.7
        smooth = mean(np.where(valid, band, 1e30), valid)
        for row, column in np.argwhere(valid):
            around = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert smooth[row, column] == pytest.approx(band[around][valid[around]].mean())
