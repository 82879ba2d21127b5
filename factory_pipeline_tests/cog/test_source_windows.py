"""Which windows can be resampled together, and what they need of their sources."""

import numpy as np
import pytest

from factory_pipeline.cog.alignment import align
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import Resampling
from factory_pipeline.cog.source_windows import batch_windows, is_coarser_than_source

SOURCE = Grid(32633, 500_000, 5_000_000, 10, 10, 1000, 1000)


def window(row: float, column: float, size: int = 32, pixel: float = 10) -> Grid:
    return Grid(32633, 500_000 + 10 * column, 5_000_000 - 10 * row, pixel, pixel, size, size)


def members(windows: list[Grid], resampling: Resampling = Resampling.BILINEAR) -> list[list[int]]:
    return sorted(
        batch.members.tolist() for batch in batch_windows(GridStack.of(windows), [SOURCE], resampling)
    )


def test_windows_on_the_pixels_of_the_source_are_together() -> None:
    assert members([window(0, 0), window(500, 300), window(7, 9)]) == [[0, 1, 2]]


def test_windows_between_the_pixels_are_apart() -> None:
    assert members([window(0, 0), window(40.5, 40.5), window(8, 3)]) == [[0, 2], [1]]


def test_windows_with_larger_pixels_are_left_to_gdal_unless_nearest_is_taken() -> None:
    coarse = window(0, 0, pixel=20)
    assert members([coarse]) == []
    assert members([coarse], Resampling.NEAREST) == [[0]]


def test_a_window_outside_needs_nothing() -> None:
    (batch,) = batch_windows(GridStack.of([window(5000, 5000)]), [SOURCE], Resampling.BILINEAR)
    assert list(batch.samplings) == [None]
    assert batch.shape == (32, 32)


@pytest.mark.parametrize(("pixel", "expected"), [(10, False), (9.9, False), (10.1, True), (20, True)])
def test_larger_pixels_are_coarser(pixel: float, expected: bool) -> None:
    grid = Grid(32633, 500_003, 4_999_997, pixel, pixel, 32, 32)
    coarse = is_coarser_than_source(align(GridStack.of([grid]), SOURCE), grid.shape)
    assert coarse.tolist() == [expected]
    assert coarse.dtype == np.bool_


def test_the_size_of_a_single_pixel_is_unknown() -> None:
    grid = Grid(32633, 500_003, 4_999_997, 10, 10, 1, 1)
    assert is_coarser_than_source(align(GridStack.of([grid]), SOURCE), grid.shape).all()
