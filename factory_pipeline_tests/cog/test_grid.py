import pytest
from affine import Affine

from factory_pipeline.cog.grid import Grid, GridStack, transforms_of

GRID = Grid(32633, 500_000.0, 5_600_000.0, 10.0, 20.0, 4, 3)


def test_a_transform_and_a_grid_say_the_same() -> None:
    assert GRID.transform == Affine(10, 0, 500_000, 0, -20, 5_600_000)
    assert Grid.from_transform(32633, GRID.transform, 4, 3) == GRID
    assert transforms_of([GRID, GRID]).tolist() == [[*GRID.transform]] * 2
    assert transforms_of([]).shape == (0, 9)
    assert GRID.bounds == (500_000, 5_599_940, 500_040, 5_600_000)
    assert GRID.shape == (3, 4)


@pytest.mark.parametrize(
    "bad", [Affine.rotation(5), Affine(10, 0, 0, 0, 10, 0), Affine(-10, 0, 0, 0, -10, 0)]
)
def test_grids_that_are_not_north_up_are_refused(bad: Affine) -> None:
    with pytest.raises(ValueError, match="north-up"):
        Grid.from_transform(32633, bad, 4, 3)


def test_a_window_may_reach_over_the_edges() -> None:
    window = GRID.window(-1, 2, 5, 6)
    assert (window.left, window.top, window.shape) == (500_020, 5_600_020, (5, 6))
    assert GRID.padded(1) == GRID.window(-1, -1, 5, 6)


def test_a_stack_keeps_the_places_of_its_grids() -> None:
    stack = GridStack.of([GRID, GRID.window(1, 1, 3, 4)])
    assert len(stack) == 2
    assert stack.like == GRID
    assert (stack.left.tolist(), stack.top.tolist()) == ([500_000, 500_010], [5_600_000, 5_599_980])
