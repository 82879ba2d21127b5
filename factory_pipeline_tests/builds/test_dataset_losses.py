"""What the catalog or the archive loses stops a build, and is extracted again."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.builds.dataset_losses import check_losses, forget_lost
from factory_pipeline.builds.dataset_plan import DatasetPlan
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import LostFootprintsError

RECIPE = {
    "name": "crops",
    "labels": {"kind": "points", "path": "a.csv"},
    "window": {"size": 8, "pixel_size": 10},
    "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
}
BATCHES = {"train-00000-a": 10, "train-00001-b": 10}


def build(folder: Path, rejects: dict[str, list[str]], share: float) -> tuple[DatasetSettings, DatasetPlan]:
    """A build whose batches have rejected labels for these reasons."""
    recipe = DatasetRecipe.parse(RECIPE, "of the test")
    settings = DatasetSettings(recipe=recipe, output=folder, max_lost_share=share)
    batches = [batch for batch, count in BATCHES.items() for _ in range(count)]
    table = pl.DataFrame({"id": [str(row) for row in range(20)], "batch": batches})
    plan = DatasetPlan(table=table, splits=("train",), labels=20)
    settings.files.batches.mkdir(parents=True)
    settings.files.items.mkdir(parents=True)
    (settings.files.items / "answer.json").write_text("{}")
    for batch, reasons in rejects.items():
        settings.files.batch(batch).write_text("samples")
        rows = [(str(row), "s2", reason, f"It is {reason}.") for row, reason in enumerate(reasons)]
        ledger = settings.files.batch_rejects(batch)
        ledger.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row").write_parquet(ledger)
    return settings, plan


def test_what_is_the_labels_own_fault_is_no_loss(tmp_path: Path) -> None:
    settings, plan = build(tmp_path, dict.fromkeys(BATCHES, ["no_scene"] * 10), 0.0)
    check_losses(settings, plan)
    forget_lost(settings, plan)
    assert all(settings.files.batch(batch).exists() for batch in BATCHES)
    assert any(settings.files.items.iterdir())


def test_up_to_the_allowed_share_may_be_lost(tmp_path: Path) -> None:
    first, second = BATCHES
    settings, plan = build(tmp_path, {first: ["asset_unreadable"] * 2, second: []}, 0.1)
    check_losses(settings, plan)
    assert settings.files.batch(first).exists()


@pytest.mark.parametrize(
    ("reason", "told", "keeps_items"),
    [
        (
            "asset_unreadable",
            "lost to the archive, .*Run the same command again when the archive is well",
            True,
        ),
        ("item_unusable", "lost to the catalog, .*Check that --catalog is the one that you mean", False),
    ],
)
def test_more_stops_the_build_and_is_extracted_again(
    reason: str, told: str, keeps_items: bool, tmp_path: Path
) -> None:
    first, second = BATCHES
    settings, plan = build(tmp_path, {first: [reason] * 3, second: ["no_scene"]}, 0.1)
    with pytest.raises(LostFootprintsError, match=f"^3 of the 20 labels of this build are {told}"):
        check_losses(settings, plan)
    assert not settings.files.batch(first).exists()
    assert settings.files.batch(second).exists(), "its labels are lost by their own fault"
    assert (settings.files.items / "answer.json").exists() is keeps_items


def test_all_labels_lost_stop_a_build_that_allows_it(tmp_path: Path) -> None:
    settings, plan = build(tmp_path, dict.fromkeys(BATCHES, ["asset_unreadable"] * 10), 1.0)
    with pytest.raises(LostFootprintsError, match=r"^20 of the 20 labels"):
        check_losses(settings, plan)
