"""Composites of pictures that come one after the other are those of all at once."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from factory_pipeline.builds.rasters.composites import start_composite
from factory_pipeline.builds.rasters.pixels import composite

NODATA = (0.0, 255.0)
KINDS = ("first_valid", "mean", "median", "best_clear")


def pictures(count: int, seed: int, dtype: str) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 200, (count, 2, 5, 4)).astype(dtype), rng.random((count, 5, 4)) < 0.5


def one_by_one(
    kind: str,
    values: NDArray[np.generic],
    valid: NDArray[np.bool_],
    most_in_memory: int,
    nodata: Sequence[float],
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    made = start_composite(kind, nodata, most_in_memory)
    for picture, holds in zip(values.copy(), valid, strict=True):
        made.add(picture, holds)
    return made.finish()


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 6), st.integers(0, 99), st.sampled_from(["uint8", "int16", "float32"]))
def test_they_are_the_same_as_of_all_pictures_at_once(kind: str, count: int, seed: int, dtype: str) -> None:
    values, valid = pictures(count, seed, dtype)
    made, holds = one_by_one(kind, values, valid, 10**6, NODATA)
    expected, expected_holds = composite(kind, values, valid, NODATA)
    assert made.dtype == values.dtype
    np.testing.assert_array_equal(holds, expected_holds)
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    np.testing.assert_array_equal(holds, valid.any(axis=0))
    np.testing.assert_array_equal(made[0][~holds], 0)
    np.testing.assert_array_equal(made[1][~holds], 255)


@pytest.mark.parametrize("most", [1, 200, 10**6])
def test_a_median_that_waits_in_a_file_is_the_same(most: int) -> None:
    values, valid = pictures(7, 3, "uint16")
    made, holds = one_by_one("median", values, valid, most, NODATA)
    expected, expected_holds = one_by_one("median", values, valid, 10**9, NODATA)
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(holds, expected_holds)
