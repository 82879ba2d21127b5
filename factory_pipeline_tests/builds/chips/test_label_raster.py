"""The footprint burnt on its window."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.features import rasterize

from factory_pipeline.builds.chips.label_raster import burn_footprints, label_raster
from factory_pipeline_tests.builds.chips.factories import GRID, made_footprints
from factory_pipeline_tests.examples import up_to

WINDOW = GRID.window(40, 90, 32, 32)


def burn_one(x: float, y: float, radius: float = 12.5, size: int = 32, value: float = 87.5) -> np.ndarray:
    arrays = [np.array([number]) for number in (x, y)]
    corner = np.array([WINDOW.left]), np.array([WINDOW.top])
    return burn_footprints(*arrays, np.array([value], np.float32), *corner, radius, size)[0, 0]


@settings(max_examples=up_to(60), deadline=None)
@given(
    column=st.floats(-1, 33), row=st.floats(-1, 33), radius=st.floats(0.5, 60), size=st.sampled_from([8, 32])
)
def test_every_pixel_that_the_disc_meets_is_burnt(column, row, radius, size):
    x, y = WINDOW.left + 10 * column, WINDOW.top - 10 * row
    burnt = burn_one(x, y, radius, size) == 87.5
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    left, top = WINDOW.left + 10 * columns, WINDOW.top - 10 * rows
    pixels = shapely.box(left, top - 10, left + 10, top)
    # Where a pixel's corner lies on the rim a rounding decides.
    inner, outer = (
        shapely.dwithin(pixels, shapely.Point(x, y), reach) for reach in (radius - 1e-6, radius + 1e-6)
    )
    assert (burnt >= inner).all()
    assert (burnt <= outer).all()


@pytest.mark.integration
def test_it_is_what_gdal_burns_with_all_touched():
    rng = np.random.default_rng(4)
    for x, y in rng.uniform(0, 10, (40, 2)):
        center = WINDOW.left + 160 + x, WINDOW.top - 160 - y
        disc = shapely.Point(center).buffer(12.5, quad_segs=2000)
        expected = rasterize(
            [(disc, 87.5)], WINDOW.shape, fill=-9999, transform=WINDOW.transform, all_touched=True
        )
        np.testing.assert_array_equal(burn_one(*center), expected)


def test_a_footprint_in_the_middle_of_its_pixel_touches_nine_pixels():
    burnt = burn_one(WINDOW.left + 165, WINDOW.top - 165)
    assert burnt.dtype == np.float32
    assert burnt.shape == (32, 32)
    assert (burnt[15:18, 15:18] == 87.5).all()
    assert (burnt == 87.5).sum() == 9
    assert (burnt == -9999).sum() == 1024 - 9


def test_each_footprint_is_burnt_on_its_own_window_in_its_own_crs():
    """The lon/lat of pixel centres in two zones; the value is found in pixel [16, 16] of both."""
    footprints = made_footprints([1, 2, 3])
    epsg = np.array([32640, 32639, 32640], np.int32)
    x, y = (
        np.array(axis)
        for axis in zip(
            *(
                Transformer.from_crs(4326, int(code), always_xy=True).transform(longitude, latitude)
                for code, longitude, latitude in zip(
                    epsg, footprints["lon_lowestmode"], footprints["lat_lowestmode"], strict=True
                )
            ),
            strict=True,
        )
    )
    samples = footprints.with_columns(
        epsg=epsg, left=np.floor(x / 10) * 10 - 160, top=np.ceil(y / 10) * 10 + 160
    )
    label = label_raster(samples, 12.5, 32)
    assert label.shape == (3, 1, 32, 32)
    assert label.dtype == np.float32
    np.testing.assert_array_equal(label[:, 0, 16, 16], [51, 52, 53])
    assert ((label[:, 0, 15:18, 15:18] > 0).sum(axis=(1, 2)) >= 6).all()
    assert (label[:, 0, :14] == -9999).all()
    assert (label[:, 0, 19:] == -9999).all()


def test_no_footprints_no_labels():
    samples = made_footprints([]).with_columns(epsg=0, left=0.0, top=0.0)
    assert label_raster(samples.clear(), 12.5, 32).shape == (0, 1, 32, 32)


@pytest.mark.parametrize("value", [0.001, 1234.5])
def test_the_value_is_kept_to_the_bit(value):
    assert np.float32(value) in burn_one(WINDOW.left + 161, WINDOW.top - 169, value=value)
