"""Splits: exact counts, stability, groups that stay together, and the proof that nothing leaks."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.errors import OnboardingError
from factory_pipeline.splits.assign import (
    assign_given,
    assign_partly_given,
    quotas,
    random_split,
    spatial_split,
    split_by_rule,
    together_by_location,
    write_split_files,
)
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.split_rule import GivenSplit, Percentages, RandomSplit, SpatialSplit
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.curated import items_frame, square

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
IN_PLACE = 5_000_000


def _counts(split: pl.DataFrame) -> dict[str, int]:
    return {name: split.filter(pl.col("split") == name).height for name in SPLITS}


def _named(count: int, start: int = 0) -> pl.DataFrame:
    return items_frame([{"original_name": f"image {number}"} for number in range(start, start + count)])


def _earlier(items: pl.DataFrame, split: pl.DataFrame) -> pl.DataFrame:
    return items.join(split, on="stem").select("original_name", "sha256", "split")


@given(count=st.integers(0, 500), shares=st.tuples(st.integers(0, 100), st.integers(0, 100)))
@settings(max_examples=up_to(30))
def test_quotas_sum_up_and_are_less_than_one_off(count: int, shares: tuple[int, int]) -> None:
    low, high = sorted(shares)
    percentages = {"train": low, "test": high - low, "validation": 100 - high}
    found = quotas(count, percentages)
    assert sum(found.values()) == count
    assert all(abs(found[split] - count * share / 100) < 1 for split, share in percentages.items())


def test_quotas_are_the_largest_remainders_on_paper() -> None:
    percentages = {"train": 70.0, "test": 20.0, "validation": 10.0}
    assert quotas(8, percentages) == {"train": 6, "test": 1, "validation": 1}
    assert _counts(random_split(_named(8), percentages, 0)) == quotas(8, percentages)


def test_what_is_placed_stays_where_it_is_though_another_count_would_be_nearer() -> None:
    items, percentages = _named(8), {"train": 70.0, "test": 20.0, "validation": 10.0}
    placed = pl.Series("split", ["train"] * 5 + ["test"] * 2 + ["validation"])
    earlier = items.select("original_name", "sha256").with_columns(placed)
    assert random_split(items, percentages, 0, earlier)["split"].to_list() == placed.to_list()


@pytest.mark.parametrize("percentages", [{"train": 60}, {"train": 120, "test": -20}, {"learn": 100}])
def test_percentages_must_sum_to_100(percentages: dict[str, float]) -> None:
    with pytest.raises(OnboardingError, match="sum to 100") as error:
        quotas(10, percentages)
    assert error.value.code == "SPLIT_INVALID"


@given(count=st.integers(1, 120), seed=st.integers(0, 1000))
@settings(max_examples=up_to(12), deadline=None)
def test_a_random_split_is_exact_and_does_not_depend_on_the_order(count: int, seed: int) -> None:
    items = _named(count)
    split = random_split(items, SHARES, seed)
    assert _counts(split) == quotas(count, SHARES)
    assert split["stem"].to_list() == items["stem"].to_list()
    assert random_split(items.reverse(), SHARES, seed).sort("stem").equals(split.sort("stem"))


def test_another_seed_is_another_split() -> None:
    items = _named(50)
    assert not random_split(items, SHARES, 1).equals(random_split(items, SHARES, 2))


@pytest.mark.integration
@given(before=st.integers(1, 80), added=st.integers(0, 60), seed=st.integers(0, 99))
@settings(max_examples=up_to(12), deadline=None)
def test_images_keep_their_split_when_others_are_added(before: int, added: int, seed: int) -> None:
    first = _named(before)
    earlier = _earlier(first, random_split(first, SHARES, seed))
    # New files sort in front, so that every stem means another image than before.
    grown = pl.concat([_named(added, start=1000), first]).with_columns(
        pl.format("t{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)).alias("stem")
    )
    split = random_split(grown, SHARES, seed, earlier)
    kept = _earlier(grown, split).join(earlier, on="original_name")
    assert kept.height == before
    assert (kept["split"] == kept["split_right"]).all()
    assert _counts(split) == quotas(before + added, SHARES)


def test_a_renamed_image_keeps_its_split_by_its_content() -> None:
    items = _named(10)
    earlier = _earlier(items, random_split(items, SHARES, 0))
    renamed = items.with_columns(pl.format("new {}", "original_name").alias("original_name"))
    again = _earlier(renamed, random_split(renamed, SHARES, 0, earlier))
    assert again.sort("sha256")["split"].equals(earlier.sort("sha256")["split"])


def test_without_an_earlier_split_few_images_move() -> None:
    first, grown = _named(1000), _named(1050)
    both = random_split(first, SHARES, 0).join(random_split(grown, SHARES, 0), on="stem")
    moved = both.filter(pl.col("split") != pl.col("split_right")).height
    assert moved < 50, "a fresh draw would move more than half"


@given(contents=st.lists(st.integers(0, 12), min_size=1, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=up_to(12), deadline=None)
def test_duplicates_stay_together(contents: list[int], seed: int) -> None:
    items = items_frame([{"sha256": f"{content:064x}"} for content in contents])
    split = random_split(items, SHARES, seed)
    sides = items.join(split, on="stem").group_by("sha256").agg(pl.col("split").n_unique())
    assert (sides["split"] == 1).all()
    assert not leak_report(items, split).leaks


def test_a_given_split_is_taken_as_it_is() -> None:
    items = _named(4)
    split = assign_given(
        items, {"train": ["image 0", "image 3"], "test": ["image 2"], "validation": ["image 1"]}
    )
    assert split["split"].to_list() == ["train", "validation", "test", "train"]


@pytest.mark.parametrize(
    ("given_names", "message"),
    [
        ({"train": ["image 0"]}, "don't list these images: image 1"),
        ({"train": ["image 0", "image 1"], "test": ["image 1"]}, "twice: image 1"),
        ({"train": ["image 0", "image 1", "image 9"]}, "don't exist: image 9"),
        ({"learn": ["image 0", "image 1"]}, "not learn"),
    ],
)
def test_a_given_split_names_every_image_once(given_names: dict[str, list[str]], message: str) -> None:
    with pytest.raises(OnboardingError, match=message):
        assign_given(_named(2), given_names)


DRAWN = {"train": 75.0, "test": 0.0, "validation": 25.0}


@pytest.mark.integration
@given(
    tests=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    others=st.tuples(st.integers(1, 60), st.integers(0, 60)),
    seed=st.integers(0, 99),
)
@settings(max_examples=up_to(12), deadline=None)
def test_images_that_no_list_names_are_drawn_and_keep_their_split(
    tests: tuple[int, int], others: tuple[int, int], seed: int
) -> None:
    rule = GivenSplit(test_file="test.txt", percentages=Percentages(**DRAWN), seed=seed)

    def split(tests: int, others: int, earlier: pl.DataFrame | None = None) -> pl.DataFrame:
        items = pl.concat([_named(others), _named(tests, start=1000)]).with_columns(
            pl.format("t{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)).alias("stem")
        )
        listed = {"test": [f"image {number}" for number in range(1000, 1000 + tests)]}
        found = split_by_rule(items, rule, listed, earlier)
        assert found["stem"].equals(items["stem"])
        assert _counts(found) == quotas(others, DRAWN) | {"test": tests}
        return _earlier(items, found)

    before = split(tests[0], others[0])
    after = split(sum(tests), sum(others), before)
    assert after.join(before, on=["original_name", "split"]).height == before.height


def test_an_image_that_a_list_names_now_leaves_its_earlier_split() -> None:
    items = _named(4)
    earlier = items.select("original_name", "sha256", split=pl.lit("test"))
    split = assign_partly_given(items, {"validation": ["image 3"]}, DRAWN, 0, earlier)
    assert split["split"].to_list().count("validation") == 2
    assert split["split"][3] == "validation"
    assert "test" not in split["split"]


def test_the_rule_of_the_manifest_decides() -> None:
    items = items_frame([square(500_000 + 200 * n, IN_PLACE, 100) for n in range(10)])
    assert split_by_rule(items, RandomSplit(seed=3)).equals(random_split(items, SHARES, 3))
    spatial = SpatialSplit(by="overlap", buffer_m=10, seed=3)
    assert split_by_rule(items, spatial).equals(
        spatial_split(items, SHARES, 3, together_by_location("overlap", 10))
    )
    lists = GivenSplit(train=("image 0",), test_file="test.txt")
    rest = [f"image {n}" for n in range(1, 10)]
    assert _counts(split_by_rule(items, lists, listed={"test": rest})) == {
        "train": 1,
        "test": 9,
        "validation": 0,
    }


def test_split_files_hold_one_stem_per_line(tmp_path) -> None:
    split = pl.DataFrame({"stem": ["b", "a", "c"], "split": ["train", "train", "validation"]})
    write_split_files(tmp_path, split)
    assert (tmp_path / "train_data.txt").read_text() == "a\nb\n"
    assert (tmp_path / "val_data.txt").read_text() == "c\n"
    assert (tmp_path / "test_data.txt").read_text() == ""


places = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from([100, 200, 400])),
    min_size=2,
    max_size=40,
)


@pytest.mark.integration
@given(
    places=places,
    by=st.sampled_from(["overlap", "block", "mgrs"]),
    buffer_m=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=up_to(20), deadline=None)
def test_no_group_crosses_a_spatial_split(
    places: list[tuple[int, int, int]], by: str, buffer_m: float, seed: int
) -> None:
    # Two more places far off, so that there are three groups at least.
    rows = [square(500_000 + 50 * x, IN_PLACE + 50 * y, side) for x, y, side in places]
    rows += [square(500_000, IN_PLACE + far, 100) for far in (200_000, 400_000)]
    items = items_frame(rows)
    split = spatial_split(items, SHARES, seed, together_by_location(by, buffer_m, block_m=2000))
    report = leak_report(items, split, buffer_m)
    assert not report.leaks
    assert report.leaking_share == 0
    assert min(_counts(split).values()) > 0
    shuffled = items.sample(fraction=1, shuffle=True, seed=seed)
    assert (
        spatial_split(shuffled, SHARES, seed, together_by_location(by, buffer_m, block_m=2000))
        .sort("stem")
        .equals(split.sort("stem"))
    )


def test_blocks_hold_neighbours_together_that_do_not_touch() -> None:
    places = [(x, y) for x in range(12) for y in range(12)]
    items = items_frame([square(500_000 + 1000 * x, IN_PLACE + 1000 * y, 500) for x, y in places])
    split = spatial_split(items, SHARES, 0, together_by_location("block", block_m=3000))
    table = dict(zip(places, split["split"], strict=True))
    neighbours = [table[x, y] == table[x + 1, y] for x, y in places if x < 11]
    assert np.mean(neighbours) > 0.6, "at random it would be 0.44"
    assert all(abs(_counts(split)[name] - quotas(144, SHARES)[name]) <= 9 for name in SPLITS)


def test_a_spatial_split_keeps_earlier_images_and_takes_new_neighbours_in() -> None:
    first = items_frame([square(500_000 + 1000 * n, IN_PLACE, 500) for n in range(20)])
    earlier = _earlier(first, spatial_split(first, SHARES, 0, together_by_location("overlap")))
    beside = items_frame(
        [square(500_200 + 1000 * n, IN_PLACE, 500) | {"original_name": f"new {n}"} for n in range(20)]
    ).with_columns(pl.format("t{}", "stem").alias("stem"))
    grown = pl.concat([first, beside])
    split = _earlier(grown, spatial_split(grown, SHARES, 5, together_by_location("overlap"), earlier=earlier))
    assert split.head(20)["split"].equals(earlier["split"])
    assert split.tail(20)["split"].equals(earlier["split"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{} for _ in range(5)], "none is"),
        (
            [square(500_000 + 10 * n, IN_PLACE, 500) for n in range(5)],
            "form 1 group by location and 3 splits",
        ),
    ],
)
def test_a_spatial_split_that_cannot_be_says_what_to_do(rows: list[dict], message: str) -> None:
    with pytest.raises(OnboardingError, match=message):
        spatial_split(items_frame(rows), SHARES, 0, together_by_location("overlap"))
