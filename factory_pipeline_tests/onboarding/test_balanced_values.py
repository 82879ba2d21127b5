"""Measured labels keep the share of their quartiles in every split."""

import json

import numpy as np
import polars as pl
import pytest

from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import geotiff

pytestmark = pytest.mark.integration

COUNT = 40


def regression(count: int) -> dict[str, bytes]:
    """Images far from one another whose labels grow with their number, with a pixel without data each."""
    rng, files = np.random.default_rng(0), {}
    for number in range(count):
        place = {"left": 500_000.0 + 1000 * number}
        values = np.full((1, 8, 8), float(number) ** 2, np.float32)
        values[0, 0, 0] = -9999
        files[f"plot_{number:02}_image.tif"] = geotiff(rng.integers(1, 99, (2, 8, 8), np.uint16), **place)
        files[f"plot_{number:02}_agb.tif"] = geotiff(values, nodata=-9999, **place)
    return files


def test_every_quartile_of_the_labels_is_divided_as_asked(bench: Bench) -> None:
    changes = {"training_data_suffixes": ["_image.tif"], "label_suffix": "_agb.tif"}
    key = bench.prepare("biomass", regression(COUNT), purpose="Regression", label_categories=[], **changes)
    files = bench.home.upload(key)
    means = pl.read_parquet(files.contents).filter(pl.col("role") == "label").sort("stem")["mean"]
    assert means.to_list() == [float(number) ** 2 for number in range(COUNT)]
    items = pl.read_parquet(files.finished.items).select("original_name", "split")
    quarter = items["original_name"].str.extract(r"_(\d+)").cast(pl.Int64) // (COUNT // 4)
    counts = items.with_columns(quarter.alias("quarter")).group_by("quarter", "split").len()
    for split, share in (("train", 6), ("test", 2), ("validation", 2)):
        assert counts.filter(split=split)["len"].to_list() == [share] * 4
    record = json.loads(files.finished.splits.read_text())
    assert record["balance"]["largest_deviation"] == 0
    assert record["splits"] == {"train": 24, "test": 8, "validation": 8}


def test_a_few_measured_labels_are_divided_by_chance(bench: Bench) -> None:
    changes = {"training_data_suffixes": ["_image.tif"], "label_suffix": "_agb.tif"}
    key = bench.prepare("few", regression(8), purpose="Regression", label_categories=[], **changes)
    record = json.loads(bench.home.upload(key).finished.splits.read_text())
    assert record["balance"]["missing"] == []
