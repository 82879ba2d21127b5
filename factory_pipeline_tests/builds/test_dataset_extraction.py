"""Extraction of a batch: each label is a sample with the pixels of its scene, or is dropped for a reason."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
from rasterio.windows import Window

from factory_pipeline.builds.dataset_extraction import (
    BatchOutcome,
    DatasetExtraction,
    choose_for,
    requests_of,
)
from factory_pipeline.builds.dataset_plan import StoredDatasetPlan, plan_dataset
from factory_pipeline.builds.rasters.source_layer import layers_of
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline_tests.builds.recipes.archives import (
    LEFT,
    TOP,
    grid,
    make_archive,
    points_csv,
    scene,
    window_at,
)

SIZE = 8
PLACES = [(203, 307), (403, 407), (603, 507), (703, 807)]
FAR = (50_000, 300)
IDS = ["a", "b", "c", "d"]
S2 = {
    "collection": "sentinel-2-l2a",
    "assets": ["B02", "B04"],
    "time": {"around": "10d"},
    "select": "least_cloudy",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of June, of which the earlier is the clearer, and one of August; all of 1 km."""
    only = ("B02", "B04")
    clouds = {"S2A_june": ("2021-06-10", 5), "S2B_june": ("2021-06-14", 40), "S2A_august": ("2021-08-14", 1)}
    return make_archive(
        tmp_path_factory.mktemp("archive"),
        [
            scene("sentinel-2-l2a", name, day, grid(1000), cloud_cover=cover, only=only)
            for name, (day, cover) in clouds.items()
        ],
    )


def settings_of(
    archive: Path, folder: Path, places: list[tuple[float, float]] | None = None, **changes: Any
) -> DatasetSettings:
    """A build from points of a day in June."""
    chosen = PLACES if places is None else places
    days = ["2021-06-12"] * len(chosen)
    points_csv(folder / "a.csv", chosen, field=IDS[: len(chosen)], day=days)
    document = {
        "name": "crops",
        "labels": {
            "kind": "points",
            "path": str(folder / "a.csv"),
            "id": "field",
            "time": {"column": "day"},
        },
        "window": {"size": SIZE, "pixel_size": 10},
        "sources": {"s2": S2},
        "splits": {"by": "random", "train": 100},
        **changes,
    }
    recipe = DatasetRecipe.parse(document, "of the test")
    return DatasetSettings(recipe=recipe, output=folder / "out", catalog=str(archive))


def extract(build: DatasetSettings) -> tuple[str, BatchOutcome]:
    """Plan and extract the only batch."""
    (batch,) = plan_dataset(build, "catalog").keys
    return batch, DatasetExtraction(build).extract(batch)


def ledger(build: DatasetSettings, batch: str) -> dict[str, tuple[str, str]]:
    """Stage and reason by label."""
    rejects = pl.read_parquet(build.files.batch_rejects(batch))
    return {id_: (stage, reason) for id_, stage, reason in rejects.select("id", "stage", "reason").rows()}


def pixels(archive: Path, name: str, band: str, place: tuple[float, float]) -> np.ndarray:
    """The window of a place, read by rasterio alone."""
    window = window_at(*place, SIZE, 10)
    column, row = round((window.left - LEFT) / 10), round((TOP - window.top) / 10)
    with rasterio.open(archive / "rasters" / "sentinel-2-l2a" / name / f"{band}.tif") as file:
        return file.read(1, window=Window(column, row, SIZE, SIZE))


def test_each_sample_has_the_pixels_of_the_clearest_scene(archive: Path, tmp_path: Path) -> None:
    build = settings_of(archive, tmp_path)
    batch, outcome = extract(build)
    assert (outcome.labels, outcome.accepted, outcome.dropped) == (4, 4, {})
    assert not outcome.cached
    with h5py.File(build.files.batch(batch)) as file:
        ids = file["provenance/Id"].asstr()[:, 0].tolist()
        assert sorted(ids) == IDS
        for row, name in enumerate(ids):
            place = PLACES[IDS.index(name)]
            for band, asset in enumerate(("B02", "B04")):
                expected = pixels(archive, "S2A_june", asset, place)
                np.testing.assert_array_equal(file["data/s2"][row, band], expected)
            assert file["data/Transforms"][row, [2, 5]].tolist() == [
                window_at(*place, SIZE, 10).left,
                window_at(*place, SIZE, 10).top,
            ]
        assert file["data/s2_mask"][:].all()
        assert set(file["provenance/s2 Items"].asstr()[:, 0]) == {"S2A_june"}


def test_a_batch_whose_file_is_there_is_not_extracted_again(archive: Path, tmp_path: Path) -> None:
    build = settings_of(archive, tmp_path, [*PLACES[:2], FAR])
    batch, first = extract(build)
    before = build.files.batch(batch).read_bytes()
    away = build.model_copy(update={"catalog": str(tmp_path / "gone")})
    again = DatasetExtraction(away).extract(batch)
    assert again.cached
    assert (again.labels, again.accepted, again.dropped) == (first.labels, first.accepted, first.dropped)
    assert build.files.batch(batch).read_bytes() == before
    build.files.batch(batch).unlink()
    assert not DatasetExtraction(build).extract(batch).cached
    assert build.files.batch(batch).read_bytes() == before, "the same labels give the same bytes"


def test_a_label_without_a_scene_is_dropped_with_its_reason(archive: Path, tmp_path: Path) -> None:
    build = settings_of(archive, tmp_path, [*PLACES[:3], FAR])
    batch, outcome = extract(build)
    assert (outcome.accepted, outcome.dropped) == (3, {"s2: no_scene": 1})
    assert ledger(build, batch) == {"d": ("s2", "no_scene")}
    with h5py.File(build.files.batch(batch)) as file:
        assert sorted(file["provenance/Id"].asstr()[:, 0]) == IDS[:3]


def test_a_source_that_may_lack_drops_nothing(archive: Path, tmp_path: Path) -> None:
    sources = {"s2": S2 | {"required": False}}
    build = settings_of(archive, tmp_path, [PLACES[0], FAR], sources=sources)
    batch, outcome = extract(build)
    assert (outcome.accepted, outcome.dropped) == (2, {})
    with h5py.File(build.files.batch(batch)) as file:
        rows = {name: row for row, name in enumerate(file["provenance/Id"].asstr()[:, 0])}
        assert file["data/s2_mask"][rows["a"]].all()
        assert not file["data/s2_mask"][rows["b"]].any()
        assert not file["data/s2"][rows["b"]].any()


def test_what_an_earlier_source_drops_is_not_dropped_twice(archive: Path, tmp_path: Path) -> None:
    sources = {"s2": S2, "again": S2}
    build = settings_of(archive, tmp_path, [PLACES[0], FAR], sources=sources)
    batch, outcome = extract(build)
    assert outcome.dropped == {"s2: no_scene": 1}
    assert ledger(build, batch) == {"b": ("s2", "no_scene")}


def test_windows_may_be_on_the_pixels_of_a_source(archive: Path, tmp_path: Path) -> None:
    window = {"size": SIZE, "pixel_size": 10, "crs": {"grid": "s2"}}
    build = settings_of(archive, tmp_path, [PLACES[0], FAR], window=window)
    batch, outcome = extract(build)
    assert outcome.dropped == {"s2: no_scene": 1}
    with h5py.File(build.files.batch(batch)) as file:
        left, top = file["data/Transforms"][0, [2, 5]]
        assert ((left - LEFT) % 10, (TOP - top) % 10) == (0, 0)
        column, row = round((left - LEFT) / 10), round((TOP - top) / 10)
        with rasterio.open(archive / "rasters" / "sentinel-2-l2a" / "S2A_june" / "B02.tif") as raster:
            expected = raster.read(1, window=Window(column, row, SIZE, SIZE))
        np.testing.assert_array_equal(file["data/s2"][0, 0], expected)


# The choice of scenes


def test_scenes_are_chosen_for_each_label(archive: Path, tmp_path: Path) -> None:
    build = settings_of(archive, tmp_path, [PLACES[0], FAR])
    plan_dataset(build, "catalog")
    labels = StoredDatasetPlan(build.files.batch_plan).scan().collect()
    (layer,) = layers_of(build.recipe)
    catalog = open_catalog(build.catalog, requests=requests_of(build.recipe))
    choices, unusable = choose_for(layer, labels, catalog)
    assert unusable == ()
    found = {
        name: [scene.id for (first, *_) in choice.steps if first for scene in first.scenes]
        if any(choice.steps)
        else []
        for name, choice in zip(labels["id"], choices, strict=True)
    }
    assert found == {"a": ["S2A_june"], "b": []}
    assert choose_for(layer, labels.clear(), catalog) == ([], ())


def test_the_catalog_is_asked_for_each_source(archive: Path, tmp_path: Path) -> None:
    build = settings_of(archive, tmp_path, sources={"s2": S2, "later": S2 | {"assets": ["B04"]}})
    requests = requests_of(build.recipe)
    assert list(requests) == ["s2", "later"]
    assert [request.collection.id for request in requests.values()] == ["sentinel-2-l2a"] * 2
