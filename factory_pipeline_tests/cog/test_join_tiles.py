"""A plane stays a plane where tiles with columns of different width meet."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

from factory_pipeline.builds.chips.terrain import slope_percent
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadWindow, Resampling, WindowRead, WindowReader

pytestmark = pytest.mark.integration  # takes seconds

SECOND = 1 / 3600
PIXELS = 240
READERS: list[Callable[[], WindowReader]] = [BlockReader, RasterioReader]
SLOPE = 0.12
"""Rise per metre of the plane, towards the north-east."""


def plane(x: np.ndarray, y: np.ndarray, x0: float, y0: float) -> np.ndarray:
    return 500 + SLOPE * np.sqrt(0.5) * ((x - x0) + (y - y0))


def utm_of(latitude: float) -> int:
    return 32631 if latitude > 0 else 32731


def write_tile(
    path: Path, seam: float, above: bool, width: float, west: float, origin: tuple[float, float]
) -> str:
    """The part of a CopDEM tile next to the seam, rows of 1" and columns of `width` seconds.

    As in the real tiles the first column's centre is on the whole degree, and a row's centre on the seam.
    """
    columns = round(PIXELS / width)
    top = seam + 0.5 * SECOND + (PIXELS * SECOND if above else 0)
    left = west - 0.5 * width * SECOND
    transform = from_origin(left, top, width * SECOND, SECOND)
    longitude = left + (np.arange(columns) + 0.5) * width * SECOND
    latitude = top - (np.arange(PIXELS) + 0.5) * SECOND
    to_utm = Transformer.from_crs(4326, utm_of(seam), always_xy=True)
    x, y = to_utm.transform(*np.meshgrid(longitude, latitude))
    values = plane(x, y, *origin).astype(np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "tiled": True}
    profile |= {"blockxsize": 64, "blockysize": 64, "compress": "deflate", "transform": transform}
    with rasterio.open(path, "w", height=PIXELS, width=columns, **profile) as dataset:
        dataset.write(values, 1)
    return str(path)


def seam_tiles(folder: Path, seam: float, widths: Sequence[float]) -> tuple[list[str], tuple[float, float]]:
    """The tiles on both sides of a seam, the one that the coarser columns belong to with their width."""
    to_utm = Transformer.from_crs(4326, utm_of(seam), always_xy=True)
    origin = to_utm.transform(3 + PIXELS / 2 * SECOND, seam)
    above, below = widths if seam > 0 else widths[::-1]
    hrefs = [
        write_tile(folder / "above.tif", seam, True, above, 3.0, origin),
        write_tile(folder / "below.tif", seam, False, below, 3.0, origin),
    ]
    return hrefs, origin


def window_over(seam: float, origin: tuple[float, float], shift: int) -> Grid:
    left = np.floor(origin[0] / 10) * 10 - 160
    top = np.floor(origin[1] / 10) * 10 + 160 + shift
    return Grid(utm_of(seam), float(left), float(top), 10, 10, 34, 34)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("seam", "widths"),
    [(50, (1.5, 1)), (60, (2, 1.5)), (70, (3, 2)), (75, (4, 3)), (80, (5, 4)), (-50, (1.5, 1)), (50, (2, 1))],
)
@pytest.mark.parametrize("order", [1, -1])
def test_plane_across_a_seam(
    tmp_path: Path, reader: Callable[[], WindowReader], seam: float, widths: Sequence[float], order: int
) -> None:
    hrefs, origin = seam_tiles(tmp_path, seam, widths)
    grids = [window_over(seam, origin, shift) for shift in (-170, -40, 0, 20, 170, 200)]
    reads = [WindowRead(tuple(hrefs[::order]), grid, Resampling.BILINEAR) for grid in grids]
    for grid, answer in zip(grids, reader().read(reads), strict=True):
        assert isinstance(answer, ReadWindow)
        assert answer.valid.all()
        assert answer.values.dtype == np.float32
        x, y = np.meshgrid(grid.left + 10 * (np.arange(34) + 0.5), grid.top - 10 * (np.arange(34) + 0.5))
        np.testing.assert_allclose(answer.values, plane(x, y, *origin), atol=0.01)
        np.testing.assert_allclose(slope_percent(answer.values, 10), 100 * SLOPE, atol=0.05)


@pytest.mark.parametrize("reader", READERS)
def test_away_from_the_seam_nothing_changes(tmp_path: Path, reader: Callable[[], WindowReader]) -> None:
    hrefs, origin = seam_tiles(tmp_path, 50, (1.5, 1))
    for href, shift in zip(hrefs, (1200, -1200), strict=True):
        grid = window_over(50, origin, shift)
        alone, both = reader().read(
            [WindowRead(each, grid, Resampling.BILINEAR) for each in ((href,), tuple(hrefs))]
        )
        assert isinstance(alone, ReadWindow)
        assert isinstance(both, ReadWindow)
        np.testing.assert_array_equal(alone.values, both.values)
        assert both.valid.all()


@pytest.mark.parametrize("reader", READERS)
def test_missing_tile_and_void_stay_without_data(tmp_path: Path, reader: Callable[[], WindowReader]) -> None:
    hrefs, origin = seam_tiles(tmp_path, 50, (1.5, 1))
    with rasterio.open(hrefs[1], "r+") as dataset:
        values = dataset.read(1)
        values[5:8, 100:140] = -32767
        dataset.write(values, 1)
        dataset.nodata = -32767
    grid = window_over(50, origin, 0)
    both, above = reader().read(
        [WindowRead(each, grid, Resampling.BILINEAR) for each in (tuple(hrefs), (hrefs[0],))]
    )
    assert isinstance(both, ReadWindow)
    assert isinstance(above, ReadWindow)
    assert not both.valid.all()
    assert (both.values[~both.valid] == 0).all()
    assert both.values[both.valid].min() > 400
    assert both.valid[: 34 // 2 - 1].all()
    assert not above.valid[34 // 2 + 2 :].any()


def test_both_readers_agree(tmp_path: Path) -> None:
    hrefs, origin = seam_tiles(tmp_path, 50, (1.5, 1))
    reads = [
        WindowRead(tuple(hrefs), window_over(50, origin, shift), Resampling.BILINEAR)
        for shift in range(-200, 210, 20)
    ]
    for one, other in zip(BlockReader().read(reads), RasterioReader().read(reads), strict=True):
        assert isinstance(one, ReadWindow)
        assert isinstance(other, ReadWindow)
        np.testing.assert_array_equal(one.valid, other.valid)
        np.testing.assert_allclose(one.values, other.values, atol=1e-4)
