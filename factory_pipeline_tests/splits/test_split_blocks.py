"""Blocks of the ground: where they are, of which split, of which rules."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.splits.groups import METRES_PER_DEGREE
from factory_pipeline.splits.split_blocks import side_of_blocks, split_blocks


@pytest.mark.parametrize(
    ("rule", "side"),
    [
        ({"method": "spatial", "by": "block", "block_m": 5000}, 5000.0),
        ({"method": "spatial", "by": "mgrs", "block_m": 5000}, None),
        ({"method": "time", "space": "blocks", "block_m": 10_000.0}, 10_000.0),
        ({"method": "time", "space": "off", "block_m": 10_000.0}, None),
        ({"by": "blocks", "block_m": 2000}, 2000.0),
        ({"method": "random", "percentages": {}}, None),
    ],
)
def test_the_side_of_blocks_is_read_from_the_rules_of_all_ways(rule: dict, side: float | None) -> None:
    assert side_of_blocks(rule) == side


def test_each_block_is_there_once_around_its_items_with_their_split() -> None:
    places = np.array([[10.01, 0.01], [10.02, 0.02], [10.25, 0.01], [np.nan, np.nan], [10.4, 0.0]])
    corners = places[:, None] + np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) / 1000
    split = pl.Series(["train", "train", "test", "train", None])
    blocks = split_blocks(corners, split, METRES_PER_DEGREE / 10)
    assert blocks["split"].to_list() == ["train", "test"]
    assert blocks.row(0)[:4] == pytest.approx((10.0, 0.0, 10.1, 0.1), abs=1e-3)
    assert blocks.row(1)[:4] == pytest.approx((10.2, 0.0, 10.3, 0.1), abs=1e-3)
