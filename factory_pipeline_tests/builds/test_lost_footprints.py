"""What is lost by no fault of the footprints stops a build, and is not kept."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.lost_footprints import Losses, no_sample_error
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.errors import LostFootprintsError

BATCHES = ("train-00000-aaaaaaaa", "train-00001-bbbbbbbb", "train-00002-cccccccc")
SIZE = 20


@pytest.fixture
def settings(tmp_path: Path) -> BuildSettings:
    return BuildSettings(granules="", output=tmp_path)


@pytest.fixture
def plan() -> BatchPlan:
    keys = [batch for batch in BATCHES for _ in range(SIZE)]
    return BatchPlan(PlanFacts(("train",)), pl.DataFrame({"shot_number": range(len(keys)), "batch": keys}))


def rejects(
    count: int, reason: str = "asset_unreadable", first: int = 0, stage: str = "copdem"
) -> pl.DataFrame:
    rows = [(shot, stage, reason, f"{reason} of {shot}.") for shot in range(first, first + count)]
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")


def finish(settings: BuildSettings, batch: str, dropped: pl.DataFrame) -> None:
    """Leave what a finished batch leaves."""
    for path in (settings.files.batch(batch), settings.files.batch_rejects(batch)):
        path.parent.mkdir(parents=True, exist_ok=True)
    dropped.write_parquet(settings.files.batch_rejects(batch))
    settings.files.batch(batch).touch()


def test_clouds_never_stop_a_build(settings: BuildSettings, plan: BatchPlan) -> None:
    losses = Losses(settings, plan)
    for batch in BATCHES:
        losses.add(batch, rejects(SIZE, "cloud", stage="sentinel2"))
        finish(settings, batch, rejects(SIZE, "cloud", stage="sentinel2"))
    Losses(settings, plan).check()
    assert all(settings.files.batch(batch).exists() for batch in BATCHES)


def test_a_batch_that_loses_nothing_reads_no_ledger(settings: BuildSettings, plan: BatchPlan) -> None:
    finish(settings, BATCHES[0], rejects(1))
    settings.files.batch_rejects(BATCHES[0]).write_text("no Parquet")
    losses = Losses(settings, plan)
    losses.add(BATCHES[1], rejects(SIZE, "cloud", stage="sentinel2"))
    with pytest.raises(pl.exceptions.ComputeError):
        losses.check()


def test_up_to_the_share_is_lost_and_more_stops_the_build(settings: BuildSettings, plan: BatchPlan) -> None:
    losses = Losses(settings, plan)
    losses.add(BATCHES[0], rejects(3))  # 3 of 60 are 5 %
    # The same footprint is not lost twice.
    losses.add(BATCHES[0], rejects(3, stage="worldcover"))
    with pytest.raises(LostFootprintsError) as stopped:
        losses.add(BATCHES[1], rejects(1, "item_unusable", first=SIZE))
    told = str(stopped.value)
    assert told.startswith(
        "4 of the 60 footprints of this build are lost to the archive and the catalog, more than the 0.05"
        " that max_lost_share allows: 3 asset_unreadable (copdem), 1 item_unusable (copdem);"
        " the first: asset_unreadable of 0. Run the same command again when the archive is well:"
    )
    assert "build.yaml" in told


def test_what_was_lost_is_done_again_and_the_rest_stays(settings: BuildSettings, plan: BatchPlan) -> None:
    finish(settings, BATCHES[0], rejects(2))
    finish(settings, BATCHES[1], rejects(5, "cloud", first=SIZE, stage="sentinel2"))
    chips = settings.files.chips(BATCHES[2], "sentinel2")
    chips.parent.mkdir(parents=True)
    chips.touch()
    with pytest.raises(LostFootprintsError):
        Losses(settings, plan).add(BATCHES[2], rejects(2, first=2 * SIZE))
    assert not settings.files.batch(BATCHES[0]).exists()
    assert not settings.files.batch_rejects(BATCHES[0]).exists()
    assert not chips.exists()
    assert settings.files.batch(BATCHES[1]).exists()


@pytest.mark.parametrize(
    ("reason", "asks_again"), [("item_unusable", True), ("band_at_floor", True), ("asset_unreadable", False)]
)
def test_a_catalog_at_fault_is_asked_again(
    settings: BuildSettings, plan: BatchPlan, reason: str, asks_again: bool
) -> None:
    kept = settings.files.items / "sentinel2_N50E002_2020-06_0a1b2c3d.json"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with pytest.raises(LostFootprintsError):
        Losses(settings, plan).add(BATCHES[0], rejects(SIZE, reason))
    assert kept.exists() is not asks_again


def test_the_share_is_the_builds(settings: BuildSettings, plan: BatchPlan) -> None:
    strict = settings.model_copy(update={"max_lost_share": 0.0})
    with pytest.raises(LostFootprintsError, match="1 of the 60"):
        Losses(strict, plan).add(BATCHES[0], rejects(1))
    lenient = Losses(settings.model_copy(update={"max_lost_share": 1.0}), plan)
    for number, batch in enumerate(BATCHES[:2]):
        lenient.add(batch, rejects(SIZE, first=number * SIZE))
    # Nothing is left: that is no dataset, whatever the share.
    with pytest.raises(LostFootprintsError, match=r"60 of the 60 .* which are all"):
        lenient.add(BATCHES[2], rejects(SIZE, first=2 * SIZE))


def test_an_empty_dataset_is_told_with_its_reasons() -> None:
    told = str(no_sample_error(106, {"quality: agbd": 6, "sentinel2: no_product": 100, "copdem: slope": 0}))
    assert "Not one of the 106 footprints" in told
    assert "100 by sentinel2: no_product, 6 by quality: agbd;" in told
