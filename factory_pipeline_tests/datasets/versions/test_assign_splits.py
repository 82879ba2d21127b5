"""Who trains, tests and validates."""

import random
from collections import Counter
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.assign_splits import SplitPlan, plan_splits
from factory_pipeline.datasets.versions.item_ground import GROUND
from factory_pipeline.errors import ArgumentError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.balance import Classes
from factory_pipeline.splits.groups import blocks
from factory_pipeline.splits.names import SPLITS


@st.composite
def percentages(draw: st.DrawFn) -> dict[str, float]:
    """Three numbers with up to one decimal that sum to 100; equal remainders are served in their order."""
    train = draw(st.integers(0, 1000))
    test = draw(st.integers(0, 1000 - train))
    shares = {"train": train / 10, "test": test / 10, "validation": (1000 - train - test) / 10}
    return {split: shares[split] for split in SPLITS}


def items(contents: list[str], kept: list[str | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"content": contents, "kept": kept or [None] * len(contents)},
        schema={"content": pl.String, "kept": pl.String},
    )


def planned(frame: pl.DataFrame, shares: Mapping[str, float], **asked: Any) -> SplitPlan:
    """The splits of items, which are nowhere unless they have the columns GROUND."""
    there = [name for name in GROUND if name in frame.columns]
    nowhere = [pl.lit(None, dtype).alias(name) for name, dtype in GROUND.items() if name not in there]
    wanted = asked.pop("classes", None)
    request = DatasetRequest.of(dataset_name="d", split_info=shares, labels=[], **asked)
    joining = [frame[name] for name in request.group_by]
    return plan_splits(frame.with_columns(*nowhere, split="kept"), wanted, request, joining)


def assign_splits(frame: pl.DataFrame, shares: Mapping[str, float]) -> pl.Series:
    """Without places, both ways to treat overlap give the same."""
    split = planned(frame, shares, overlap="ignore").split
    assert split.equals(planned(frame, shares).split)
    return split


def hashes(count: int) -> list[str]:
    return [f"{random.Random(number).getrandbits(256):064x}" for number in range(count)]


@pytest.mark.integration
@given(count=st.integers(0, 60), shares=percentages(), seed=st.integers())
@settings(deadline=None)
def test_new_items_are_divided_to_exact_counts_whatever_their_order(
    count: int, shares: dict[str, float], seed: int
) -> None:
    contents = hashes(count)
    split = dict(zip(contents, assign_splits(items(contents), shares), strict=True))
    assert Counter(split.values()) == Counter(largest_remainder(count, shares))
    shuffled = random.Random(seed).sample(contents, count)
    assert dict(zip(shuffled, assign_splits(items(shuffled), shares), strict=True)) == split


def test_equal_remainders_are_served_alike_however_the_request_orders_its_shares() -> None:
    shares = {"train": 18.2, "test": 75.9, "validation": 5.9}
    counts = {
        frozenset(Counter(assign_splits(items(hashes(10)), {each: shares[each] for each in order})).items())
        for order in permutations(shares)
    }
    assert counts == {frozenset({"train": 2, "validation": 1, "test": 7}.items())}


@given(kept=st.lists(st.none() | st.sampled_from(SPLITS), max_size=40), shares=percentages())
@settings(deadline=None)
def test_what_has_a_split_keeps_it_and_the_others_fill_what_is_missing(
    kept: list[str | None], shares: dict[str, float]
) -> None:
    split = assign_splits(items(hashes(len(kept)), kept), shares)
    assert all(now == before for now, before in zip(split, kept, strict=True) if before)
    counts, wanted = Counter(split), largest_remainder(len(kept), shares)
    held = Counter(before for before in kept if before)
    if all(held[each] <= wanted[each] for each in SPLITS):
        assert counts == Counter(wanted)
    else:  # what is too much stays; nothing is added to it
        assert all(counts[each] == held[each] for each in SPLITS if held[each] > wanted[each])


@pytest.mark.integration
@given(sizes=st.lists(st.integers(1, 5), max_size=15), shares=percentages())
@settings(deadline=None)
def test_items_of_the_same_content_are_on_one_side(sizes: list[int], shares: dict[str, float]) -> None:
    contents = [content for content, size in zip(hashes(len(sizes)), sizes, strict=True) for _ in range(size)]
    split = assign_splits(items(contents), shares)
    assert len(set(zip(contents, split, strict=True))) == len(sizes)
    assert all(shares[each] > 0 for each in split)
    missed = Counter(split)
    wanted = largest_remainder(len(contents), shares)
    assert all(abs(missed[each] - wanted[each]) <= 2 * max(sizes, default=0) for each in SPLITS)


@pytest.mark.parametrize("added", [0, 1, 7])
def test_a_twin_of_an_item_that_is_kept_joins_it(added: int) -> None:
    contents = hashes(4 + added)
    frame = items([contents[0], *contents], ["test", *[None] * len(contents)])
    assert assign_splits(frame, {"train": 100, "test": 0, "validation": 0})[:2].to_list() == ["test", "test"]


def on_a_line(step_m: float, count: int = 40) -> pl.DataFrame:
    """Items of 320 m in UTM 33, four at each of ten places, which are far apart."""
    places = [(500_000.0 + 9_000 * (number % 10) + step_m * (number // 10), 5e6) for number in range(count)]
    return items(hashes(count)).with_columns(
        epsg=pl.lit("EPSG:32633"),
        transform=pl.Series([[10.0, 0.0, x, 0.0, -10.0, y] for x, y in places]),
        width=pl.lit(32),
        height=pl.lit(32),
    )


SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def test_items_that_overlap_are_in_one_split_unless_that_is_ignored() -> None:
    frame = on_a_line(60.0)
    grouped = planned(frame, SHARES)
    record = grouped.record()
    assert (record.promises_zero, record.leaks.leaks, record.groups) == (True, False, 10)
    division = grouped.division(record)
    assert division.splits == {"train": 24, "test": 8, "validation": 8}
    assert division.leaking_share == 0
    assert "a random split would separate" in division.notes[0]

    plain = planned(frame, SHARES, overlap="ignore")
    record = plain.record()
    assert (record.promises_zero, record.leaks.leaks) == (False, True)
    division = plain.division(record)
    assert division.splits == {"train": 24, "test": 8, "validation": 8}
    assert division.leaking_share > 0.5
    assert "The split leaks" in division.notes[0]
    assert "overlap='group'" in division.notes[0]


def test_overlap_is_ignored_where_a_split_would_be_empty_and_that_is_said() -> None:
    frame = on_a_line(60.0).head(1).select(pl.exclude("content"))
    frame = pl.concat([frame] * 5).with_columns(pl.Series("content", hashes(5)))
    plan = planned(frame, SHARES)
    assert plan.split.equals(planned(frame, SHARES, overlap="ignore").split)
    assert plan.split.n_unique() == 3
    record = plan.record()
    assert not record.promises_zero
    assert record.sentences[0].startswith("The split leaks: 7 of 10 pairs")
    assert record.sentences[1].endswith("form one group that can't fill all splits, so overlap was ignored.")
    assert planned(frame, {"train": 100, "test": 0, "validation": 0}).split.n_unique() == 1


def test_what_leaked_in_the_source_version_stays_and_is_said() -> None:
    frame = on_a_line(60.0)
    earlier = planned(frame, SHARES, overlap="ignore").split
    kept = planned(frame.with_columns(kept=earlier), SHARES)
    assert kept.split.equals(earlier)
    record = kept.record()
    assert record.leaks.leaks
    assert not record.promises_zero
    assert "keep_splits=False" in record.found
    assert not planned(frame.with_columns(kept=earlier), SHARES, keep_splits=False).record().leaks.leaks


def test_new_items_join_those_that_they_overlap() -> None:
    frame = on_a_line(60.0)
    before = planned(frame.head(30), SHARES).split
    grown = frame.with_columns(kept=before.extend_constant(None, 10))
    after = planned(grown, SHARES)
    assert after.split[:30].equals(before[:30])
    assert not after.record().leaks.leaks


def classes(**properties: list[Any]) -> Classes:
    return Classes.of(pl.DataFrame(properties))


@pytest.mark.integration
@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=6, max_size=40),
    shares=st.sampled_from([SHARES, {"train": 80.0, "test": 0.0, "validation": 20.0}]),
)
@settings(max_examples=30)
def test_every_label_is_in_every_split_or_the_version_is_refused(
    labels: list[str], shares: dict[str, float]
) -> None:
    frame, wanted = items(hashes(len(labels))), classes(label=[[label] for label in labels])
    filled = [split for split, share in shares.items() if share]
    rare = [label for label, count in Counter(labels).items() if count < len(filled)]
    if rare:
        with pytest.raises(ArgumentError, match=f"no label [{''.join(rare)}], which occurs in [12] separate"):
            planned(frame, shares, classes=wanted, require_all_labels=True)
        return
    split = planned(frame, shares, classes=wanted, require_all_labels=True).split
    for label in set(labels):
        assert {each for each, of in zip(split, labels, strict=True) if of == label} >= set(filled)


def test_a_rare_label_is_named_with_its_places_and_what_would_help() -> None:
    frame = items(hashes(20))
    wanted = classes(label=[["rare"] if number == 3 else ["common"] for number in range(20)])
    said = r"no label rare, which occurs in 1 separate place\. More items of it"
    with pytest.raises(ArgumentError, match=said):
        planned(frame, SHARES, classes=wanted, require_all_labels=True)
    assert any("no label rare" in note for note in planned(frame, SHARES, classes=wanted).record().sentences)


def test_properties_keep_their_share_in_every_split() -> None:
    years = ["2020", "2021"] * 50
    split = planned(items(hashes(100)), SHARES, classes=classes(year=years)).split
    counts = Counter(zip(split, years, strict=True))
    assert {counts["train", year] for year in years} == {30}
    assert {counts["test", year] for year in years} == {10}


def test_items_with_an_equal_property_are_in_one_split() -> None:
    frame = items(hashes(30)).with_columns(granule=pl.Series([*"aabbbccddd" * 2, *[None] * 10]))
    plan = planned(frame, SHARES, group_by=["granule"])
    sides = frame.with_columns(side=plan.split).drop_nulls("granule")
    assert sides.group_by("granule").agg(pl.col("side").n_unique())["side"].to_list() == [1, 1, 1, 1]
    assert plan.split.n_unique() == 3
    with pytest.raises(ArgumentError, match="form 1 group by it, and 3 splits are to be filled"):
        planned(frame.with_columns(granule=pl.lit("a")), SHARES, group_by=["granule"])


def on_a_grid(count: int, step_m: float, left: float = 500_000) -> pl.DataFrame:
    """Items of 100 m side, whose corners are so many metres apart, ten in a row."""
    corners = [(left + step_m * (n % 10), 5_300_000 - step_m * (n // 10)) for n in range(count)]
    return items(hashes(count)).with_columns(
        epsg=pl.lit("EPSG:32633"),
        transform=pl.Series([[10.0, 0.0, x, 0.0, -10.0, y] for x, y in corners]),
        width=pl.lit(10, pl.Int64),
        height=pl.lit(10, pl.Int64),
        bounds=pl.lit(None, pl.List(pl.Float64())),
    )


@pytest.mark.integration
@given(block_m=st.sampled_from([500.0, 1200.0, 2500.0]), seed=st.integers())
@settings(deadline=None)
def test_items_of_one_block_of_the_ground_are_in_one_split(block_m: float, seed: int) -> None:
    frame = on_a_grid(100, 300)
    plan = planned(frame, SHARES, block_m=block_m)
    in_block = frame.with_columns(
        blocks(footprints(frame).mean(axis=1), block_m).alias("block"), split=plan.split
    )
    assert in_block.group_by("block").agg(pl.col("split").n_unique())["split"].unique().to_list() == [1]
    assert plan.split.n_unique() == 3
    rule = plan.record().as_json()["rule"]
    assert (rule["by"], rule["block_m"]) == ("blocks", block_m)
    order = random.Random(seed).sample(range(100), 100)
    assert planned(frame[order], SHARES, block_m=block_m).split.equals(plan.split[order])


def test_items_of_different_splits_are_as_far_apart_as_the_buffer_says() -> None:
    frame = pl.concat([on_a_grid(100, 150), on_a_grid(100, 150, left=700_000)])
    frame = frame.with_columns(content=pl.Series(hashes(200)))
    plan = planned(frame, {"train": 50, "test": 50, "validation": 0}, buffer_m=60)
    assert plan.split[:100].n_unique() == plan.split[100:].n_unique() == 1, "all of a cluster are 50 m apart"
    assert plan.split.n_unique() == 2
    assert planned(frame, SHARES).split[:100].n_unique() == 3


@pytest.mark.parametrize("asked", [{"block_m": 1e6}, {"buffer_m": 1e5}])
def test_places_that_leave_too_few_groups_are_refused(asked: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(asked))} is .*form . groups? by it, and 3 splits"):
        planned(on_a_grid(20, 300), SHARES, **asked)


def test_blocks_need_items_with_a_place() -> None:
    with pytest.raises(ArgumentError, match="no item is georeferenced"):
        planned(items(hashes(20)), SHARES, block_m=1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("block_m", 0), ("block_m", -1), ("block_m", "10"), ("buffer_m", -1), ("buffer_m", None)],
)
def test_lengths_are_numbers_of_metres(name: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{name} is .*must be a number of metres"):
        planned(items(hashes(4)), SHARES, **{name: value})


@pytest.mark.parametrize(
    "asked",
    [
        {"balance": ["year"]},
        {"group_by": ["id"]},
        {"block_m": 100},
        {"buffer_m": 1},
        {"require_all_labels": True},
    ],
)
def test_plain_percentages_balance_nothing(asked: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(asked))} is .*it is for overlap='group'"):
        planned(items(hashes(4)), SHARES, overlap="ignore", **asked)
