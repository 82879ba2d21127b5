"""Windows read by the rasterio reader are what GDAL's warp of the whole asset gives."""

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline_tests.cog.oracle import warped
from factory_pipeline_tests.cog.rasters import PRODUCT, UTM, assert_equal_counts, band, read_one, write
from factory_pipeline_tests.examples import up_to


@pytest.mark.integration
@settings(max_examples=up_to(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, 448),
    column=st.integers(0, 448),
    metres=st.sampled_from([10, 20, 60]),
    resampling=st.sampled_from(Resampling),
)
def test_a_window_anywhere_on_the_product_equals_gdal(product, row, column, metres, resampling):
    href, values, grid = product[metres]
    window = PRODUCT.window(row, column, 32, 32)
    got = read_one(RasterioReader(threads=1), href, window, resampling)
    assert_equal_counts(got.values, warped(values, grid, window, resampling).values, resampling)
    assert got.valid.all()
    assert got.values.dtype == np.uint16


def test_coinciding_pixels_are_copied(product):
    href, values, _ = product[10]
    for row, column in [(0, 0), (448, 448), (0, 448), (17, 231)]:
        got = read_one(RasterioReader(), href, PRODUCT.window(row, column, 32, 32), Resampling.BILINEAR)
        np.testing.assert_array_equal(got.values, values[row : row + 32, column : column + 32])


def test_a_window_at_an_odd_offset_halves_the_right_pixels(product):
    """The 20 m pixel that holds each 10 m pixel, also where the window starts in the middle of one."""
    href, values, _ = product[20]
    got = read_one(RasterioReader(), href, PRODUCT.window(101, 33, 32, 32), Resampling.NEAREST)
    rows, columns = (101 + np.arange(32)) // 2, (33 + np.arange(32)) // 2
    np.testing.assert_array_equal(got.values, values[np.ix_(rows, columns)])


@pytest.mark.parametrize("metres", [10, 20])
def test_what_lies_outside_is_zero_and_not_valid(product, metres):
    href, values, grid = product[metres]
    window = PRODUCT.window(-10, 460, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    inside = np.zeros((32, 32), bool)
    inside[10:, :20] = True
    np.testing.assert_array_equal(got.valid, inside)
    expected = warped(values, grid, window, Resampling.BILINEAR)
    assert_equal_counts(got.values, expected.values, Resampling.BILINEAR)
    assert not got.values[~inside].any()


def test_a_window_far_outside_holds_nothing(product):
    got = read_one(RasterioReader(), product[20][0], PRODUCT.window(9000, 0, 32, 32), Resampling.BILINEAR)
    assert not got.valid.any()
    assert not got.values.any()
    assert got.values.shape == (32, 32)


def test_counts_above_32767_do_not_wrap(tmp_path):
    values, grid = band(20, low=32000, high=65535)
    href = write(tmp_path / "bright.tif", values, grid, predictor=2)
    window = PRODUCT.window(3, 5, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    assert got.values.max() > 32767
    assert got.values.min() >= 32000
    expected = warped(values, grid, window, Resampling.BILINEAR)
    assert_equal_counts(got.values, expected.values, Resampling.BILINEAR)


@pytest.mark.parametrize("resampling", Resampling)
def test_the_nodata_value_of_an_asset_is_left_out(tmp_path, resampling):
    values, grid = band(20)
    values[40:60, 30:47] = 0
    values[::7, ::5] = 0
    href = write(tmp_path / "holes.tif", values, grid, nodata=0)
    window = PRODUCT.window(75, 51, 32, 32)
    got = read_one(RasterioReader(), href, window, resampling)
    expected = warped(values, grid, window, resampling, missing=values == 0)
    assert_equal_counts(got.values, expected.values, resampling)
    np.testing.assert_array_equal(got.valid, expected.valid)
    assert 0 < got.valid.sum() < 32 * 32


def test_a_nan_is_left_out_where_it_is_the_nodata_value(tmp_path):
    values = np.random.default_rng(1).normal(500, 100, (240, 240)).astype(np.float32)
    values[50:60, 50:60] = np.nan
    grid = band(20)[1]
    href = write(tmp_path / "nan.tif", values, grid, nodata=np.nan)
    window = PRODUCT.window(90, 90, 40, 40)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    expected = warped(values, grid, window, Resampling.BILINEAR, missing=np.isnan(values))
    np.testing.assert_array_equal(got.valid, expected.valid)
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-6)


def test_a_window_coarser_than_the_asset_uses_gdals_wider_kernel(product):
    href, values, grid = product[10]
    window = Grid(UTM, PRODUCT.left + 1003, PRODUCT.top - 907, 45, 45, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    expected = warped(values, grid, window, Resampling.BILINEAR).values
    np.testing.assert_allclose(got.values.astype(int), expected.astype(int), atol=1)


@pytest.mark.integration
def test_many_windows_come_back_in_their_order_and_each_file_is_opened_once(product, monkeypatch):
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda path: opened.append(path) or real(path))
    rng = np.random.default_rng(9)
    places = rng.integers(0, 448, (60, 2)).tolist()
    reads = [
        WindowRead((product[metres][0],), PRODUCT.window(row, column, 32, 32), Resampling.NEAREST)
        for row, column in places
        for metres in (10, 20)
    ]
    answers = RasterioReader(threads=3).read(reads)
    for read, answer in zip(reads, answers, strict=True):
        (metres,) = (metres for metres in (10, 20) if product[metres][0] == read.hrefs[0])
        _, values, grid = product[metres]
        expected = warped(values, grid, read.grid, read.resampling)
        np.testing.assert_array_equal(answer.values, expected.values)
    assert sorted(opened) == sorted({read.hrefs[0] for read in reads})


def test_no_reads_no_answers():
    assert RasterioReader().read([]) == []


def test_a_window_is_handed_over_before_the_next_file_is_opened(tmp_path):
    values, grid = band(10)
    paths = [write(tmp_path / f"{name}.tif", values, grid) for name in "ab"]
    window = PRODUCT.window(3, 5, 32, 32)
    # Of the last one the second file is read first: it waits for its other one.
    hrefs = [(paths[0],), (paths[1],), (paths[1], str(tmp_path / "c.tif"))]
    opened: list[str] = []
    known: list[tuple[int, int]] = []

    def sign(href: str) -> str:
        opened.append(href)
        return href

    reads = [WindowRead(each, window, Resampling.NEAREST) for each in hrefs]
    RasterioReader(sign, threads=1).read_each(reads, lambda index, _: known.append((index, len(opened))))
    assert known == [(0, 1), (1, 2), (2, 3)]


def test_what_the_taker_raises_ends_the_reading(product):
    def take(*_: object) -> None:
        raise RasterioIOError("The disk is full.")

    read = WindowRead((product[10][0],), PRODUCT.window(3, 5, 32, 32), Resampling.NEAREST)
    with pytest.raises(RasterioIOError, match="The disk is full"):
        RasterioReader().read_each([read], take)
