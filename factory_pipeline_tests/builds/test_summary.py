"""The end of a build from footprints: what is fused, what is refused, and that every footprint is counted."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.builds.gedi.batches import BatchPlan
from factory_pipeline.builds.gedi.footprint_csv import write_footprints_csv
from factory_pipeline.builds.gedi.plan_batches import plan_batches
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA, reject_frame
from factory_pipeline.builds.summary import (
    BuildSummary,
    count_accepted,
    fuse_build,
    fuse_folder,
)
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DatasetFileError, IncompleteBuildError, LostFootprintsError
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.builds.builds import shots_in, shots_in_files_and_ledger
from factory_pipeline_tests.builds.gedi.factories import footprints
from factory_pipeline_tests.hdf5.factories import made_samples

RECIPE = Recipe(batch_size=3, window_size=8)
SUMMARY = BuildSummary(
    granules=2,
    granules_set_aside={"c.h5": "It is no HDF5 file."},
    granules_replaced={"old.h5": "new.h5"},
    granules_gone=["gone.h5"],
    not_read={"d.h5.part": "it is not complete"},
    footprints_in=12_000,
    dropped={"quality: agbd": 10_000, "sentinel2: cloud": 500, "copdem: slope": 0},
    planned=2_000,
    plan="0a1b",
    batches=2,
    samples={"train": 1_000, "test": 500},
    files={"train dataset": "out/train_dataset.h5"},
    items_unusable={"sentinel2: no_grid": 3},
    changed="The seed is another one.",
    splits=["Nothing leaks.", "More on that."],
)


class Build:
    """A build whose footprints are given, planned and partly extracted."""

    def __init__(self, folder: Path, shots: int = 7) -> None:
        frame = footprints(shots)
        halves = {"train": frame[: shots - 3], "test": frame[shots - 3 :]}
        paths = {split: folder / f"{split}.csv" for split in halves}
        for split, path in paths.items():
            write_footprints_csv(halves[split], path)
        self.settings = BuildSettings(
            granules="", output=folder / "out", recipe=RECIPE, subset_csv=paths, max_lost_share=1.0
        )
        self.files = self.settings.files
        self.plan: BatchPlan = plan_batches(halves, RECIPE)
        self.plan.save(self.files.batch_plan)
        self.files.stage_rejects("quality").parent.mkdir(parents=True)
        for stage in ("quality", "subset"):
            reject_frame([], stage, "none", "").write_parquet(self.files.stage_rejects(stage))

    def extract(self, key: str, drop: int = 0, reason: str = "cloud", stage: str = "sentinel2") -> None:
        """Leave what extraction leaves of a batch of which the first footprints are dropped."""
        shots = self.plan.batch(key)["shot_number"]
        made = made_samples(len(shots) - drop, key, seed=self.plan.keys.index(key), recipe=RECIPE)
        named = made.table.with_columns(shots[drop:].cast(made.table["shot_number"].dtype))
        for path in (self.files.batch(key), self.files.batch_rejects(key)):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_dataset(self.files.batch(key), replace(made, table=named), RECIPE, key.partition("-")[0])
        reject_frame(shots[:drop], stage, reason, "").write_parquet(self.files.batch_rejects(key))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_what_is_fused_and_the_ledger_have_every_footprint_once(build: Build) -> None:
    for number, key in enumerate(build.plan.keys):
        build.extract(key, drop=number % 2)
    told: list[str] = []
    summary = fuse_build(build.settings, told.append)
    assert shots_in_files_and_ledger(build.settings) == sorted(build.plan.table["shot_number"])
    assert (summary.footprints_in, summary.planned, summary.batches) == (7, 7, 3)
    dropped = sum(number % 2 for number in range(len(build.plan.keys)))
    assert summary.dropped == {"sentinel2: cloud": dropped}
    assert sum(summary.samples.values()) == 7 - dropped
    assert {split: len(shots_in(build.files.fused(split))) for split in summary.samples} == summary.samples
    assert [line.partition(":")[0] for line in told] == ["train", "test"]
    assert BuildSummary.load(build.files.summary) == summary
    assert summary.plan == build.plan.digest
    assert all(Path(path).exists() for path in summary.files.values())
    assert pl.read_parquet(build.files.rejects).schema == pl.Schema(REJECT_SCHEMA)
    assert (summary.granules, summary.granules_set_aside) == (0, {})


def test_nothing_is_fused_while_a_batch_or_its_ledger_is_missing(build: Build) -> None:
    first, second, third = build.plan.keys
    build.extract(first)
    build.extract(second)
    build.files.batch_rejects(second).unlink()
    with pytest.raises(IncompleteBuildError) as refused:
        fuse_build(build.settings, lambda _: None)
    assert str(refused.value) == (f"2 of 3 batches are missing: {second}, {third}; extract them, then fuse.")
    assert not build.files.fused("train").exists()
    assert not build.files.rejects.exists()


def test_a_batch_that_has_not_what_its_ledger_says_is_refused(build: Build) -> None:
    for key in build.plan.keys:
        build.extract(key)
    broken = build.plan.keys_of("train")[0]
    ledger = build.files.batch_rejects(broken)
    reject_frame([1], "sentinel2", "cloud", "").write_parquet(ledger)
    assert count_accepted(build.plan, build.files, broken) == build.plan.sizes[broken] - 1
    with pytest.raises(DatasetFileError, match=broken):
        fuse_build(build.settings, lambda _: None)
    assert not build.files.fused("train").exists()


def test_where_nothing_is_left_the_ledger_says_why_and_no_dataset_is_there(build: Build) -> None:
    for key in build.plan.keys:
        build.extract(key, drop=build.plan.sizes[key])
    with pytest.raises(LostFootprintsError, match=r"Not one of the 7 footprints .* 7 by sentinel2: cloud"):
        fuse_build(build.settings, lambda _: None)
    assert pl.read_parquet(build.files.rejects).height == 7
    assert not build.files.fused("train").exists()


def test_reasons_are_in_the_order_of_the_stages_the_most_frequent_first(build: Build) -> None:
    reject_frame([90], "quality", "agbd", "").write_parquet(build.files.stage_rejects("quality"))
    reject_frame([91], "subset", "not_drawn", "").write_parquet(build.files.stage_rejects("subset"))
    first, second, third = build.plan.keys
    build.extract(first, 1, "slope", "copdem")
    build.extract(second, 1, "no_product")
    build.extract(third, build.plan.sizes[third] - 1, "cloud")
    summary = fuse_build(build.settings, lambda _: None)
    names = list(summary.dropped)
    assert names[0] == "quality: agbd"
    assert names[1] == "subset: not_drawn"
    assert names[-1] == "copdem: slope"
    counts = [summary.dropped[name] for name in names[2:-1]]
    assert counts == sorted(counts, reverse=True)
    assert {name.partition(":")[0] for name in names[2:-1]} == {"sentinel2"}


def test_a_folder_of_batches_is_fused_by_split_and_other_files_are_passed_over(
    build: Build, tmp_path: Path
) -> None:
    folder = tmp_path / "batches"
    folder.mkdir()
    for key in build.plan.keys:
        build.extract(key)
        build.files.batch(key).rename(folder / f"{key}.h5")
    (folder / ".hidden.h5").write_text("a file of another program")
    (folder / "notes.txt").write_text("notes")
    (folder / "folder.h5").mkdir()
    assert fuse_folder(folder, tmp_path / "fused") == {"train": 4, "test": 3}
    assert sorted(shots_in(tmp_path / "fused" / "test_dataset.h5")) == sorted(build.plan.shots("test"))


def test_a_folder_without_dataset_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match=r"There are no dataset files .* in "):
        fuse_folder(tmp_path, tmp_path / "fused")
    assert not (tmp_path / "fused").exists()


# The summary


def test_the_summary_tells_all_that_is_not_in_the_dataset() -> None:
    told = str(SUMMARY)
    lines = told.splitlines()
    assert lines[0].split() == ["Footprints", "in", "12,000", "from", "2", "granules"]
    assert [line.split()[-1] for line in lines[1:3]] == ["-10,000", "-500"]
    assert lines[3].split() == ["Accepted", "1,500", "75%", "of", "the", "2,000", "drawn"]
    assert "slope" not in told, "no footprint is dropped for it"
    for part in (
        "c.h5: It is no HDF5 file.",
        "old.h5 is replaced by new.h5",
        "gone.h5",
        "d.h5.part: it is not complete.",
        "sentinel2: no_grid",
        "Changed: The seed is another one.",
        "Splits   Nothing leaks.",
        "out/train_dataset.h5",
    ):
        assert part in told
    assert "More on that." not in told


def test_a_summary_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    SUMMARY.save(tmp_path / "summary.json")
    assert BuildSummary.load(tmp_path / "summary.json") == SUMMARY
    assert replace(SUMMARY, planned=0).extraction_yield == 0.0
    assert SUMMARY.extraction_yield == 0.75
