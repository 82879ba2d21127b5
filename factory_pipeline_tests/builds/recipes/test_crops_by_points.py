"""Crop type by points: twelve months of Sentinel-2 and Sentinel-1, by the sample's recipe, pixel by pixel."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.rasters.read_source import NO_TIME
from factory_pipeline.cog.reader import ReadWindow, Resampling, WindowRead
from factory_pipeline.synthetic.samples.crops import (
    MONTHS,
    REPROCESSED_FROM,
    WITHOUT_SENTINEL1,
    WITHOUT_SENTINEL2,
)
from factory_pipeline_tests.builds.recipes.sample_builds import Sample, SampleBuild, build_sample
from factory_pipeline_tests.cog.oracle import expected

pytestmark = pytest.mark.integration
LABELS = (0, 3, 12, 23)
"""One whose confidence is low, one in the western zone, two in the eastern: Sentinel-1 shows a part of the
last."""
S2, S1 = "sentinel-2-l2a", "sentinel-1-rtc"
BANDS = ("B04", "B08", "B11", "SCL")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleBuild:
    return build_sample("crops", tmp_path_factory.mktemp("crops"), LABELS)


@pytest.fixture(scope="module")
def samples(built: SampleBuild) -> list[Sample]:
    found = built.samples("sentinel2", "sentinel2_mask", "sentinel2_times", "sentinel1", "sentinel1_mask")
    assert sorted(sample.id for sample in found) == ["f03", "f12", "f23"]
    compared = [sample for sample in found if sample.id != "f12"]
    assert {sample.window.epsg for sample in compared} == {32632, 32633}
    return compared


def month_of(scene: str) -> int:
    """The period that a scene is in, by the time in its id."""
    text = next(part for part in scene.split("_") if len(part) == 15 and part[8] == "T")
    time = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return (time - datetime(2021, 1, 1, tzinfo=UTC)).days // 30


def scenes_of(built: SampleBuild, collection: str, month: int, tile: str = "") -> list[str]:
    """Scenes of a month in the order of their times."""
    folder = built.archive / "rasters" / collection
    named = [path.name for path in folder.iterdir() if month_of(path.name) == month and tile in path.name]
    return sorted(named, key=lambda name: name.split("_", 2)[2])


def warp(built: SampleBuild, collection: str, scene: str, asset: str, sample: Sample) -> ReadWindow:
    """GDAL's warp of a raster onto the window of a sample."""
    resampling = Resampling.NEAREST if asset == "SCL" else Resampling.BILINEAR
    nodata = -32768 if collection == S1 else 0
    read = WindowRead((built.raster(collection, scene, asset),), sample.window, resampling, 1, nodata)
    return expected(read)


def test_the_best_clear_picture_of_each_month(built: SampleBuild, samples: list[Sample]) -> None:
    masked = 0
    for sample in samples:
        tile = "T32" if sample.window.epsg == 32632 else "T33"
        values, mask = sample.arrays["sentinel2"], sample.arrays["sentinel2_mask"]
        assert values.shape == (MONTHS, len(BANDS), 32, 32)
        for month in range(MONTHS):
            pictures = []
            for scene in scenes_of(built, S2, month, tile):
                bands = [warp(built, S2, scene, asset, sample) for asset in BANDS]
                clear = np.isin(bands[-1].values, [4, 5, 6, 7])
                stack = np.stack([band.values.astype(int) for band in bands])
                if month >= REPROCESSED_FROM:
                    # The offset of the new baseline is taken away once; 0 stays the value without data.
                    stack[:-1] = np.maximum(stack[:-1] - 1000, 1)
                pictures.append((clear & np.logical_and.reduce([band.valid for band in bands]), stack))
            assert (month == WITHOUT_SENTINEL2) == (not pictures)
            wanted, seen = np.zeros(values[month].shape, int), np.zeros((32, 32), bool)
            for clear, stack in sorted(pictures, key=lambda picture: picture[0].sum()):
                wanted, seen = np.where(clear, stack, wanted), seen | clear
            np.testing.assert_array_equal(mask[month], seen)
            np.testing.assert_allclose(values[month].astype(int), wanted, atol=1)
            np.testing.assert_array_equal(values[month, -1], wanted[-1])
            masked += np.count_nonzero(~seen)
    assert masked > 3 * 32 * 32


def test_the_mean_of_sentinel1_across_zones_and_its_gaps(built: SampleBuild, samples: list[Sample]) -> None:
    shares = {}
    for sample in samples:
        values, mask = sample.arrays["sentinel1"], sample.arrays["sentinel1_mask"]
        for month in range(MONTHS):
            pair = scenes_of(built, S1, month)
            assert len(pair) == (0 if month in WITHOUT_SENTINEL1 else 2)
            if not pair:
                assert not mask[month].any()
                assert np.isnan(values[month]).all()
                continue
            for band, asset in enumerate(("vv", "vh")):
                warped = [warp(built, S1, scene, asset, sample) for scene in pair]
                np.testing.assert_array_equal(mask[month].astype(bool), warped[0].valid)
                mean = np.mean([each.values for each in warped], axis=0)
                wanted = np.where(warped[0].valid, mean, np.nan)
                np.testing.assert_allclose(values[month, band], wanted, rtol=0, atol=1e-3)
        shares[sample.id] = mask[0].mean()
    assert shares["f03"] == 1 > shares["f23"]


def test_times_and_items_are_those_of_the_scenes(samples: list[Sample]) -> None:
    for sample in samples:
        tile = "T32" if sample.window.epsg == 32632 else "T33"
        for month, (time, items) in enumerate(
            zip(sample.arrays["sentinel2_times"], sample.items["sentinel2"], strict=True)
        ):
            assert (time == NO_TIME) == (not items)
            assert all(month_of(item) == month and tile in item for item in items)


def test_the_label_that_a_rule_drops_is_in_the_ledger(built: SampleBuild) -> None:
    rejects = pl.read_parquet(built.output / "rejects.parquet")
    assert rejects.select("id", "reason").rows() == [("f00", "confidence > 0.5")]


def test_no_block_is_fetched_twice(built: SampleBuild) -> None:
    rasters = [count for path, count in built.requests.items() if path.endswith("B08.tif")]
    # The header with the offsets, then the one block, for however many windows and months.
    assert len(rasters) >= 22
    assert max(rasters) <= 2


def test_checks_find_no_fault(built: SampleBuild) -> None:
    assert built.faults() == []
