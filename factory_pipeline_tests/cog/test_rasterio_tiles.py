"""Windows on several tiles in degrees, read by the rasterio reader, are what GDAL gives for the whole."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import Resampling
from factory_pipeline_tests.cog.oracle import exact_vrt, warped
from factory_pipeline_tests.cog.rasters import SECOND, read_one, utm_window, write


@pytest.fixture(scope="module")
def dem(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], NDArray[np.float32], Grid]:
    """Four tiles that meet in a corner at 51 E 36 N, as CopDEM writes them, and all of them in one array.

    Their edges lie half a pixel off the degree, and their headers round it differently.
    """
    folder = tmp_path_factory.mktemp("dem")
    whole = Grid(4326, 51 - 120.5 * SECOND, 36 + 120.5 * SECOND, SECOND, SECOND, 240, 240)
    rows, columns = np.mgrid[:240, :240]
    rng = np.random.default_rng(3)
    values = (1000 + 5 * rows - 3 * columns + rng.normal(0, 20, (240, 240))).astype(np.float32)
    hrefs = {}
    for name, row, column in [("nw", 0, 0), ("ne", 0, 120), ("sw", 120, 0), ("se", 120, 120)]:
        tile = whole.window(row, column, 120, 120)
        rounded = Grid(4326, round(tile.left, 10), round(tile.top, 11), SECOND, SECOND, 120, 120)
        part = np.ascontiguousarray(values[row : row + 120, column : column + 120])
        hrefs[name] = write(folder / f"{name}.tif", part, rounded, predictor=3)
    return hrefs, values, whole


@pytest.mark.parametrize(
    ("names", "longitude", "latitude"),
    [
        (("nw",), 50.99, 36.02),
        (("nw", "ne"), 51 - SECOND / 2, 36.015),
        (("ne", "se"), 51.012, 36),
        (("nw", "ne", "sw", "se"), 51, 36),
    ],
)
@pytest.mark.parametrize("resampling", Resampling)
def test_tiles_of_one_grid_are_mosaicked_before_the_warp(dem, names, longitude, latitude, resampling):
    hrefs, values, whole = dem
    window = utm_window(longitude, latitude, 32639)
    got = read_one(RasterioReader(), tuple(hrefs[name] for name in names), window, resampling)
    assert got.valid.all()
    assert got.values.dtype == np.float32
    np.testing.assert_allclose(got.values, warped(values, whole, window, resampling).values, rtol=1e-6)


def test_a_tile_that_is_not_there_leaves_a_hole_in_a_raster_without_nodata(dem):
    """Tiles wholly at sea do not exist; their neighbours are used up to the edge."""
    hrefs, values, whole = dem
    window = utm_window(51, 36, 32639)
    three = tuple(hrefs[name] for name in ("nw", "ne", "sw"))
    got = read_one(RasterioReader(), three, window, Resampling.BILINEAR)
    at_sea = np.zeros(values.shape, bool)
    at_sea[120:, 120:] = True
    expected = warped(values, whole, window, Resampling.BILINEAR, missing=at_sea)
    np.testing.assert_array_equal(got.valid, expected.valid)
    assert 0 < (~got.valid).sum() < got.valid.size / 2
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-6)


@pytest.mark.parametrize(("size", "pixel"), [(2, 10), (5, 20), (34, 10), (300, 20)])
def test_every_pixel_lies_where_proj_puts_it(tmp_path, size, pixel):
    """On a plane a bilinear value tells its own position."""
    source = Grid(4326, 51, 36, SECOND, SECOND, 300, 300)
    columns = np.broadcast_to(np.arange(300) + 0.5, (300, 300))
    href = write(tmp_path / "columns.tif", columns.astype(np.float64), source)
    corner = utm_window(51.01, 35.99, 32639, 2)
    window = Grid(corner.epsg, corner.left, corner.top, pixel, pixel, size, size)
    x, y = np.meshgrid(*(np.arange(size) + 0.5,) * 2)
    to_degrees = Transformer.from_crs(32639, 4326, always_xy=True)
    longitude, _ = to_degrees.transform(window.left + pixel * x, window.top - pixel * y)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    np.testing.assert_allclose(got.values[got.valid], ((longitude - 51) / SECOND)[got.valid], atol=1e-8)
    assert got.valid[: size // 2, : size // 2].all()


def test_tiles_of_different_widths_are_joined_at_the_seam_and_warped_one_by_one_elsewhere(tmp_path):
    """CopDEM's pixels get wider at 50 degrees north; what a plane over the seam becomes says `test_join`."""
    rng = np.random.default_rng(5)
    south_grid = Grid(4326, 8, 50, SECOND, SECOND, 120, 60)
    north_grid = Grid(4326, 8, 50 + 60 * SECOND, 1.5 * SECOND, SECOND, 80, 60)
    tiles = {}
    for name, grid in {"south": south_grid, "north": north_grid}.items():
        values = rng.normal(300, 50, grid.shape).astype(np.float32)
        tiles[name] = write(tmp_path / f"{name}.tif", values, grid), values, grid
    window = utm_window(8 + 60 * SECOND, 50, 32632)
    got = read_one(RasterioReader(), (tiles["south"][0], tiles["north"][0]), window, Resampling.BILINEAR)
    south, north = (warped(*tiles[name][1:], window, Resampling.BILINEAR) for name in ("south", "north"))
    assert got.valid.all()
    assert not south.valid.all()
    expected = np.where(south.valid, south.values, north.values)
    # A kernel of 3 pixels of 10 m reaches over the seam, which runs between south and north.
    seam = np.flatnonzero(south.valid.any(axis=1))[0]
    apart = np.abs(np.arange(len(expected)) - seam) > 4
    assert apart.sum() > 20
    np.testing.assert_allclose(got.values[apart], expected[apart], rtol=1e-6)
    near = np.abs(got.values[~apart] - expected[~apart])
    assert 1 < near.max() < 100


@pytest.mark.parametrize("order", [("east", "west"), ("west", "east")])
@pytest.mark.parametrize("epsg", [32701, 32760])
def test_a_window_across_the_180th_meridian_is_whole(tmp_path, order, epsg):
    rng = np.random.default_rng(6)
    values = rng.normal(300, 50, (120, 240)).astype(np.float32)
    whole = Grid(4326, 180 - 120.5 * SECOND, -17, SECOND, SECOND, 240, 120)
    west = Grid(4326, whole.left, whole.top, SECOND, SECOND, 120, 120)
    east = Grid(4326, -180 - SECOND / 2, whole.top, SECOND, SECOND, 120, 120)
    hrefs = {
        "west": write(tmp_path / "w.tif", np.ascontiguousarray(values[:, :120]), west),
        "east": write(tmp_path / "e.tif", np.ascontiguousarray(values[:, 120:]), east),
    }
    window = utm_window(180, -17 - 60 * SECOND, epsg)
    got = read_one(RasterioReader(), tuple(hrefs[name] for name in order), window, Resampling.BILINEAR)
    assert got.valid.all()
    # PROJ's longitudes end at 180 degrees and go on at -180.
    again = Grid(4326, whole.left - 360, whole.top, SECOND, SECOND, 240, 120)
    west_of_it, east_of_it = (warped(values, grid, window, Resampling.BILINEAR) for grid in (whole, again))
    expected = np.where(west_of_it.valid, west_of_it.values, east_of_it.values)
    np.testing.assert_allclose(got.values, expected, rtol=1e-6)


@pytest.fixture(scope="module")
def realdata() -> Path:
    if not os.environ.get("FACTORY_REALDATA"):
        pytest.skip("FACTORY_REALDATA names no folder with real sample data")
    return Path(os.environ["FACTORY_REALDATA"])


@pytest.mark.parametrize(
    ("path", "resampling"),
    [
        ("dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif", Resampling.BILINEAR),
        ("worldcover/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif", Resampling.NEAREST),
        ("worldcover/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif", Resampling.NEAREST),
    ],
)
def test_a_window_on_sao_tome_equals_gdals_warp_of_the_whole_tile(realdata, path, resampling):
    href = str(realdata / path)
    window = utm_window(6.735, 0.34, 32632)
    got = read_one(RasterioReader(), href, window, resampling)
    # GDAL's warp of the file: it chooses by itself what it reads.
    with rasterio.open(href) as file, exact_vrt(file, window, resampling) as warper:
        expected = warper.read(1)
    assert got.valid.all()
    assert len(np.unique(got.values)) > 1
    np.testing.assert_allclose(got.values, expected, rtol=1e-6)


def test_the_real_dem_is_copied_where_the_window_lies_on_its_own_grid(realdata):
    href = str(realdata / "dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif")
    with rasterio.open(href) as file:
        grid = Grid.from_transform(4326, file.transform, file.width, file.height)
        values = file.read(1, window=Window(2011, 2633, 50, 40))
    got = read_one(RasterioReader(), href, grid.window(2633, 2011, 40, 50), Resampling.BILINEAR)
    np.testing.assert_array_equal(got.values, values)
    assert values.max() > 0
