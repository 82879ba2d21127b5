"""The end of a build: nothing is fused while a batch is missing, and the summary says where labels went."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.builds.dataset_plan import plan_dataset
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary, fuse_dataset
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA
from factory_pipeline.errors import IncompleteBuildError, LostFootprintsError
from factory_pipeline_tests.builds.test_dataset_plan import settings, write

SUMMARY = DatasetBuildSummary(
    name="crops",
    labels=1200,
    dropped={"labels: no_place": 100, "s2: no_scene": 50},
    samples={"train": 800, "test": 250},
    batches=3,
    files={"train dataset": "out/train_dataset.h5"},
    items_unusable={"s2: no datetime": 2},
    remarks=["The times have no zone."],
    splits=["Nothing leaks."],
    lacking={"s2": 7},
)


def test_the_summary_says_where_labels_went(tmp_path: Path) -> None:
    lines = str(SUMMARY).splitlines()
    assert lines[0].split() == ["Labels", "in", "1,200"]
    assert [line.split()[-1] for line in lines[1:3]] == ["-100", "-50"]
    assert lines[3].split() == ["Accepted", "1,050"]
    told = "\n".join(lines)
    for part in (
        "lack scenes of s2",
        "The times have no zone.",
        "Splits   Nothing leaks.",
        "out/train_dataset.h5",
    ):
        assert part in told
    SUMMARY.save(tmp_path / "summary.json")
    assert DatasetBuildSummary.load(tmp_path / "summary.json") == SUMMARY


def test_where_a_label_makes_several_windows_the_counts_add_up_to_them() -> None:
    lines = str(replace(SUMMARY, labels=6)).splitlines()
    assert [line.split() for line in lines[:2]] == [["Labels", "in", "6"], ["Windows", "1,200"]]


def test_batches_that_are_missing_are_named_and_nothing_is_fused(tmp_path: Path) -> None:
    write(tmp_path, count=8)
    build = settings(tmp_path)
    plan = plan_dataset(build, "catalog")
    with pytest.raises(
        IncompleteBuildError, match=f"^{len(plan.keys)} of {len(plan.keys)} batches are missing"
    ):
        fuse_dataset(build)
    assert not build.files.fused("train").exists()


def test_where_no_label_became_a_sample_the_reasons_are_told(tmp_path: Path) -> None:
    write(tmp_path, count=8)
    build = settings(tmp_path)
    plan = plan_dataset(build, "catalog")
    for key in plan.keys:
        build.files.batch(key).parent.mkdir(parents=True, exist_ok=True)
        build.files.batch(key).write_bytes(b"")
        rows = [(name, "dem", "no_scene", "There is none.") for name in plan.batch(key)["id"]]
        ledger = build.files.batch_rejects(key)
        ledger.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row").write_parquet(ledger)
    with pytest.raises(
        LostFootprintsError, match=r"Not one of the 9 labels .* 8 by dem: no_scene, 1 by labels: no_place"
    ):
        fuse_dataset(build)
    assert pl.read_parquet(build.files.rejects).height == 9, "the ledger says of each label why"
    assert not build.files.fused("train").exists()
