"""The record of a split says what is in it, whether it leaks and whether that breaks its promise."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.splits.names import NEAR
from factory_pipeline.splits.record import SplitRecord, read_record
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


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = record(
        (0, 500, 5000),
        ["train", "test", None],
        percentages={"train": 50, "test": 50, "validation": 0},
        left_out_items={NEAR: {"fair": ["s2"]}},
        remark="Said too.",
    )
    found.write(tmp_path / "splits.json")
    stored = read_record(tmp_path / "splits.json")
    assert stored == json.loads(json.dumps(found.as_json()))
    assert stored["splits"] == {"train": 1, "test": 1, "validation": 0}
    assert (stored["pairs"], stored["crossing_pairs"]) == (1, 1)
    assert stored["leaking"] | {"share_at_random": None} == {
        "items": 1,
        "of": 1,
        "share": 1.0,
        "share_at_random": None,
    }
    assert stored["left_out_items"] == {NEAR: {"fair": ["s2"]}}
    assert stored["balance"] is not None
    assert "Said too." in stored["sentences"]


def test_of_no_items_there_is_a_record_too() -> None:
    found = record((), [])
    assert (found.groups, found.largest_group, sum(found.splits.values())) == (0, 0, 0)
