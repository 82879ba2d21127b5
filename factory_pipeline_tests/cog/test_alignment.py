"""Positions of a window's pixels in a source are those of PROJ."""

import numpy as np
import pytest
from pyproj import Transformer

from factory_pipeline.cog.alignment import Projection, align, pixel_offset, prepare_alignment
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.scratch import Scratch

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


@pytest.mark.parametrize("west", [-180, 0])
def test_windows_of_all_longitudes_are_in_a_source_around_the_earth(west: int) -> None:
    source = Grid(4326, west, 90, 1, 1, 360, 180)
    for column in (0, 4, 179, 180, 181, 352):
        for turn in (-360, 0, 360):
            window = Grid(4326, west + column + turn, 50, 1, 1, 8, 8)
            assert pixel_offset(window, source) == (40, column)


def test_pixels_coincide_only_at_whole_offsets() -> None:
    source = Grid(32631, 500000, 5000000, 10, 10, 100, 100)

    assert pixel_offset(source.window(-3, 7, 5, 5), source) == (-3, 7)
    assert pixel_offset(Grid(32631, 500005, 5000000, 10, 10, 5, 5), source) is None
    assert pixel_offset(Grid(32631, 500000, 5000000, 20, 20, 5, 5), source) is None
    assert pixel_offset(Grid(32632, 500000, 5000000, 10, 10, 5, 5), source) is None


@pytest.mark.parametrize("size", [(32, 32), (34, 34), (7, 50), (1, 3), (200, 128)])
def test_extreme_positions_of_interpolated_windows_are_at_their_edges(size: tuple[int, int]) -> None:
    """Over all zones, up to 84 degrees north, on sources of smaller and of larger pixels."""
    rng = np.random.default_rng(0)
    for zone in (1, 31, 60):
        for metres, degrees in ((10, SECOND), (10, SECOND / 12), (30, 1 / 12000), (2, 0.25)):
            places = GridStack(
                Grid(32600 + zone, 0, 0, metres, metres, size[1], size[0]),
                rng.uniform(166_000, 833_000, 60),
                rng.uniform(1e4, 9.3e6, 60),
            )
            pixels = round(6 / degrees), round(84 / degrees)
            source = Grid(4326, 6 * zone - 186, 84, degrees, degrees, *pixels)
            projection = prepare_alignment(places, source)
            assert isinstance(projection, Projection)
            everything, exact = projection.interpolate(), projection.is_exact
            assert exact.mean() > 0.5
            edges = projection.interpolate_edges()
            for at_edges, inside in zip(edges, (everything.columns, everything.rows), strict=True):
                each = inside.reshape(len(inside), -1)
                np.testing.assert_array_equal(at_edges.min(axis=1)[exact], each.min(axis=1)[exact])
                np.testing.assert_array_equal(at_edges.max(axis=1)[exact], each.max(axis=1)[exact])


def test_some_windows_are_interpolated_as_among_all() -> None:
    windows = [Grid(32631, 400000 + 5000 * number, 5000000, 10, 10, 32, 32) for number in range(5)]
    windows.append(Grid(32631, 400000, 9_000_000, 10, 10, 32, 32))
    source = Grid(4326, 0, 90, SECOND, SECOND, 360 * 3600, 180 * 3600)
    projection, scratch = prepare_alignment(GridStack.of(windows), source), Scratch()
    everything = align(GridStack.of(windows), source)
    for some in (slice(1, 4), np.array([5, 0])):
        part = projection.take(some)
        assert isinstance(part, Projection)
        aligned = part.interpolate(scratch)
        assert not aligned.is_separable
        assert not aligned.coincides.any()
        np.testing.assert_array_equal(aligned.columns, everything.columns[some])
        np.testing.assert_array_equal(aligned.rows, everything.rows[some])
