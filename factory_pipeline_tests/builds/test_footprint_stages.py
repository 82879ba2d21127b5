"""From granules or given CSVs to the batch plan, and where every footprint on the way went."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds import footprint_stages as stages
from factory_pipeline.builds.gedi.batches import BatchPlan, CatalogKey
from factory_pipeline.builds.gedi.footprint_csv import read_footprints_csv, write_footprints_csv
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline_tests.builds.gedi.factories import (
    NAME_2020,
    NAME_2021,
    beam,
    footprints,
    write_granule,
)

SHOTS = 12
BAD = 3
"""Shots of a granule that the quality flag drops."""
CATALOG = CatalogKey("of the test", "0a1b")


@pytest.fixture(autouse=True)
def blank_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take more time than all else."""
    monkeypatch.setattr(stages, "_plot", lambda _, path, title: path.write_text(title))


def made(folder: Path, recipe: Mapping[str, Any] | None = None, **changes: Any) -> BuildSettings:
    """A build from the granules of a folder: of its shots the first are bad."""
    quality = np.ones(SHOTS, np.uint8)
    quality[:BAD] = 0
    write_granule(folder / "granules", BEAM0101=beam(SHOTS, l4_quality_flag=quality))
    return settings_of(folder, recipe, **changes)


def settings_of(folder: Path, recipe: Mapping[str, Any] | None = None, **changes: Any) -> BuildSettings:
    return BuildSettings(
        granules=str(folder / "granules"),
        output=folder / "out",
        recipe=Recipe.parse({"batch_size": 4, **(recipe or {})}, "of the test"),
        workers=1,
        **changes,
    )


def planned(build: BuildSettings) -> BatchPlan:
    stages.aggregate(build, lambda _: None)
    stages.filter_by_quality(build)
    stages.plan_subset(build, CATALOG)
    return BatchPlan.load(build.files.batch_plan)


def csv(path: Path, frame: pl.DataFrame) -> Path:
    write_footprints_csv(frame, path)
    return path


# Aggregation


def test_each_granule_is_read_once(tmp_path: Path) -> None:
    build, told = made(tmp_path), list[str]()
    assert stages.unread_granules(build).keys() == {NAME_2020}
    found = stages.aggregate(build, told.append)
    assert found is not None
    assert (dict(found.granules), told) == (
        {NAME_2020: SHOTS},
        [f"{NAME_2020}: {SHOTS} footprints. (1 of 1)"],
    )
    assert stages.unread_granules(build) == {}
    again = stages.aggregate(build, told.append)
    assert again is not None
    assert (again.read, len(told)) == ((), 1)
    loaded = stages.load_aggregation(build)
    assert loaded is not None
    assert (loaded.files, loaded.granules) == (found.files, found.granules)
    assert stages.footprints_in(build) == SHOTS


def test_where_every_split_is_given_no_granule_is_looked_at(tmp_path: Path) -> None:
    paths = {split: csv(tmp_path / f"{split}.csv", footprints(3)) for split in ("train", "test")}
    one, other = ({"train": paths["train"]}, {"test": paths["test"]})
    build = settings_of(tmp_path, aggregated_csv=one, subset_csv=other)
    assert stages.aggregate(build, lambda _: None) is None
    assert stages.load_aggregation(build) is None
    assert stages.footprints_in(build) == 6


def test_granules_none_of_which_can_be_used_are_refused_with_the_first_reason(tmp_path: Path) -> None:
    for name in (NAME_2020, NAME_2021):
        (tmp_path / "granules").mkdir(exist_ok=True)
        (tmp_path / "granules" / name).write_bytes(b"no HDF5")
    with pytest.raises(GranuleError) as refused:
        stages.aggregate(settings_of(tmp_path), lambda _: None)
    told = str(refused.value)
    assert told.startswith(f"None of 2 granules in the folder {tmp_path / 'granules'} can be used;")
    assert NAME_2020 in told


def test_a_field_that_no_granule_has_is_refused(tmp_path: Path) -> None:
    build = made(tmp_path, {"footprints": {"extra_fields": ["no_such_field"]}})
    with pytest.raises(GranuleError, match=r"None of 1 granule .* has the field no_such_field in every"):
        stages.aggregate(build, lambda _: None)


def test_a_granule_that_can_not_be_read_now_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = made(tmp_path)
    found = stages.aggregate_granules(build.granules, build.files.footprints)
    gone = {"a.h5": "The granule a.h5 does not answer.", "b.h5": "Nor b.h5."}
    object.__setattr__(found, "unavailable", gone)
    monkeypatch.setattr(stages, "aggregate_granules", lambda *_: found)
    with pytest.raises(GranuleUnavailableError) as stopped:
        stages.aggregate(build, lambda _: None)
    assert str(stopped.value) == (
        "The granule a.h5 does not answer and 1 more, after several tries. The dataset is not made without"
        f" it: make it readable or remove it in the folder {tmp_path / 'granules'}, and run the same command"
        " again."
    )


def test_where_granules_are_is_told_without_credentials(tmp_path: Path) -> None:
    build = settings_of(tmp_path, granule_inbox=tmp_path / "inbox").model_copy(
        update={"granules": "s3://me:SECRET@bucket/gedi?sig=SECRET"}
    )
    told = stages.describe_watched(build)
    assert told.endswith(f", the folder {tmp_path / 'inbox'}")
    assert told.startswith("the object-store prefix s3://")
    assert "SECRET" not in told


@given(st.dictionaries(st.text(), st.integers(0), max_size=6), st.randoms())
@settings(max_examples=10)
def test_a_listing_has_the_same_digest_in_any_order_and_another_with_any_change(
    listing: dict[str, int], random: Any
) -> None:
    names = list(listing)
    random.shuffle(names)
    digest = stages.listing_digest(listing)
    assert stages.listing_digest({name: listing[name] for name in names}) == digest
    assert stages.listing_digest({**listing, "another": 1, "more": 2}) != digest
    for name, size in listing.items():
        assert stages.listing_digest({**listing, name: size + 1}) != digest


# Quality


def test_a_given_csv_replaces_the_filter_of_its_split_alone(tmp_path: Path) -> None:
    frame = footprints(5, agbd=np.array([1, np.nan, 3, 4, 5], np.float32), l4_quality_flag=[0] * 5)
    given = {"test": csv(tmp_path / "test.csv", frame)}
    build = made(tmp_path, aggregated_csv=given)
    stages.aggregate(build, lambda _: None)
    counts = stages.filter_by_quality(build)
    assert counts.footprints == SHOTS + 5
    assert counts.kept == {"train": SHOTS - BAD, "test": 4}
    ledger = pl.read_parquet(build.files.stage_rejects("quality"))
    assert ledger.schema == pl.Schema(REJECT_SCHEMA)
    assert ledger.height == sum(counts.dropped.values()) == BAD + 1
    assert ledger["shot_number"][-1] == frame["shot_number"][1]
    assert pl.read_parquet(build.files.quality("test"))["agbd"].to_list() == [1, 3, 4, 5]
    assert not build.files.combined_plot("train").exists()


def test_all_footprints_are_plotted_where_it_is_asked_for(tmp_path: Path) -> None:
    build = made(tmp_path, plot_distribution=True)
    stages.aggregate(build, lambda _: None)
    stages.filter_by_quality(build)
    assert build.files.combined_plot("train").read_text() == "train: all footprints"
    assert build.files.combined_plot("test").exists()


# Subset and plan


def test_every_footprint_is_in_the_plan_or_in_a_ledger(tmp_path: Path) -> None:
    build = made(tmp_path, {"subset": {"dataset_size_max": 5}})
    plan = planned(build)
    assert plan.footprints_by_split == {"train": 5, "test": 0}
    assert sorted(plan.sizes.values()) == [1, 4]
    ledgers = [pl.read_parquet(build.files.stage_rejects(stage)) for stage in ("quality", "subset")]
    assert [ledger.height for ledger in ledgers] == [BAD, SHOTS - BAD - 5]
    assert ledgers[1]["reason"].unique().to_list() == ["not_drawn"]
    shots = [*plan.table["shot_number"], *ledgers[0]["shot_number"], *ledgers[1]["shot_number"]]
    assert sorted(shots) == beam(SHOTS)["shot_number"].tolist()
    drawn = read_footprints_csv(build.files.subset_csv("train"))
    assert set(drawn["shot_number"]) == set(plan.table["shot_number"])
    assert build.files.subset_plot("test").read_text() == "test: subset"
    assert BatchPlan.load(build.files.batch_plan).keys == plan.keys


def test_a_given_subset_is_taken_as_it_is_without_what_can_be_no_sample(tmp_path: Path) -> None:
    frame = footprints(3, agbd=np.array([1, np.nan, 3], np.float32))
    build = made(tmp_path, subset_csv={"test": csv(tmp_path / "test.csv", frame)})
    plan = planned(build)
    assert plan.footprints_by_split == {"train": SHOTS - BAD, "test": 2}
    assert set(plan.shots("test")) == set(frame["shot_number"][[0, 2]])
    (rejected,) = pl.read_parquet(build.files.stage_rejects("subset")).rows(named=True)
    assert (rejected["shot_number"], rejected["stage"]) == (frame["shot_number"][1], "subset")


def test_a_larger_dataset_keeps_the_footprints_and_batches_that_it_had(tmp_path: Path) -> None:
    before = planned(made(tmp_path, {"subset": {"dataset_size_max": 4}}))
    after = planned(settings_of(tmp_path, {"subset": {"dataset_size_max": 8}}))
    assert set(before.keys) < set(after.keys)
    assert set(before.table["shot_number"]) < set(after.table["shot_number"])
    assert after.footprints == 8


def test_the_file_of_a_batch_that_is_not_planned_is_put_aside_and_comes_back(tmp_path: Path) -> None:
    build = made(tmp_path)
    first = planned(build)
    build.files.batches.mkdir(parents=True)
    for key in first.keys:
        build.files.batch(key).write_text(key)
    elsewhere = stages.plan_subset(build, CatalogKey("another", "ffff"))
    assert not set(elsewhere.keys) & set(first.keys)
    assert list(build.files.batches.glob("*.h5")) == []
    assert all(build.files.dissolved(key).read_text() == key for key in first.keys)
    assert elsewhere.change
    back = stages.plan_subset(build, CATALOG)
    assert back.keys == first.keys
    assert all(build.files.batch(key).read_text() == key for key in first.keys)
