from pathlib import Path

import pytest

from factory_pipeline.builds import plan_keys
from factory_pipeline.builds.gedi.batches import BatchPlan, StoredPlan
from factory_pipeline.builds.gedi.plan_batches import plan_batches
from factory_pipeline_tests.builds.gedi.factories import footprints
from factory_pipeline_tests.builds.gedi.test_plan_batches import recipe, scattered


def test_a_saved_plan_comes_back(tmp_path: Path) -> None:
    plan = plan_batches({"train": scattered(25), "test": footprints(0)}, recipe(10))
    path = tmp_path / "batch_plan.parquet"
    plan.save(path)
    loaded = BatchPlan.load(path)
    assert loaded.table.equals(plan.table)
    assert loaded.footprints_by_split == {"train": 25, "test": 0}
    assert loaded.digest == plan.digest
    content = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == content
    stored = StoredPlan(path)
    assert (stored.sizes, stored.digest, stored.change) == (plan.sizes, plan.digest, "")
    assert (stored.footprints, list(stored.sizes)) == (25, plan.keys)
    for key in plan.keys:
        assert stored.batch(key).equals(plan.batch(key))
    assert stored.batch("train-00000-00000000").is_empty()


def test_batches_of_a_saved_plan_are_read_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_keys, "ROWS_READ_AHEAD", 25)
    path = tmp_path / "batch_plan.parquet"
    plan = plan_batches({"train": scattered(95)}, recipe(10))
    plan.save(path)
    stored = StoredPlan(path)
    for key in [*plan.keys, *reversed(plan.keys)]:
        assert stored.batch(key).equals(plan.batch(key))
    # A run that has begun before another plan is saved works on its batches by their keys.
    later = plan_batches({"test": scattered(30), "train": scattered(95)}, recipe(10), plan)
    later.save(path)
    for key in reversed(plan.keys):
        assert stored.batch(key).equals(plan.batch(key))
