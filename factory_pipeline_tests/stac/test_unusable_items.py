"""Items of the catalog that can't be used are counted in the summary, each once."""

import json
from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.summary import BuildSummary, count_unusable_items
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.build_files import BuildFiles


def test_items_of_several_batches_are_counted_once(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    keys = ["train-00000-aaaaaaaa", "train-00001-bbbbbbbb"]
    plan = BatchPlan(PlanFacts(("train",)), pl.DataFrame({"shot_number": [1, 2], "batch": keys}))
    assert count_unusable_items(plan, files) == {}
    for key, items in zip(
        keys, ({"A": "no asset B02", "B": "no datetime"}, {"A": "no asset B02"}), strict=True
    ):
        write_text(files.unusable_items(key, "sentinel2"), json.dumps(items))
    write_text(files.unusable_items(keys[0], "copdem"), json.dumps({"A": "no raster asset"}))
    write_text(files.unusable_items("train-00009-gone", "copdem"), json.dumps({"Z": "no raster asset"}))
    counts = count_unusable_items(plan, files)
    assert counts == {"copdem: no raster asset": 1, "sentinel2: no asset B02": 1, "sentinel2: no datetime": 1}
    shown = str(
        BuildSummary(
            granules=1,
            granules_set_aside={},
            footprints_in=2,
            dropped={},
            planned=2,
            plan="0a1b",
            batches=2,
            samples={"train": 2},
            files={},
            items_unusable=counts,
        )
    )
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "Items of the catalog that can't be used 3" in lines
    assert "sentinel2: no asset B02 1" in lines
