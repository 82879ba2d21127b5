"""An image moved by an affine: nearest for codes, bilinear for what was measured."""

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.datasets.augment.resampling import Resampler
from factory_pipeline.datasets.model.sample import SampleRaster

SIZE = (6, 8)


def raster(values: NDArray[np.generic], nodata: float | None = None, band: str = "red") -> SampleRaster:
    return SampleRaster(values[None], (band,), nodata)


def ramp(dtype: str = "float32") -> NDArray[np.generic]:
    return np.add.outer(10 * np.arange(SIZE[0]), np.arange(SIZE[1])).astype(dtype)


def test_a_shift_by_whole_pixels_changes_no_value() -> None:
    moved = Resampler(Affine.translation(2, 1), SIZE).nearest(raster(ramp("uint8")), 255).values[0]
    assert np.array_equal(moved[1:, 2:], ramp("uint8")[:-1, :-2])
    assert (moved[0] == 255).all()
    assert (moved[:, :2] == 255).all()
    assert moved.dtype == np.uint8


def test_a_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    moved = Resampler(Affine.translation(0.5, 0), SIZE).image("s2", raster(ramp()), -1).values[0]
    assert moved[:, 1:] == pytest.approx(ramp()[:, 1:] - 0.5)


def test_no_data_is_not_mixed_into_its_neighbours() -> None:
    values = ramp()
    values[2, 3] = -9999
    moved = Resampler(Affine.translation(0.25, 0), SIZE).image("s2", raster(values, -9999.0), -9999.0)
    inside = moved.values[0][:, 1:]
    assert inside[2, 2] == -9999
    assert inside[inside != -9999].min() >= 0


def test_codes_are_never_interpolated() -> None:
    codes = np.where(np.arange(SIZE[1]) < 4, 10, 90) * np.ones((SIZE[0], 1), np.uint8)
    moved = Resampler(Affine.translation(0.4, 0), SIZE)
    assert set(np.unique(moved.image("s2", raster(codes.astype("uint8"), band="SCL"), 0).values)) <= {
        0,
        10,
        90,
    }
    measured = moved.image("s2", raster(codes.astype("uint8")), 0).values
    assert set(np.unique(measured)) - {0, 10, 90}
