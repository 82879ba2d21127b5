"""The block engine and the rasterio reader give the same windows."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline_tests.cog.agreement import assert_readers_agree
from factory_pipeline_tests.cog.rasters import write
from factory_pipeline_tests.cog.sample_reads import sample_reads

DEM = "dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif"
WORLDCOVER = "worldcover/ESA_WorldCover_10m_{}_N00E006_Map.tif"
CENTRAL_MERIDIAN = 500_000


def test_windows_of_the_sample_archive(small_archive: Path) -> None:
    reads = sample_reads(small_archive, every=8)

    windows = assert_readers_agree(reads)

    # Every source is there, and the zone's central meridian is the edge of the DEM's and the map's tiles.
    assert len({read.hrefs for read in reads}) == 6 * 12 - 2 + 2
    edges = [read.grid.bounds for read in reads if len(read.hrefs) > 1]
    assert any(left < CENTRAL_MERIDIAN < right for left, _, right, _ in edges)
    assert all(window.valid.all() and window.values.any() for window in windows)


@pytest.mark.integration  # takes seconds
@pytest.mark.parametrize(
    ("name", "resampling"),
    [
        (DEM, Resampling.BILINEAR),
        (DEM, Resampling.NEAREST),
        (WORLDCOVER.format("2020_v100"), Resampling.NEAREST),
        (WORLDCOVER.format("2021_v200"), Resampling.NEAREST),
    ],
)
def test_windows_of_real_tiles(name: str, resampling: Resampling) -> None:
    """On the island, at sea, over the tile's edges and outside of it; in three zones."""
    if "FACTORY_REALDATA" not in os.environ:
        pytest.skip("FACTORY_REALDATA names no folder with real data")
    href = str(Path(os.environ["FACTORY_REALDATA"]) / name)
    random = np.random.default_rng(1)
    island = random.uniform((6.4, 0.0), (6.8, 0.45), (60, 2)).tolist()
    edges = [(6.0, 0.5), (6.4999, 0.99999), (7.0, 0.5), (6.61, 0.0001), (9.0, 3.0), (5.9, 0.5)]
    reads = [
        WindowRead((href,), window_around(longitude, latitude, epsg), resampling)
        for longitude, latitude in island + edges
        for epsg in (32631, 32632, 32732)
    ]

    windows = assert_readers_agree(reads)

    assert len({window.valid.mean() for window in windows}) > 3
    assert len(np.unique([window.values.max() for window in windows])) > 3


@pytest.mark.parametrize("west", [-180, 0])
@pytest.mark.parametrize("resampling", Resampling)
def test_windows_on_the_pixels_of_a_raster_around_the_earth(
    tmp_path: Path, west: int, resampling: Resampling
) -> None:
    values = np.arange(1, 180 * 360 + 1, dtype=np.uint16).reshape(180, 360)
    href = write(tmp_path / "earth.tif", values, Grid(4326, west, 90, 1, 1, 360, 180))
    longitudes = [-180, -100, -8, 0, 100, 172, *(190, 352) * (west == 0)]
    reads = [WindowRead((href,), Grid(4326, left, 50, 1, 1, 8, 4), resampling) for left in longitudes]
    for left, window in zip(longitudes, assert_readers_agree(reads), strict=True):
        assert window.valid.all()
        np.testing.assert_array_equal(
            window.values, values[40:44, (left - west) % 360 : (left - west) % 360 + 8]
        )


@pytest.mark.parametrize("resampling", Resampling)
def test_beyond_180_degrees_columns_need_not_divide_the_earth(tmp_path: Path, resampling: Resampling) -> None:
    """360 degrees are 5142.86 of these columns: a turn is no whole number of pixels."""
    size = 0.07
    values = np.random.default_rng(0).integers(1, 30_000, (200, 200)).astype(np.uint16)
    beyond, turned = (Grid(4326, left, 14, size, size, 200, 200) for left in (170, -190))
    same_pixels = beyond.window(20, 160, 16, 16)
    windows = [
        Grid(32601, 390_000, 1_106_000, 5000, 5000, 16, 16),
        replace(same_pixels, left=same_pixels.left - 360),
        replace(same_pixels, left=beyond.left - round(348 / size) * size),
    ]
    one, other = (
        assert_readers_agree(
            [WindowRead((write(tmp_path / name, values, grid),), window, resampling) for window in windows]
        )
        for name, grid in (("beyond.tif", beyond), ("turned.tif", turned))
    )
    for found, expected in zip(one, other, strict=True):
        assert found.valid.all()
        np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(one[1].values, values[20:36, 160:176])


def window_around(longitude: float, latitude: float, epsg: int) -> Grid:
    """The window on Sentinel-2's pixels whose middle is near a point."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return Grid(epsg, round(x, -1) - 160, round(y, -1) + 160, 10, 10, 32, 32)
