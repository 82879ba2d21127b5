"""Canopy height by rasters on Landsat at 30 m and NAIP at 0.6 m, in two zones, by the sample's recipe."""

import numpy as np
import polars as pl
import pytest
import rasterio
from rasterio.warp import Resampling as GdalResampling
from rasterio.warp import reproject

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.synthetic.samples.canopy import NO_LABEL, height_at
from factory_pipeline_tests.builds.recipes.sample_builds import Sample, SampleBuild, build_sample
from factory_pipeline_tests.cog.oracle import expected

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleBuild:
    return build_sample("canopy", tmp_path_factory.mktemp("canopy"))


@pytest.fixture(scope="module")
def samples(built: SampleBuild) -> list[Sample]:
    found = built.samples("label", "landsat", "landsat_mask", "naip", "naip_mask")
    assert {sample.window.epsg for sample in found} == {32610, 32611}
    return found


def test_labels_are_what_gdal_warps_of_the_raster_of_the_same_zone(
    built: SampleBuild, samples: list[Sample]
) -> None:
    compared = 0
    for sample in samples:
        zone = f"heights_{sample.window.epsg % 100}n.tif"
        warped = np.full(sample.window.shape, np.nan, np.float32)
        with rasterio.open(built.archive / "heights" / zone) as dataset:
            reproject(
                rasterio.band(dataset, 1),
                warped,
                src_nodata=NO_LABEL,
                dst_transform=sample.window.transform,
                dst_crs=f"EPSG:{sample.window.epsg}",
                dst_nodata=np.nan,
                resampling=GdalResampling.bilinear,
            )
        label = sample.arrays["label"][0]
        known = np.isfinite(warped)
        # Where this raster ends that of the other zone may go on.
        np.testing.assert_allclose(label[known], warped[known], atol=1e-3)
        compared += np.count_nonzero(known)
    assert compared > 400


def test_labels_are_where_they_belong_across_both_zones(built: SampleBuild, samples: list[Sample]) -> None:
    for sample in samples:
        grid = sample.window
        columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
        degrees = to_degrees(grid.epsg, grid.left + columns * 30, grid.top - rows * 30)
        label = sample.arrays["label"][0]
        known = np.isfinite(label)
        assert known.mean() >= 0.6
        # A shift by half a pixel would change heights by more than a metre in the mean.
        assert np.abs(label - height_at(*degrees))[known].mean() < 0.4
    reasons = pl.read_parquet(built.output / "rejects.parquet")["reason"].unique().to_list()
    assert reasons == ["no_label"]


def test_landsat_is_what_gdal_warps_and_masked_by_bits(built: SampleBuild, samples: list[Sample]) -> None:
    clouds = 0
    for sample in samples:
        (scenes,) = sample.items["landsat"]

        def href(asset: str, scenes: list[str] = scenes) -> tuple[str, ...]:
            return tuple(built.raster("landsat-c2-l2", scene, asset) for scene in scenes)

        flags = expected(WindowRead(href("qa_pixel"), sample.window, Resampling.NEAREST, 1, 1))
        clear = flags.valid & ((flags.values & 0b11110) == 0)
        clouds += np.count_nonzero(~clear)
        np.testing.assert_array_equal(sample.arrays["landsat_mask"].astype(bool), clear)
        for band, asset in enumerate(("red", "nir08", "swir16")):
            pixels = expected(WindowRead(href(asset), sample.window, Resampling.BILINEAR, 1, 0))
            wanted = np.where(clear, pixels.values, 0).astype(int)
            np.testing.assert_allclose(sample.arrays["landsat"][band].astype(int), wanted, atol=1)
    assert clouds > 0


def test_naip_has_pixels_of_its_own_size_on_the_same_ground(
    built: SampleBuild, samples: list[Sample]
) -> None:
    several = [sample for sample in samples if len(sample.items["naip"][0]) > 1]
    one = [sample for sample in samples if len(sample.items["naip"][0]) == 1]
    assert several
    for sample in (*several[:2], *one[:1]):
        fine = Grid(sample.window.epsg, sample.window.left, sample.window.top, 0.6, 0.6, 500, 500)
        hrefs = tuple(built.raster("naip", scene, "image") for scene in sample.items["naip"][0])
        for band, number in ((0, 1), (3, 4)):
            wanted = expected(WindowRead(hrefs, fine, Resampling.BILINEAR, number))
            np.testing.assert_array_equal(sample.arrays["naip_mask"].astype(bool), wanted.valid)
            np.testing.assert_allclose(
                sample.arrays["naip"][band].astype(int), wanted.values.astype(int), atol=1
            )


def test_checks_find_no_fault(built: SampleBuild) -> None:
    assert built.faults() == []
