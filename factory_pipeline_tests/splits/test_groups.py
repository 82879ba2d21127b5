"""What falls to one split together: identical files, overlap, neighbours, blocks and squares."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from factory_pipeline.splits.groups import (
    IDENTICAL,
    METRES_PER_DEGREE,
    OVERLAPPING,
    Together,
    are_apart,
    block_bounds,
    blocks,
    can_fill,
    group_items,
    mgrs_squares,
    pairs_of_equal,
    too_few_groups,
)


def items(*lefts: float | None, **columns: list[Any]) -> pl.DataFrame:
    """Images of 100 x 100 pixels of 10 m in a row, by their left edges in metres; None has no place."""
    return pl.DataFrame(
        {
            "stem": [f"s{number}" for number in range(len(lefts))],
            "sha256": [None] * len(lefts),
            "epsg": [None if left is None else "EPSG:32633" for left in lefts],
            "transform": [
                None if left is None else [10.0, 0.0, 500_000 + left, 0.0, -10.0, 5_000_000.0]
                for left in lefts
            ],
            "width": [100] * len(lefts),
            "height": [100] * len(lefts),
            "bounds": [None] * len(lefts),
            **columns,
        },
        schema_overrides={
            "sha256": pl.String,
            "epsg": pl.String,
            "transform": pl.List(pl.Float64),
            "bounds": pl.List(pl.Float64),
        },
    )


def test_images_that_overlap_are_together_and_neighbours_are_not() -> None:
    three = items(0, 990, 1990)
    assert group_items(three, OVERLAPPING).tolist() == [0, 0, 2]
    assert group_items(three, IDENTICAL).tolist() == [0, 1, 2]


def test_a_chain_of_overlaps_is_one_group() -> None:
    assert group_items(items(0, 900, 1800, 5000), OVERLAPPING).tolist() == [0, 0, 0, 3]


def test_a_distance_joins_what_is_nearer() -> None:
    apart = items(0, 1500)
    assert group_items(apart, Together(buffer_m=600)).tolist() == [0, 0]
    assert group_items(apart, Together(buffer_m=400)).tolist() == [0, 1]


def test_identical_files_equal_values_and_copies_are_together() -> None:
    table = items(None, None, None, None, sha256=["a", "b", "a", None], scene=["x", "y", None, "y"])
    assert group_items(table, IDENTICAL).tolist() == [0, 1, 0, 3]
    assert group_items(table, Together(overlap=False, columns=("scene",))).tolist() == [0, 1, 0, 1]
    copies = pl.DataFrame({"stem": ["s1"], "other_stem": ["s3"]})
    assert group_items(table, IDENTICAL, copies).tolist() == [0, 1, 0, 1]


def test_images_without_a_place_overlap_nothing() -> None:
    assert group_items(items(None, None, 0, 0), OVERLAPPING).tolist() == [0, 1, 2, 2]


def test_a_place_is_in_the_bounds_of_its_block_and_blocks_are_square() -> None:
    places = np.array([[15.1, 45.3], [-70.0, -33.2], [179.99, 0.01], [0.0, 89.0]])
    bounds = block_bounds(places, 10_000)
    assert (bounds[:, :2] <= places).all()
    assert (places <= bounds[:, 2:]).all()
    height = (bounds[:, 3] - bounds[:, 1]) * METRES_PER_DEGREE
    width = (bounds[:3, 2] - bounds[:3, 0]) * METRES_PER_DEGREE * np.cos(np.radians(places[:3, 1]))
    assert height == pytest.approx(10_000)
    assert width == pytest.approx(10_000, rel=1e-2)


def test_places_of_one_block_have_one_name() -> None:
    near = np.array([[15.1, 45.3], [15.1001, 45.3001], [15.3, 45.3], [375.1, 45.3]])
    first, second, other, turned = blocks(near, 10_000)
    assert first == second == turned
    assert first != other
    assert group_items(items(0, 2000, 50_000), Together(overlap=False, block_m=1e6)).tolist() == [0, 0, 0]


def test_squares_are_those_of_utm() -> None:
    # 33U: 500 km east of the false origin is the central meridian, 15 degrees.
    assert mgrs_squares(np.array([[15.0001, 50.0], [14.9999, 50.0], [15.0001, -50.0]])).to_list() == [
        "32633 5 55",
        "32633 4 55",
        "32733 5 44",
    ]


def test_groups_that_are_in_two_splits_already_are_apart() -> None:
    group = np.array([0, 0, 2])
    assert are_apart(group, pl.Series(["train", "test", None]))
    assert not are_apart(group, pl.Series(["train", None, "test"]))


def test_as_many_groups_as_splits_are_needed_or_as_many_as_there_can_be() -> None:
    assert not can_fill(np.array([0, 0, 0]), np.array([0, 1, 2]), 2)
    assert can_fill(np.array([0, 0, 2]), np.array([0, 1, 2]), 2)
    assert can_fill(np.array([0, 0]), np.array([0, 0]), 3)
    assert "one group that can't fill" in too_few_groups(1, "images")
    assert "The windows overlap so much that they form 2 groups" in too_few_groups(2, "windows")


def test_null_joins_nothing() -> None:
    assert pairs_of_equal(pl.Series(["a", None, "b", None, "a"])).tolist() == [[0, 4]]
