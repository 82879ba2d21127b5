"""The plan of a recipe's build: batches of near labels, whose keys say what they are made of."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.builds.dataset_plan import BATCH_BYTES, StoredDatasetPlan, batch_size, plan_dataset
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import LostFootprintsError


def settings(folder: Path, size: int = 8, **changes: Any) -> DatasetSettings:
    document = {
        "name": "crops",
        "labels": {"kind": "points", "path": str(folder / "a.csv"), "id": "name", "extra": ["crop"]},
        "window": {"size": size, "pixel_size": 10},
        "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
        "splits": {"by": "random", "train": 50, "test": 50},
        "batch_size": 4,
        **changes,
    }
    return DatasetSettings(recipe=DatasetRecipe.parse(document, "of the test"), output=folder / "out")


def write(folder: Path, count: int = 20, crop: str = "Rye") -> None:
    lines = [f"p{number},{15 + number / 20},47,{crop}" for number in range(count)]
    (folder / "a.csv").write_text("\n".join(["name,lon,lat,crop", *lines, "nowhere,,47,Rye"]))


def test_every_label_is_in_one_batch_or_in_the_ledger(tmp_path: Path) -> None:
    write(tmp_path)
    plan = plan_dataset(settings(tmp_path), "catalog")
    assert plan.labels == 21
    assert plan.splits == ("train", "test")
    assert sum(plan.sizes.values()) == plan.table.height == 20
    assert max(plan.sizes.values()) <= 4
    assert plan.table["id"].is_unique().all()
    assert {key.split("-")[0] for key in plan.keys} == {"train", "test"}
    assert pl.concat([plan.batch(key) for key in plan.keys]).equals(plan.table)
    ledger = pl.read_parquet(settings(tmp_path).files.stage_rejects("labels"))
    assert ledger.schema == pl.Schema(REJECT_SCHEMA)
    assert ledger.select("id", "reason").rows() == [("nowhere", "no_place")]


def test_it_is_read_as_it_was_saved(tmp_path: Path) -> None:
    write(tmp_path)
    plan = plan_dataset(settings(tmp_path), "catalog")
    found = StoredDatasetPlan(settings(tmp_path).files.batch_plan)
    assert found.scan().collect().equals(plan.table)
    assert (found.sizes, found.digest, found.footprints) == (plan.sizes, plan.digest, plan.table.height)
    for key in plan.keys:
        assert found.batch(key).equals(plan.batch(key))
    assert (found.splits, found.labels, found.remarks) == (plan.splits, plan.labels, plan.remarks)
    assert list(found.extra) == ["crop"]


def test_a_key_is_the_same_as_long_as_what_it_is_made_of_is(tmp_path: Path) -> None:
    write(tmp_path)
    first = plan_dataset(settings(tmp_path), "catalog").keys
    assert plan_dataset(settings(tmp_path), "catalog").keys == first
    assert not set(plan_dataset(settings(tmp_path), "other").keys) & set(first)
    assert not set(plan_dataset(settings(tmp_path, size=6), "catalog").keys) & set(first)
    write(tmp_path, crop="Oat")
    assert not set(plan_dataset(settings(tmp_path), "catalog").keys) & set(first)


def test_batches_of_an_earlier_plan_are_removed(tmp_path: Path) -> None:
    write(tmp_path)
    build = settings(tmp_path)
    kept = plan_dataset(build, "catalog").keys[0]
    build.files.batches.mkdir(parents=True)
    for key in (kept, "train-00000-00000000"):
        build.files.batch(key).write_text("samples")
    plan_dataset(build, "catalog")
    assert [path.stem for path in build.files.batches.glob("*.h5")] == [kept]


def test_large_samples_make_small_batches(tmp_path: Path) -> None:
    assert batch_size(settings(tmp_path).recipe) == 4
    large = settings(tmp_path, size=2048, batch_size=1000).recipe
    per_sample = 2048**2 * (4 + 1)
    assert batch_size(large) == BATCH_BYTES // per_sample


def test_without_a_usable_label_the_reasons_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,lon,lat,crop\nbeyond,500,47,Rye\nnowhere,,47,Rye\n")
    with pytest.raises(
        LostFootprintsError, match="None of the 2 labels can be used: dropped were 2 by no_place"
    ):
        plan_dataset(settings(tmp_path), "catalog")
