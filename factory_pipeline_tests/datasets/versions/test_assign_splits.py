"""Who trains, tests and validates."""

import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datasets.versions.assign_splits import assign_splits
from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.names import SPLITS


@st.composite
def percentages(draw: st.DrawFn) -> dict[str, float]:
    """Three numbers with up to one decimal that sum to 100."""
    train = draw(st.integers(0, 1000))
    test = draw(st.integers(0, 1000 - train))
    return {"train": train / 10, "test": test / 10, "validation": (1000 - train - test) / 10}


def items(contents: list[str], kept: list[str | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"content": contents, "kept": kept or [None] * len(contents)},
        schema={"content": pl.String, "kept": pl.String},
    )


def hashes(count: int) -> list[str]:
    return [f"{random.Random(number).getrandbits(256):064x}" for number in range(count)]


@given(count=st.integers(0, 60), shares=percentages(), seed=st.integers())
def test_new_items_are_divided_to_exact_counts_whatever_their_order(
    count: int, shares: dict[str, float], seed: int
) -> None:
    contents = hashes(count)
    split = dict(zip(contents, assign_splits(items(contents), shares), strict=True))
    assert Counter(split.values()) == Counter(largest_remainder(count, shares))
    shuffled = random.Random(seed).sample(contents, count)
    assert dict(zip(shuffled, assign_splits(items(shuffled), shares), strict=True)) == split


@given(kept=st.lists(st.none() | st.sampled_from(SPLITS), max_size=40), shares=percentages())
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


@given(sizes=st.lists(st.integers(1, 5), max_size=15), shares=percentages())
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
