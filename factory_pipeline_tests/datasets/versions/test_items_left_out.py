"""Versions that time or a property divides: nothing leaks, who gives way is named, and nobody else does."""

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.assign_splits import SplitPlan, plan_splits
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.balance import Classes
from factory_pipeline_tests.datasets.versions.test_assign_splits import items, on_a_grid
from factory_pipeline_tests.examples import up_to

YEARS = {"by": "column", "column": "year", "train": [2020], "test": [2021]}
SHARES = {"train": 60.0, "test": 40.0, "validation": 0.0}


def planned(frame: pl.DataFrame, said: pl.Series, classes: Classes | None = None, **asked: Any) -> SplitPlan:
    given = {"dataset_name": "d", "split_info": {}, "labels": [], "split_by": YEARS, **asked}
    request = DatasetRequest.of(**given)
    joining = [frame[name] for name in request.group_by]
    frame = frame.with_columns(given=pl.lit(None, pl.String), sha256=pl.lit(None, pl.String), split="kept")
    return plan_splits(frame, classes, request, joining, said=said)


def by_year(count: int, seed: int) -> pl.Series:
    years = random.Random(seed).choices(["train", "test", None], [5, 4, 1], k=count)
    return pl.Series("split", years, dtype=pl.String)


@pytest.mark.integration
@given(
    seed=st.integers(0, 999),
    step_m=st.sampled_from([60.0, 300.0]),
    asked=st.sampled_from(
        [{}, {"buffer_m": 250.0}, {"block_m": 700.0, "split_info": SHARES}, {"group_by": ["granule"]}]
    ),
)
@settings(max_examples=up_to(15), deadline=None)
def test_nothing_leaks_and_each_item_is_in_its_split_or_named(
    seed: int, step_m: float, asked: dict[str, Any]
) -> None:
    frame = on_a_grid(100, step_m).with_columns(
        granule=pl.Series(random.Random(seed).choices([*"abcdefgh", None, None], k=100))
    )
    said = by_year(100, seed)
    try:
        plan = planned(frame, said, **asked)
    except ArgumentError:
        assume(False)
    record = plan.record()
    assert (record.promises_zero, record.leaks.leaks) == (True, False)
    assert (plan.split.is_null() == plan.reason.is_not_null()).all()
    placed = plan.split.is_not_null()
    assert plan.split.filter(placed).equals(said.filter(placed), check_names=False)
    assert (plan.reason == "no_split").fill_null(False).equals(said.is_null(), check_names=False)
    if "group_by" in asked:
        sides = frame.with_columns(side=plan.split).drop_nulls(["granule", "side"])
        assert sides.group_by("granule").agg(pl.col("side").n_unique())["side"].to_list().count(1) == len(
            sides["granule"].unique()
        )
    order = random.Random(seed + 1).sample(range(100), 100)
    again = planned(frame[order], said[order], **asked)
    assert again.split.equals(plan.split[order])


def test_blocks_are_held_out_and_time_decides_in_them() -> None:
    frame, said = on_a_grid(100, 300), by_year(100, 1)
    plan = planned(frame, said, block_m=900.0, split_info=SHARES)
    assert {"outside", "no_split"} <= set(plan.reason.drop_nulls())
    assert set(plan.split.drop_nulls()) == {"train", "test"}
    rule = plan.record().as_json()["rule"]
    assert (rule["method"], rule["space"], rule["block_m"]) == ("column", "blocks", 900.0)


def test_plain_years_keep_all_and_say_how_much_leaks() -> None:
    frame, said = on_a_grid(100, 60), by_year(100, 2)
    plan = planned(frame, said, overlap="ignore")
    record = plan.record({"no_split": {"lake": ["a", "b"]}})
    assert set(plan.reason.drop_nulls()) == {"no_split"}
    assert (record.promises_zero, record.leaks.leaks) == (False, True)
    assert record.leaks.leaking_share > 0.5
    assert "overlap='group'" in record.found
    assert "block_m (--block-m) takes each split from blocks of the ground of its own" in record.found
    assert "2 items are in no split: the rule names none for them." in record.sentences
    assert record.as_json()["left_out_items"] == {"no_split": {"lake": ["a", "b"]}}


@pytest.mark.integration
@given(seed=st.integers(0, 999), before=st.integers(30, 90))
@settings(max_examples=up_to(10), deadline=None)
def test_what_is_placed_stays_and_the_new_give_way(seed: int, before: int) -> None:
    frame = on_a_grid(100, 90)
    said = pl.Series("split", random.Random(seed).choices(["train", "test"], [9, 1], k=100))
    try:
        first = planned(frame[:before], said[:before])
    except ArgumentError:
        assume(False)
    kept = first.split.extend_constant(None, 100 - before)
    grown = planned(frame.with_columns(kept=kept), said)
    was = kept.is_not_null()
    assert grown.split.filter(was).equals(kept.filter(was))
    assert grown.record().promises_zero
    assert not grown.record().leaks.leaks
    leaking = planned(frame.with_columns(kept=said), said)
    assert leaking.split.equals(said, check_names=False)
    assert not leaking.record().promises_zero


def test_identical_items_and_those_without_a_place() -> None:
    frame = items(["a", "a", "b", "b", "c"]).with_columns(
        epsg=pl.lit(None, pl.String),
        transform=pl.lit(None, pl.List(pl.Float64)),
        width=pl.lit(8),
        height=pl.lit(8),
        bounds=pl.lit(None, pl.List(pl.Float64)),
    )
    said = pl.Series(["train", "test", "train", "train", None])
    assert planned(frame, said).split.to_list() == [None, "test", "train", "train", None]
    with pytest.raises(ArgumentError, match="no item is georeferenced"):
        planned(frame, said, block_m=5.0, split_info=SHARES)


def test_a_split_without_items_is_refused_with_the_reasons() -> None:
    frame = on_a_grid(4, 10)
    said = pl.Series(["train", "test", "train", None])
    with pytest.raises(ArgumentError, match=r"no item is left in train: of 2, 2 are too near"):
        planned(frame, said)


def test_a_label_that_gave_way_everywhere_is_named() -> None:
    frame = on_a_grid(100, 300)
    said = pl.Series(["train", "test"] * 50)
    labels = ["rare" if number == 0 else "common" for number in range(100)]
    classes = Classes.of(pl.DataFrame({"label": labels}))
    with pytest.raises(ArgumentError, match="The split test has no label rare, which occurs in 1 separate"):
        planned(frame, said, classes, require_all_labels=True)
    planned(frame, said, Classes.of(pl.DataFrame({"label": ["common"] * 100})), require_all_labels=True)
