"""The record of a split says what is in it, whether it leaks and whether that breaks its promise."""

from typing import Any

import polars as pl

from factory_pipeline.splits.record import SplitRecord
from factory_pipeline_tests.splits.test_groups import items

RULE = {"by": "random", "seed": 0}


def record(lefts: tuple[int, ...], splits: list[str | None], **options: Any) -> SplitRecord:
    table = items(*lefts)
    split = pl.DataFrame({"stem": table["stem"], "split": pl.Series(splits, dtype=pl.String)})
    return SplitRecord.of(table, split, RULE, **({"promises_zero": True} | options))


def test_items_groups_and_what_is_left_out_are_counted() -> None:
    found = record((0, 500, 5000, 9000), ["train", "train", "test", None], what="windows")
    assert found.splits == {"train": 2, "test": 1, "validation": 0}
    assert (found.left_out, found.groups, found.largest_group) == (1, 3, 2)
    assert not found.breaks_promise
    assert any("windows" in sentence for sentence in found.sentences)


def test_a_leak_breaks_a_promise_and_says_what_helps() -> None:
    leaking = record((0, 500), ["train", "test"], instead="Divide by blocks.")
    assert leaking.breaks_promise
    assert leaking.found.endswith("Divide by blocks.")
    assert not record((0, 500), ["train", "test"], promises_zero=False).breaks_promise
    without = record((0, 5000), ["train", "test"], instead="Divide by blocks.")
    assert "Divide by blocks." not in without.found


def test_of_no_items_there_is_a_record_too() -> None:
    found = record((), [])
    assert (found.groups, found.largest_group, sum(found.splits.values())) == (0, 0, 0)
