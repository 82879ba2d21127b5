"""The record of a split says what is in it, whether it leaks and whether that breaks its promise."""

from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.window_leaks import search_windows
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


def test_windows_of_a_build_have_the_record_of_items_in_memory(tmp_path: Path) -> None:
    lefts, splits = (0, 500, 5000, 9000, None), ["train", "test", "test", "train", "train"]
    shares = {"train": 50.0, "test": 30.0, "validation": 20.0}
    expected = record(lefts, splits, what="windows", percentages=shares)
    windows = items(*lefts).with_columns(split=pl.Series(splits))
    found = SplitRecord.of_windows(
        search_windows([windows], tmp_path), RULE, promises_zero=True, percentages=shares
    )
    assert found.as_json() == expected.as_json()
    nothing = search_windows([windows.clear()], tmp_path)
    of_nothing = SplitRecord.of_windows(nothing, RULE, promises_zero=True, percentages=shares)
    assert of_nothing.as_json() == record((), [], what="windows", percentages=shares).as_json()
