from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi.granules import calendar_day
from factory_pipeline.builds.gedi.sampling import draw_shots
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline.errors import RecipeError
from factory_pipeline_tests.builds.gedi.factories import footprints, seconds
from factory_pipeline_tests.examples import up_to

DAYS = st.lists(st.integers(1, 30), min_size=1, max_size=12)
"""How many footprints each of some days has."""


def candidates(per_day: list[int], first: date = date(2020, 12, 25)) -> pl.DataFrame:
    """Footprints of consecutive days."""
    times = [
        seconds(first + timedelta(days=day)) + shot
        for day, shots in enumerate(per_day)
        for shot in range(shots)
    ]
    return footprints(len(times), delta_time=times)


def sample_footprints(
    table: pl.DataFrame | pl.LazyFrame, subset: Subset, keep: pl.Series | tuple[int, ...] = ()
) -> pl.DataFrame:
    """Return the footprints that are drawn, ordered by time."""
    drawn = table.lazy().filter(pl.col("shot_number").is_in(draw_shots(table, subset, keep).implode()))
    return drawn.sort("delta_time", "shot_number").collect()


def count_by_day(table: pl.DataFrame) -> Counter[date]:
    return Counter(table.select(calendar_day(pl.col("delta_time"))).to_series().to_list())


@settings(max_examples=up_to(60), deadline=None)
@given(DAYS, st.integers(1, 400), st.integers(), st.data())
def test_the_draw_is_exact_even_and_keeps_what_it_must(
    per_day: list[int], size: int, seed: int, data: st.DataObject
) -> None:
    table = candidates(per_day)
    kept = table.filter(
        pl.Series(data.draw(st.lists(st.booleans(), min_size=table.height, max_size=table.height)))
    )
    drawn = sample_footprints(table, Subset(dataset_size_max=size, seed=seed), kept["shot_number"])

    assert drawn.height == min(size, table.height)
    assert drawn["shot_number"].is_unique().all()
    assert drawn.join(table, on=table.columns, how="semi").height == drawn.height
    overlap = drawn.join(kept, on="shot_number", how="semi").height
    assert overlap == min(kept.height, drawn.height)
    if kept.height <= size:
        assert_max_min_fair(count_by_day(drawn), count_by_day(table), count_by_day(kept))


def assert_max_min_fair(drawn: Counter[date], available: Counter[date], kept: Counter[date]) -> None:
    """A day has less than another only if it is used up, or if the other holds just what it must keep."""
    for poor in available:
        for rich in available:
            if drawn[rich] > drawn[poor] + 1:
                assert drawn[poor] == available[poor] or drawn[rich] == kept[rich]


@settings(max_examples=up_to(20), deadline=None)
@given(DAYS, st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(per_day: list[int], size: int, random: Any) -> None:
    table = candidates(per_day)
    order = list(range(table.height))
    random.shuffle(order)
    assert sample_footprints(table[order].lazy(), Subset(dataset_size_max=size, seed=42)).equals(
        sample_footprints(table, Subset(dataset_size_max=size, seed=42))
    )


def test_a_poor_days_share_goes_to_the_others() -> None:
    assert sorted(
        count_by_day(
            sample_footprints(candidates([100, 2, 100, 100]), Subset(dataset_size_max=32, seed=42))
        ).values()
    ) == [
        2,
        10,
        10,
        10,
    ]


def test_day_366_counts() -> None:
    drawn = count_by_day(sample_footprints(candidates([50] * 7), Subset(dataset_size_max=70, seed=42)))
    assert drawn[date(2020, 12, 31)] == 10


def test_seeds_differ() -> None:
    table = candidates([50] * 4)
    draws = [
        sample_footprints(table, Subset(dataset_size_max=40, seed=seed))["shot_number"].to_list()
        for seed in (1, 1, 2, -1)
    ]
    assert draws[0] == draws[1]
    assert len({tuple(shots) for shots in draws}) == 3


@pytest.mark.parametrize("size", [None, 7, 100])
def test_all_are_taken_where_there_are_not_more(size: int | None) -> None:
    table = candidates([3, 4])
    assert sample_footprints(table, Subset(dataset_size_max=size, seed=42)).equals(table.sort("delta_time"))
    assert sample_footprints(footprints(0), Subset(dataset_size_max=size, seed=42)).equals(footprints(0))


def test_the_sample_only_grows_when_granules_arrive() -> None:
    first = sample_footprints(candidates([20, 30]), Subset(dataset_size_max=30, seed=42))
    later = sample_footprints(
        candidates([20, 30, 40]), Subset(dataset_size_max=60, seed=42), first["shot_number"]
    )
    assert first.join(later, on="shot_number", how="anti").height == 0


def test_a_subset_is_even_over_codes_and_quartiles() -> None:
    classes = [1] * 70 + [2] * 20 + [5] * 10
    table = footprints(100).with_columns(
        cover_class=pl.Series(classes), agbd=pl.Series(np.arange(100.0) ** 2)
    )
    drawn = sample_footprints(table, Subset(dataset_size_max=30, by=("cover_class",)))
    assert Counter(drawn["cover_class"]) == {1: 10, 2: 10, 5: 10}
    drawn = sample_footprints(table, Subset(dataset_size_max=40, by=("agbd",)))
    quartiles = np.quantile(table["agbd"], [0.25, 0.5, 0.75])
    assert np.bincount(np.searchsorted(quartiles, drawn["agbd"], side="right")).tolist() == [10] * 4


def test_a_subset_is_even_over_tiles_and_days_together() -> None:
    lon = [15.0 + 3 * (number % 2) for number in range(80)]
    days = [seconds(date(2020, 5, 1 + number // 40)) + number for number in range(80)]
    table = footprints(80, delta_time=days).with_columns(lon_lowestmode=pl.Series(lon))
    drawn = sample_footprints(table, Subset(dataset_size_max=20, by=("tile", "day")))
    cells = Counter(zip(drawn["lon_lowestmode"], (drawn["delta_time"] // 86_400).cast(pl.Int64), strict=True))
    assert sorted(cells.values()) == [5, 5, 5, 5]


@pytest.mark.integration
@settings(max_examples=up_to(15), deadline=None)
@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_a_subset_that_covers_fields_leaves_no_place_far_from_it(size: int, random: Any) -> None:
    """Of any other draw of the size, some footprint is at least half as far away (Gonzalez 1985)."""
    table = footprints(60).with_columns(
        agbd=pl.Series([random.random() for _ in range(60)]),
        height=pl.Series([random.random() for _ in range(60)]),
    )
    subset = Subset(dataset_size_max=size, cover=("agbd", "height"))
    drawn = sample_footprints(table, subset)
    assert drawn.height == size
    assert sample_footprints(table.sample(fraction=1, shuffle=True, seed=1), subset).equals(drawn)
    points = table.select(pl.col("agbd", "height").rank() / 59).to_numpy()
    chosen = np.flatnonzero(table["shot_number"].is_in(drawn["shot_number"].to_list()))
    other = random.sample(range(60), size)

    def reach(some: Any) -> float:
        return float(np.linalg.norm(points[:, None] - points[some][None], axis=2).min(axis=1).max())

    assert reach(chosen) <= 2 * reach(other) + 1e-9
    grown = sample_footprints(
        table, subset.model_copy(update={"dataset_size_max": size + 3}), drawn["shot_number"]
    )
    assert drawn.join(grown, on="shot_number", how="anti").is_empty()


def test_a_field_that_the_footprints_lack_is_named() -> None:
    with pytest.raises(
        RecipeError, match=r"subset.by: .* no field ecoregion; it must be day, tile, or one of .*agbd"
    ):
        sample_footprints(footprints(3), Subset(dataset_size_max=2, by=("ecoregion",)))
    with pytest.raises(RecipeError, match=r"subset.cover: .* no field day; it must be one of"):
        sample_footprints(footprints(3), Subset(dataset_size_max=2, cover=("day",)))


def test_a_recipe_that_draws_by_day_is_what_it_was() -> None:
    assert '"subset":{"dataset_size_max":null,"seed":42}' in Recipe().canonical_json()
    other = Recipe.parse({"subset": {"by": ["tile"]}}, "r")
    assert other.digest() != Recipe().digest()
    assert other.extraction_digest() == Recipe().extraction_digest()
    with pytest.raises(RecipeError, match="cover is instead of by"):
        Recipe.parse({"subset": {"by": ["tile"], "cover": ["agbd"]}}, "r")
