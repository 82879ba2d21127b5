"""Burn scars by polygons: HLS at 30 m in overlapping tiles of two zones, by the sample's recipe."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import rasterize
from rasterio.warp import transform_bounds
from shapely.geometry import shape

from factory_pipeline.cog.reader import ReadWindow, Resampling, WindowRead
from factory_pipeline_tests.builds.recipes.sample_builds import Sample, SampleBuild, build_sample
from factory_pipeline_tests.cog.oracle import expected

pytestmark = pytest.mark.integration
BANDS = ("B04", "B8A", "B12")
CODES = {"Low": 1, "High": 2}


def project(geometry: shapely.Geometry, source: int, target: int) -> shapely.Geometry:
    """A geometry in another CRS, its corners alone."""
    to_target = Transformer.from_crs(source, target, always_xy=True).transform
    return shapely.transform(geometry, lambda points: np.stack(to_target(*points.T), axis=1))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleBuild:
    return build_sample("burn-scars", tmp_path_factory.mktemp("scars"))


@pytest.fixture(scope="module")
def samples(built: SampleBuild) -> list[Sample]:
    found = built.samples("label", "hls", "hls_mask")
    assert {sample.window.epsg for sample in found} == {32610, 32611}
    return found


def test_polygons_are_burnt_as_gdal_burns_them_and_the_later_row_wins(
    built: SampleBuild, samples: list[Sample]
) -> None:
    features = json.loads((built.archive / "scars.geojson").read_text())["features"]
    outlines = [shape(feature["geometry"]) for feature in features]
    codes = [CODES[feature["properties"]["severity"]] for feature in features]
    overlap = shapely.intersection(outlines[2], outlines[3])
    overwritten = 0
    for sample in samples:
        shapes = [project(outline, 4326, sample.window.epsg) for outline in outlines]
        burnt = rasterize(
            list(zip(shapes, codes, strict=True)),
            out_shape=sample.window.shape,
            transform=sample.window.transform,
            dtype=np.int32,
        )
        np.testing.assert_array_equal(sample.arrays["label"][0], burnt)
        both = rasterize(
            [project(overlap, 4326, sample.window.epsg)],
            out_shape=sample.window.shape,
            transform=sample.window.transform,
        )
        overwritten += np.count_nonzero(both)
        assert (sample.arrays["label"][0][both > 0] == codes[3]).all()
    assert overwritten > 20
    assert "1 pair of labels overlaps" in (built.output / "summary.json").read_text()


def test_hls_is_what_gdal_warps_and_clouds_are_masked(built: SampleBuild, samples: list[Sample]) -> None:
    used = set()
    clouds = 0
    for sample in samples:
        (scenes,) = sample.items["hls"]
        used.update(scenes)

        def warp(
            asset: str,
            resampling: Resampling,
            nodata: float,
            scenes: list[str] = scenes,
            sample: Sample = sample,
        ) -> ReadWindow:
            hrefs = tuple(built.raster("hls2-s30", scene, asset) for scene in scenes)
            return expected(WindowRead(hrefs, sample.window, resampling, 1, nodata))

        bands = [warp(asset, Resampling.BILINEAR, -9999) for asset in BANDS]
        flags = warp("Fmask", Resampling.NEAREST, 255)
        data = np.logical_and.reduce([band.valid for band in bands])
        clear = data & flags.valid & ((flags.values & 0b1010) == 0)
        clouds += np.count_nonzero(data & ~clear)
        np.testing.assert_array_equal(sample.arrays["hls_mask"].astype(bool), clear)
        for band, pixels in enumerate(bands):
            seen = pixels.valid & flags.valid & ((flags.values & 0b1010) == 0)
            wanted = np.where(seen, pixels.values, -9999)
            np.testing.assert_allclose(sample.arrays["hls"][band].astype(int), wanted.astype(int), atol=1)
    assert clouds > 0
    # After the fire, in all tiles.
    assert {scene.split(".")[3][:7] for scene in used} == {"2021214"}
    assert len(used) == 4


def test_a_window_takes_one_tile_that_shows_all_of_it_else_all_that_show_some(
    built: SampleBuild, samples: list[Sample]
) -> None:
    folder = built.archive / "rasters/hls2-s30"
    tiles = {}
    for path in folder.iterdir():
        if "2021214" in path.name:
            with rasterio.open(path / "B04.tif") as dataset:
                epsg = dataset.crs.to_epsg()
                tiles[path.name] = (epsg, project(shapely.box(*dataset.bounds), epsg, 4326))
    joined = 0
    for sample in samples:
        box = shapely.box(*transform_bounds(f"EPSG:{sample.window.epsg}", "EPSG:4326", *sample.window.bounds))
        (scenes,) = sample.items["hls"]
        whole = {name for name, (_, outline) in tiles.items() if outline.covers(box.buffer(2e-3))}
        own = {name for name in whole if tiles[name][0] == sample.window.epsg}
        if whole:
            assert len(scenes) == 1
            assert scenes[0] in (own or whole)
        elif len(scenes) > 1:
            assert set(scenes) == {name for name, (_, outline) in tiles.items() if outline.intersects(box)}
            joined += 1
    assert joined


def test_the_windows_of_a_cover_do_not_overlap_within_a_zone(samples: list[Sample]) -> None:
    for epsg in (32610, 32611):
        windows = [sample.window for sample in samples if sample.window.epsg == epsg]
        assert len({(window.left % 960, window.top % 960) for window in windows}) == 1
        assert len({(window.left, window.top) for window in windows}) == len(windows)


def test_both_splits_are_of_every_sample_once(built: SampleBuild, samples: list[Sample]) -> None:
    assert len({sample.id for sample in samples}) == len(samples)
    counts = json.loads((built.output / "summary.json").read_text())["samples"]
    assert sum(counts.values()) == len(samples)
    assert min(counts.values()) > 0


def test_checks_find_no_fault(built: SampleBuild) -> None:
    assert built.faults() == []
