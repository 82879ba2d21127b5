"""Positions of a window's pixels in a source are those of PROJ."""

import numpy as np
import pytest
from pyproj import Transformer

from factory_pipeline.cog.alignment import align, pixel_offset
from factory_pipeline.cog.grid import Grid, GridStack

SECOND = 1 / 3600


def projected_directly(window: Grid, source: Grid) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(
        window.left + (np.arange(window.width) + 0.5) * window.x_size,
        window.top - (np.arange(window.height) + 0.5) * window.y_size,
    )
    x, y = Transformer.from_crs(window.epsg, source.epsg, always_xy=True).transform(x, y)
    return (x - source.left) / source.x_size, (source.top - y) / source.y_size


@pytest.mark.parametrize(
    ("epsg", "left", "top", "pixel", "pixels"),
    [
        (32631, 500000, 5000000, 10, 32),
        (32631, 830000, 100, 10, 32),
        (32733, 166021, 9990000, 10, 32),
        (32640, 400000, 9290000, 10, 48),
        (32631, 400000, 5100000, 1000, 300),
    ],
    ids=["middle", "edge of zone at the equator", "southern", "far north", "too large to interpolate"],
)
def test_projected_windows_lie_where_proj_puts_them(
    epsg: int, left: float, top: float, pixel: float, pixels: int
) -> None:
    window = Grid(epsg, left, top, pixel, pixel, pixels, pixels)
    source = Grid(4326, 0, 90, SECOND, SECOND, 360 * 3600, 180 * 3600)

    windows = [window, window.window(pixels, 2 * pixels, pixels, pixels)]

    alignment = align(GridStack.of(windows), source)

    for number, each in enumerate(windows):
        columns, rows = projected_directly(each, source)
        np.testing.assert_allclose(alignment.columns[number], columns, rtol=0, atol=1e-7)
        np.testing.assert_allclose(alignment.rows[number], rows, rtol=0, atol=1e-7)


def test_window_over_the_180th_meridian_lies_on_both_tiles() -> None:
    window = Grid(32660, 833800, 200, 10, 10, 40, 4)
    west = Grid(4326, -180, 1, SECOND, SECOND, 3600, 3600)
    east = Grid(4326, 179, 1, SECOND, SECOND, 3600, 3600)

    columns = {tile.left: align(GridStack.of([window]), tile).columns for tile in (west, east)}

    assert columns[-180].min() < 0 < columns[-180].max() < 40
    assert 3560 < columns[179].min() < 3600 < columns[179].max()
    assert pixel_offset(west, east) == (0, 3600)


def test_pixels_coincide_only_at_whole_offsets() -> None:
    source = Grid(32631, 500000, 5000000, 10, 10, 100, 100)

    assert pixel_offset(source.window(-3, 7, 5, 5), source) == (-3, 7)
    assert pixel_offset(Grid(32631, 500005, 5000000, 10, 10, 5, 5), source) is None
    assert pixel_offset(Grid(32631, 500000, 5000000, 20, 20, 5, 5), source) is None
    assert pixel_offset(Grid(32632, 500000, 5000000, 10, 10, 5, 5), source) is None
