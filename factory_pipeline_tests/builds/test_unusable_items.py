"""Items of the catalog that can't be used: kept for each stage of a batch, counted once for the build."""

from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.unusable_items import (
    count_unusable_items,
    keep_unusable_items,
    read_unusable_items,
)
from factory_pipeline.stac.items import UnusableItem
from factory_pipeline.storage.build_files import BuildFiles


def item(name: str, reason: str) -> UnusableItem:
    return UnusableItem(name, reason, time=None, cloud_cover=None, outline=None)


NO_BAND, NO_TIME = item("A", "no asset B02"), item("B", "no datetime")


def test_items_are_kept_until_the_stage_can_use_all(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    assert read_unusable_items(files, "train-00000-aaaaaaaa", "copdem") == {}
    keep_unusable_items(files, "train-00000-aaaaaaaa", "copdem", [NO_BAND, NO_TIME])
    assert read_unusable_items(files, "train-00000-aaaaaaaa", "copdem") == {
        "A": "no asset B02",
        "B": "no datetime",
    }
    keep_unusable_items(files, "train-00000-aaaaaaaa", "copdem", [])
    assert not files.unusable_items("train-00000-aaaaaaaa", "copdem").exists()


def test_items_of_several_batches_are_counted_once(tmp_path: Path) -> None:
    files, layers = BuildFiles(tmp_path), ("sentinel2", "copdem")
    first, second = keys = ["train-00000-aaaaaaaa", "train-00001-bbbbbbbb"]
    plan = BatchPlan(PlanFacts(("train",)), pl.DataFrame({"shot_number": [1, 2], "batch": keys}))
    assert count_unusable_items(plan, files, layers) == {}
    keep_unusable_items(files, first, "sentinel2", [NO_BAND, NO_TIME])
    keep_unusable_items(files, second, "sentinel2", [NO_BAND])
    keep_unusable_items(files, first, "copdem", [item("A", "no raster asset")])
    keep_unusable_items(files, "train-00009-cccccccc", "copdem", [item("Z", "no raster asset")])
    assert count_unusable_items(plan, files, layers) == {
        "copdem: no raster asset": 1,
        "sentinel2: no asset B02": 1,
        "sentinel2: no datetime": 1,
    }
