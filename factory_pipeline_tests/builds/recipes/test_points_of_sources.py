"""Points with one date of any sources are right pixel by pixel."""

import shutil
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from PIL import Image

from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.verification.build_output import verify_build
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline.hdf5.recipe_preview import recipe_sheet
from factory_pipeline.hdf5.verify_recipe import check_recipe_file
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.builds.recipes.archives import (
    TOP,
    build,
    grid,
    make_archive,
    points_csv,
    recipe_of,
    scene,
    window_at,
)
from factory_pipeline_tests.cog.oracle import expected

pytestmark = pytest.mark.integration
PLACES = [(703, 807), (2503, 2607), (4403, 1507), (1503, 4607), (5986, 3003)]
RECIPE = """
name: crops
labels:
  kind: points
  path: fields.csv
  id: field
  time: {column: surveyed}
  target: {column: crop, classes: {1: Maize, 2: Wheat}}
  keep: ["confidence > 0.5"]
  extra: [region, confidence]
window: {size: 32, pixel_size: 10}
sources:
  sentinel2:
    collection: sentinel-2-l2a
    assets: [B02, B04, B11, SCL]
    time: {around: 10d}
    select: least_cloudy
    max_cloud_cover: 50
    resampling: {SCL: nearest, default: bilinear}
  sentinel1: {collection: sentinel-1-rtc, assets: [vv, vh], time: {around: 20d}, required: false}
  landsat:
    collection: landsat-c2-l2
    assets: [red, qa_pixel]
    time: {around: 30d}
    mask: {asset: qa_pixel, clear_bits: [1, 2, 3, 4]}
  dem: {collection: cop-dem-glo-30, assets: [data], derive: [slope]}
splits: {train: 60, test: 20, validation: 20}
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    degrees = Grid(4326, 14.99, 47.87, 1 / 3600, 1 / 3600, 360, 360)
    landsat = Grid(32633, 499_785.0, TOP + 105, 30, 30, 220, 220)
    return make_archive(
        tmp_path_factory.mktemp("archive"),
        [
            scene("sentinel-2-l2a", "S2A_cloudy", "2021-06-10", cloud_cover=40, platform="sentinel-2a"),
            scene(
                "sentinel-2-l2a",
                "S2B_clear",
                "2021-06-14",
                cloud_cover=5,
                platform="sentinel-2b",
                shift=1000,
                properties={"s2:processing_baseline": "05.09"},
            ),
            scene("sentinel-2-l2a", "S2A_late", "2021-08-14", cloud_cover=1, platform="sentinel-2a"),
            scene("sentinel-1-rtc", "S1A_west", "2021-06-11", grid(4000), platform="sentinel-1a"),
            scene("landsat-c2-l2", "LC08_one", "2021-06-20", landsat, cloud_cover=30, platform="landsat-8"),
            scene("cop-dem-glo-30", "DEM", "2021-01-01", degrees),
        ],
    )


@pytest.fixture(scope="module")
def built(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    points_csv(
        folder / "fields.csv",
        [*PLACES, (3000, 3000), (3100, 3000), (90_000, 3000)],
        field=["a", "b", "c", "d", "edge", "doubtful", "rye", "far"],
        crop=["Maize", "Wheat", "1", "2", "Maize", "Maize", "Rye", "Maize"],
        surveyed=["2021-06-13"] * 8,
        confidence=[0.9, 0.8, 0.7, 0.6, 0.9, 0.2, 0.9, 0.9],
        region=["north", "north", "south", "south", "south", "south", "south", "south"],
    )
    with SampleServer(archive) as server:
        build(recipe_of(folder, RECIPE), folder / "out", server.stac_url)
    return folder / "out"


def samples_of(output: Path, name: str) -> dict[str, np.ndarray]:
    """A dataset of all splits, by the id of the sample."""
    found = {}
    for path in sorted(output.glob("*_dataset.h5")):
        with h5py.File(path) as file:
            ids = file["provenance/Id"].asstr()[:, 0]
            found |= dict(zip(ids, file[name][()], strict=True))
    return found


def test_every_label_is_a_sample_or_in_the_ledger(built: Path) -> None:
    rejects = pl.read_parquet(built / "rejects.parquet")
    reasons = dict(rejects.select("id", "reason").iter_rows())
    assert reasons == {"doubtful": "confidence > 0.5", "rye": "no_class", "far": "no_scene"}
    assert samples_of(built, "data/label").keys() == {"a", "b", "c", "d", "edge"}
    for path in built.glob("*_dataset.h5"):
        assert [finding.detail for finding in check_recipe_file(path) if not finding.passed] == []


def test_files_are_verified_against_their_recipe(built: Path, tmp_path: Path) -> None:
    report = verify_build(built, 20, 0)
    assert report.passed
    assert report.total == len(list(built.glob("*_dataset.h5")))
    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    path = next(iter(sorted(copy.glob("*_dataset.h5"))))
    with h5py.File(path, "r+") as file:
        file["data/label"][0] = 99
    (failed,) = [result for result in verify_build(copy, 20, 0).results if not result.passed]
    assert failed.name == path.name
    assert "label" in failed.differences[0]


def test_samples_without_an_optional_source_are_kept_and_counted(built: Path) -> None:
    lacking = [
        sample
        for sample, times in samples_of(built, "data/sentinel1_times").items()
        if (times == np.iinfo(np.int64).min).any()
    ]
    assert 0 < len(lacking) < 5
    summary = DatasetBuildSummary.load(built / "summary.json")
    assert summary.lacking == {"sentinel1": len(lacking)}
    assert f"  lack scenes of sentinel1     {len(lacking):>8}" in str(summary)


def test_the_page_tells_sources_losses_splits_and_shows_samples(built: Path) -> None:
    page = (built / "dataset.html").read_text()
    shown = (
        "sentinel2",
        "Landsat Collection 2",
        "no_scene",
        "confidence &gt; 0.5",
        "2 Wheat",
        "sentinel-1-rtc",
    )
    assert [text for text in shown if text not in page] == []
    assert 'src="data:image/png;base64,' in page
    assert 'src="http' not in page
    assert str(built.parent) not in page
    sheet = Image.open(BytesIO(recipe_sheet(built / "train_dataset.h5", samples=2)))
    assert sheet.size[1] < 400
    assert len(sheet.getcolors(100_000) or []) > 50


@pytest.mark.parametrize(
    ("band", "asset", "resampling"),
    [(0, "B02", Resampling.BILINEAR), (2, "B11", Resampling.BILINEAR), (3, "SCL", Resampling.NEAREST)],
)
def test_sentinel2_is_what_gdal_warps(
    archive: Path, built: Path, band: int, asset: str, resampling: Resampling
) -> None:
    samples = samples_of(built, "data/sentinel2")
    for name, place in zip("abcd", PLACES, strict=False):
        href = str(archive / f"rasters/sentinel-2-l2a/S2B_clear/{asset}.tif")
        wanted = expected(WindowRead((href,), window_at(*place, 32, 10), resampling, 1, 0)).values
        if asset != "SCL":
            # The offset of baseline 05.09 is taken away once.
            wanted = np.maximum(wanted.astype(int) - 1000, 1)
        np.testing.assert_allclose(samples[name][band].astype(int), wanted.astype(int), atol=asset != "SCL")


def test_landsat_is_warped_from_its_own_grid_and_masked(archive: Path, built: Path) -> None:
    values, masks = samples_of(built, "data/landsat"), samples_of(built, "data/landsat_mask")
    for name, place in zip("abcd", PLACES, strict=False):
        window = window_at(*place, 32, 10)
        folder = archive / "rasters/landsat-c2-l2/LC08_one"
        red = expected(WindowRead((str(folder / "red.tif"),), window, Resampling.BILINEAR, 1, 0))
        flags = expected(WindowRead((str(folder / "qa_pixel.tif"),), window, Resampling.NEAREST, 1, 1))
        clear = red.valid & flags.valid & ((flags.values & 0b11110) == 0)
        np.testing.assert_array_equal(masks[name], clear)
        np.testing.assert_allclose(
            values[name][0].astype(int), np.where(clear, red.values, 0).astype(int), atol=1
        )


def test_an_optional_source_is_without_data_where_it_is_missing(archive: Path, built: Path) -> None:
    values, masks = samples_of(built, "data/sentinel1"), samples_of(built, "data/sentinel1_mask")
    times = samples_of(built, "data/sentinel1_times")
    assert not masks["c"].any()
    assert np.isnan(values["c"]).all()
    assert times["c"] == np.iinfo(np.int64).min
    href = str(archive / "rasters/sentinel-1-rtc/S1A_west/vv.tif")
    wanted = expected(WindowRead((href,), window_at(*PLACES[0], 32, 10), Resampling.BILINEAR, 1, -32768))
    np.testing.assert_array_equal(values["a"][0], wanted.values)
    assert masks["a"].all()
