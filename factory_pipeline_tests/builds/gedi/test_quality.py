from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi import footprint_csv
from factory_pipeline.builds.gedi.aggregate import aggregate_granules
from factory_pipeline.builds.gedi.deduplicate import FirstShots
from factory_pipeline.builds.gedi.quality import QualityCounts, filter_footprints
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.sort_on_disk import sort_on_disk
from factory_pipeline_tests.builds.gedi.factories import footprints, seconds
from factory_pipeline_tests.examples import up_to


@pytest.fixture
def build(tmp_path: Path) -> BuildFiles:
    return BuildFiles(tmp_path / "build")


def run(build: BuildFiles, *tables: pl.DataFrame, **recipe: Any) -> QualityCounts:
    """Filter tables as if each were that of a granule."""
    build.footprints.mkdir(parents=True, exist_ok=True)
    paths = [build.footprints / f"granule{number}.parquet" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        table.write_parquet(path)
    return filter_footprints(paths, Recipe.parse(recipe, "of the test"), build)


@pytest.mark.integration
def test_real_granules_pass_as_counted_independently(real_granules: Path, build: BuildFiles) -> None:
    aggregation = aggregate_granules(str(real_granules), build.footprints)
    counts = filter_footprints(aggregation.files, Recipe(), build)
    assert counts.kept == {"train": 225, "test": 708}
    assert counts.footprints == 1427
    ledger = pl.read_parquet(build.stage_rejects("quality"))
    assert ledger.schema == pl.Schema(REJECT_SCHEMA)
    assert ledger.height == sum(counts.dropped.values()) == 1427 - 225 - 708
    assert dict(ledger.group_by("reason").len().iter_rows()) == {
        reason: count for reason, count in counts.dropped.items() if count
    }
    for split, height in counts.kept.items():
        parquet, csv = (
            pl.read_parquet(build.quality(split)),
            footprint_csv.read_footprints_csv(build.combined_csv(split)),
        )
        assert parquet.height == height
        assert csv.sort("shot_number").equals(parquet.sort("shot_number"))
        assert not csv.equals(parquet)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"l2_quality_flag": [0]}, "l2_quality_flag = 1 is not true, l2_quality_flag is 0"),
        ({"agbd": [None]}, "agbd > 0 AND agbd < CAST('inf' AS DOUBLE) is not true, agbd is missing"),
        ({"agbd": [float("nan")]}, "agbd > 0 AND agbd < CAST('inf' AS DOUBLE) is not true, agbd is NaN"),
        (
            {"agbd": [70.0], "agbd_se": [123.456]},
            "agbd_se >= 0 AND agbd_se / agbd < 0.5 is not true, agbd_se is 123.5, agbd is 70.0",
        ),
    ],
)
def test_the_ledger_holds_the_values_that_a_rule_looked_at(
    build: BuildFiles, fields: Any, detail: str
) -> None:
    run(build, footprints(1, **fields))
    assert pl.read_parquet(build.stage_rejects("quality"))["detail"].to_list() == [detail]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"l2_quality_flag": [0]}, "l2_quality_flag"),
        ({"l4_quality_flag": [0]}, "l4_quality_flag"),
        ({"surface_flag": [0]}, "surface_flag"),
        ({"agbd": [-9999.0]}, "agbd"),
        ({"agbd": [0.0]}, "agbd"),
        ({"agbd": [float("nan")]}, "agbd"),
        ({"agbd": [float("inf")]}, "agbd"),
        ({"agbd": [None]}, "agbd"),
        ({"agbd_se": [50.0]}, "relative_error"),
        ({"agbd_se": [-9999.0]}, "relative_error"),
        ({"agbd_se": [float("nan")]}, "relative_error"),
        ({"lat_lowestmode": [float("nan")]}, "coordinates"),
        ({"lon_lowestmode": [-9999.0]}, "coordinates"),
        ({"delta_time": [float("nan")]}, "delta_time"),
        ({"delta_time": [seconds(date(2022, 1, 1), hour=0)]}, "no_split"),
    ],
)
def test_a_footprint_counts_for_the_rule_that_it_fails(build: BuildFiles, fields: Any, rule: str) -> None:
    counts = run(build, footprints(1, **fields))
    assert {reason for reason, count in counts.dropped.items() if count} == {rule}
    assert counts.kept == {"train": 0, "test": 0}
    assert pl.read_parquet(build.stage_rejects("quality"))["reason"].to_list() == [rule]


def test_only_the_first_failure_counts(build: BuildFiles) -> None:
    counts = run(build, footprints(1, l4_quality_flag=[0], surface_flag=[0], agbd=[-9999.0]))
    assert sum(counts.dropped.values()) == counts.dropped["l4_quality_flag"] == 1


def test_nan_does_not_pass_for_a_great_number(build: BuildFiles) -> None:
    rules = [{"name": "tall", "keep": "agbd > 10"}]
    assert (
        run(build, footprints(2, agbd=[float("nan"), 11.0]), footprints={"rules": rules}).kept["train"] == 1
    )


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        (
            {"agbd": [0.0]},
            "no_biomass",
            "A sample needs a biomass above 0 with a standard error, agbd is 0.0",
        ),
        ({"agbd": [float("nan")]}, "no_biomass", "agbd is NaN, agbd_se is"),
        ({"agbd": [float("inf")]}, "no_biomass", "agbd is inf"),
        ({"agbd": [None]}, "no_biomass", "agbd is missing"),
        ({"agbd_se": [-9999.0]}, "no_biomass", "agbd_se is -9999.0"),
        ({"agbd_se": [float("nan")]}, "no_biomass", "agbd_se is NaN"),
        ({"lat_lowestmode": [float("nan")]}, "no_place", "A sample needs a place on the Earth"),
        ({"lon_lowestmode": [-9999.0]}, "no_place", "lon_lowestmode is -9999.0"),
        ({"lat_lowestmode": [None]}, "no_place", "lat_lowestmode is missing"),
        ({"delta_time": [float("nan")]}, "no_time", "A sample needs a time, delta_time is NaN"),
        ({"delta_time": [float("inf")]}, "no_time", "delta_time is inf"),
    ],
)
def test_what_no_sample_can_be_made_of_is_dropped_whatever_the_rules_are(
    build: BuildFiles, fields: Any, reason: str, detail: str
) -> None:
    rules = [{"name": "l4_quality_flag", "keep": "l4_quality_flag = 1"}]
    counts = run(build, footprints(1, **fields), footprints(1, shot_number=[9]), footprints={"rules": rules})
    assert counts.dropped[reason] == 1
    assert sum(counts.kept.values()) == 1
    ((shown, said),) = pl.read_parquet(build.stage_rejects("quality")).select("reason", "detail").rows()
    assert shown == reason
    assert detail in said


def test_the_day_decides_the_split(build: BuildFiles) -> None:
    midnight = seconds(date(2021, 1, 1), hour=0)
    counts = run(
        build, footprints(3, delta_time=[seconds(date(2020, 12, 31)), np.nextafter(midnight, 0), midnight])
    )
    assert counts.kept == {"train": 2, "test": 1}


def test_a_shot_is_kept_once_in_the_first_granule_where_it_passes(build: BuildFiles) -> None:
    counts = run(
        build,
        footprints(3, shot_number=[7, 7, 8], agbd=[1.0, 2.0, -1.0], agbd_se=[0.1] * 3),
        footprints(2, shot_number=[100, 101]),
        footprints(2, shot_number=[8, 7], agbd=[3.0, 4.0], agbd_se=[0.1] * 2),
    )
    kept = pl.read_parquet(build.quality("train"))
    assert kept["shot_number"].to_list() == [7, 100, 101, 8]
    assert kept["agbd"].to_list() == [1.0, 100.0, 100.0, 3.0]
    assert counts.dropped["duplicate_shot"] == 2


@settings(max_examples=up_to(30), deadline=None)
@given(st.lists(st.lists(st.integers(-30, 30), max_size=8), max_size=6))
def test_first_shots_are_those_that_a_set_would_find(
    tmp_path_factory: pytest.TempPathFactory, tables: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("shots")
    paths = [folder / f"{number}.parquet" for number in range(len(tables))]
    columns = [pl.Series("shot_number", shots, dtype=pl.Int64) for shots in tables]
    for path, column in zip(paths, columns, strict=True):
        column.to_frame().write_parquet(path)
    finder, seen = FirstShots(paths), set()
    for position, column in enumerate(columns):
        expected = []
        for shot in column:
            expected.append(shot not in seen)
            seen.add(shot)
        assert finder.mark(position, column).to_list() == expected


@pytest.mark.parametrize(
    ("area", "inside"),
    [
        ((9, -6, 11, 6), [10.0]),
        ((170, -6, -170, 6), [175.0, -175.0]),
        ((-180, -90, 180, 90), [10.0, 175.0, -175.0]),
    ],
)
def test_an_area_may_cross_the_antimeridian(build: BuildFiles, area: Any, inside: list[float]) -> None:
    table = footprints(3, lon_lowestmode=[10.0, 175.0, -175.0], lat_lowestmode=[0.0] * 3)
    counts = run(build, table, footprints={"area": area})
    assert pl.read_parquet(build.quality("train"))["lon_lowestmode"].to_list() == inside
    assert counts.dropped["outside_area"] == 3 - len(inside)


def test_rules_of_ones_own_see_extra_fields(build: BuildFiles) -> None:
    table = footprints(3).with_columns(pl.Series("geolocation/sensitivity_a1", [0.9, 0.99, None]))
    rules = [{"name": "sensitivity", "keep": '"geolocation/sensitivity_a1" > 0.95'}]
    counts = run(build, table, footprints={"extra_fields": ["geolocation/sensitivity_a1"], "rules": rules})
    assert counts.dropped["sensitivity"] == 2
    assert pl.read_parquet(build.quality("train"))["geolocation/sensitivity_a1"].to_list() == [0.99]


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ("sensitivity > 0.95", "unknown column sensitivity; there are shot_number, .* extra_fields"),
        ("agbd >", "can't be used"),
        ("agbd >> 5 = 1", "can't be used: it uses an operator or a function that can't be used here\\.$"),
        ("agbd + 1", "not true or false for each footprint"),
        ("COUNT(agbd) > 1", "not true or false for each footprint"),
        ("agbd = 'much'", "can't be used"),
        ("CAST(beam AS INTEGER) > 0", "can't be used"),
    ],
)
def test_a_rule_that_does_not_work_is_named(build: BuildFiles, keep: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=rf"quality rule mine \(.*{problem}"):
        run(build, footprints(2), footprints={"rules": [{"name": "mine", "keep": keep}]})
    assert not build.quality("train").exists()
    assert not build.combined_csv("train").exists()


def test_nothing_in_gives_empty_tables(build: BuildFiles) -> None:
    rules = [{"name": "mine", "keep": "sensitivity > 0.95"}]
    run(build, footprints={"extra_fields": ["sensitivity"], "rules": rules})
    counts = run(build)
    assert counts.footprints == 0
    assert counts.kept == {"train": 0, "test": 0}
    assert footprint_csv.read_footprints_csv(build.combined_csv("test")).equals(footprints(0))


def test_the_shuffle_depends_on_the_seed_alone(build: BuildFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    table = footprints(500)
    run(build, table)
    in_one = build.combined_csv("train").read_bytes()
    monkeypatch.setattr(footprint_csv, "sort_on_disk", partial(sort_on_disk, most=60))
    run(build, table.reverse())
    assert build.combined_csv("train").read_bytes() == in_one
    run(build, table, subset={"seed": 43})
    assert build.combined_csv("train").read_bytes() != in_one
