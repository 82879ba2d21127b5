"""Blocks near sites."""

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.coverage import MARGIN, Sites, blocks_near, strips

GRID = Grid(32633, 500_000.0, 5_400_000.0, 10.0, 10.0, 1000, 1000)


def test_a_site_in_a_block_needs_its_neighbours_within_the_margin():
    inside = blocks_near(GRID, 256, np.array([501_280.0]), np.array([5_398_720.0]), MARGIN, MARGIN)
    assert inside == [(0, 0)]
    corner = blocks_near(GRID, 256, np.array([502_560.0]), np.array([5_397_440.0]), MARGIN, MARGIN)
    assert corner == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert blocks_near(GRID, 256, np.array([400_000.0]), np.array([5_397_440.0]), MARGIN, MARGIN) == []


def test_strips_are_the_centres_of_a_block():
    parts = list(strips(GRID, 256, (1, 2)))
    x, y = (np.concatenate([part[axis] for part in parts]) for axis in (0, 1))
    assert x.shape == y.shape == (256, 256)
    assert (x[0, 0], y[0, 0]) == (500_000 + 512 * 10 + 5, 5_400_000 - 256 * 10 - 5)
    assert (x[-1, -1] - x[0, 0], y[0, 0] - y[-1, -1]) == (2550, 2550)


def test_margins_grow_with_latitude():
    east, north = Sites(np.array([0.0, 0.0]), np.array([0.0, 60.0])).margin_degrees
    assert east[1] > 1.9 * east[0]
    assert 0 < north < 0.003
