"""Labels that are rasters of a STAC collection: classes of a land cover map, numbers of a terrain model."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.check_recipe import forecast
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline.errors import LostFootprintsError, RecipeError
from factory_pipeline_tests.builds.recipes.archives import (
    LEFT,
    TOP,
    build,
    degrees,
    grid,
    make_archive,
    points_csv,
    recipe_of,
    scene,
    window_at,
)
from factory_pipeline_tests.builds.recipes.sample_builds import read_samples
from factory_pipeline_tests.cog.oracle import expected

WEST, SOUTH = degrees(300, 3400)
EAST, NORTH = degrees(3300, 300)
AREA = f"  area: [{WEST}, {SOUTH}, {EAST}, {NORTH}]\n"
RECIPE = f"""
name: cover
labels:
  kind: rasters
{AREA.rstrip()}
  between: [2021-01-01, 2021-12-31]
  max_nodata: 0.2
  source: {{collection: io-lulc-annual-v02, assets: data, time: {{between: [2021-01-01, 2021-12-31]}}}}
window: {{size: 32, pixel_size: 10}}
sources:
  hls: {{collection: hls2-s30, assets: [B04], time: {{between: [2021-07-01, 2021-07-31]}}}}
splits: {{train: 100}}
"""
HEIGHTS = RECIPE.replace(
    "io-lulc-annual-v02, assets: data, time: {between: [2021-01-01, 2021-12-31]}",
    "cop-dem-glo-30, assets: data",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles of land cover side by side, off the windows' pixels by 3 m, of two years; one terrain model.

    South of 3.3 km there is no land cover.
    """
    tiles = {
        "west": grid(2000, left=LEFT + 3, top=TOP - 3),
        "east": grid(2000, left=LEFT + 2003, top=TOP - 3),
    }
    cover = [
        scene("io-lulc-annual-v02", f"{name}_{year}", f"{year}-01-01", of)
        for name, of in tiles.items()
        for year in (2020, 2021)
    ]
    terrain = scene("cop-dem-glo-30", "heights", "2021-04-22", grid(6000, 30))
    photos = scene("hls2-s30", "HLS.one", "2021-07-10", grid(6000, 30), only=("B04",))
    return make_archive(tmp_path_factory.mktemp("archive"), [*cover, terrain, photos])


@pytest.mark.integration  # takes seconds
@pytest.mark.parametrize("text", [RECIPE, HEIGHTS], ids=["classes", "numbers"])
def test_labels_are_what_gdal_warps(archive: Path, tmp_path: Path, text: str) -> None:
    recipe = recipe_of(tmp_path, text)
    _, summary = build(recipe, tmp_path / "out", str(archive))
    samples = read_samples(tmp_path / "out" / "train_dataset.h5", ["label"])
    assert len(samples) == summary.samples["train"] > 20
    is_cover = text == RECIPE
    names = ["io-lulc-annual-v02/west_2021", "io-lulc-annual-v02/east_2021"]
    rasters = tuple(f"{archive}/rasters/{name}/data.tif" for name in names)
    if not is_cover:
        rasters = (f"{archive}/rasters/cop-dem-glo-30/heights/data.tif",)
    how = Resampling.NEAREST if is_cover else Resampling.BILINEAR
    for sample in samples:
        truth = expected(WindowRead(rasters, sample.window, how, 1, 0 if is_cover else None))
        label = sample.arrays["label"][0]
        known = (label != -1) if is_cover else np.isfinite(label)
        np.testing.assert_array_equal(known, truth.valid)
        np.testing.assert_allclose(label[known], truth.values[truth.valid], atol=0 if is_cover else 1e-3)
        assert known.mean() >= 0.8
    rejects = pl.read_parquet(tmp_path / "out" / "rejects.parquet")
    assert set(rejects["stage"]) <= {"labels"}
    assert bool(rejects.height) is is_cover  # the terrain is everywhere
    assert (recipe.labels.target.classes or {}).get(2) == ("Trees" if is_cover else None)


@pytest.mark.integration
def test_windows_may_be_around_points(archive: Path, tmp_path: Path) -> None:
    points_csv(
        tmp_path / "plots.csv", [(1000, 1000), (1985, 700), (5000, 5000)], plot=["a", "b", "c"], zone="nsn"
    )
    points = "points: {path: plots.csv, id: plot, extra: zone, time: {between: [2021-07-01, 2021-07-02]}}"
    text = RECIPE.replace(AREA, f"  {points}\n").replace("  between: [2021-01-01, 2021-12-31]\n", "")
    recipe = recipe_of(tmp_path, text.replace("train: 100", "by: column, column: zone, train: [n, s]"))
    _, summary = build(recipe, tmp_path / "out", str(archive))
    samples = read_samples(tmp_path / "out" / "train_dataset.h5", ["label"])
    assert {sample.id: sample.window for sample in samples} == {
        "a": window_at(1000, 1000, 32, 10),
        "b": window_at(1985, 700, 32, 10),
    }
    assert summary.dropped == {"labels: no_scene": 1}
    (across,) = [sample for sample in samples if sample.id == "b"]
    rasters = [f"{archive}/rasters/io-lulc-annual-v02/{name}_2021/data.tif" for name in ("west", "east")]
    truth = expected(WindowRead(tuple(rasters), across.window, Resampling.NEAREST, 1, 0))
    np.testing.assert_array_equal(across.arrays["label"][0], truth.values)
    assert str(tmp_path) not in recipe.canonical_json()


def test_a_raster_of_labels_that_is_away_stops_the_build(archive: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(archive, tmp_path / "archive"))
    (damaged / "rasters" / "io-lulc-annual-v02" / "west_2021" / "data.tif").unlink()
    with pytest.raises(LostFootprintsError, match="are lost to the archive"):
        build(recipe_of(tmp_path, RECIPE), tmp_path / "out", str(damaged))
    assert not list((tmp_path / "out").glob("*_dataset.h5"))


def test_the_forecast_counts_what_labels_read(archive: Path, tmp_path: Path) -> None:
    found = forecast(recipe_of(tmp_path, RECIPE), str(archive))
    assert found.sources.keys() == {"labels", "hls"}
    assert found.sources["labels"].scenes == 2


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (
            "  source:",
            "  path: heights.tif\n  source:",
            "give either path, a GeoTIFF or a folder of them, or source",
        ),
        (AREA, "", "labels of a source need area"),
        ("  max_nodata", "  points: {path: plots.csv}\n  max_nodata", "points go without area and between"),
        ("assets: data", "assets: [data, other]", "has one asset"),
        ("assets: data", "assets: date", "labels.source.assets"),
        ("collection: io-lulc", "collection: io-lulk", "labels.source.collection"),
        ("max_nodata", "band: 2, max_nodata".replace(", ", "\n  "), "band and nodata go with path"),
        ("  hls:", "  labels:", "labels is the name of the source of the labels"),
        ("data, time", "data, composite: median, time", "data holds categories"),
    ],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, was: str, becomes: str, said: str) -> None:
    assert was in RECIPE
    with pytest.raises(RecipeError, match=said.replace(".", r"\.")):
        recipe_of(tmp_path, RECIPE.replace(was, becomes))
