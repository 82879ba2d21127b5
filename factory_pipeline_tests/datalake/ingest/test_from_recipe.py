"""The fused files of a recipe become a collection: items, labels, queries, versions, exports."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
import yaml

from factory_pipeline.datalake.ingest.from_recipe import collect_recipe
from factory_pipeline.datalake.ingest.recipe_rows import TIME
from factory_pipeline.datalake.registry.records import AnnotationSource, CollectionSource
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.recipe_fields import RecipeSamples
from factory_pipeline.onboarding.products.terratorch_tuning import TuningChoices, apply_choices
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datasets.versions.factories import MadeLake, made_lake, request
from factory_pipeline_tests.hdf5.recipe_factories import label_times, recipe_of, write_fused

pytestmark = pytest.mark.integration

POINTS = """
name: crops
labels:
  kind: points
  path: fields.csv
  time: {column: surveyed}
  target: {column: crop, classes: {1: Maize, 2: Wheat}}
  extra: [region, visits, irrigated]
window: {size: 8, pixel_size: 10}
sources:
  s2:
    collection: sentinel-2-l2a
    assets: [B02, B03, B04, SCL]
    time: {around: 10d}
    resampling: {default: bilinear}
  dem: {collection: cop-dem-glo-30, assets: [data], derive: [slope]}
"""
IDS = ["a", "b", "c", "d"]
EXTRA = pl.DataFrame(
    {
        "region": ["north", "north", "south", None],
        "visits": [1, 2, 3, 4],
        "irrigated": [True, False, True, False],
    }
)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as opened:
        yield opened


def test_samples_of_points_are_items_with_labels_and_what_is_carried_along(lake: MadeLake) -> None:
    recipe = recipe_of(POINTS)
    train, test, none = (lake.home.root / f"{split}_dataset.h5" for split in ("train", "test", "validation"))
    write_fused(train, recipe, IDS, [1, 2, 1, 2], EXTRA)
    write_fused(test, recipe, ["e"], [2], EXTRA[:1], "test", 1)
    write_fused(none, recipe, [], [], EXTRA[:0], "validation")
    written: list[tuple[int, int]] = []
    collection = collect_recipe(
        lake.registry,
        lake.home,
        recipe,
        [train, test, none],
        label_times([*IDS, "e"]),
        lambda *counts: written.append(counts),
    )
    assert written == [(4, 5), (5, 5), (5, 5)]  # the last file has no sample
    assert (collection.name, collection.source, collection.item_count) == (
        "crops",
        CollectionSource.RECIPE,
        5,
    )
    items = scan_items(resolve(collection.items_path, lake.home)).collect()
    assert items["id"].to_list() == [*IDS, "e"]
    assert items["split"].to_list() == ["train"] * 4 + ["test"]
    assert set(items["datetime"]) == {datetime(2021, 6, 12, 12, tzinfo=UTC)}
    assert items["metadata.crop"].to_list() == ["Maize", "Wheat", "Maize", "Wheat", "Wheat"]
    assert items["metadata.region"].to_list() == [*EXTRA["region"], "north"]
    assert items["metadata.irrigated"].to_list() == [*EXTRA["irrigated"], True]
    assert items["metadata.s2_datetime"][1] == datetime(2021, 6, 2, tzinfo=UTC)
    assert items["metadata.dem_valid_share"].to_list() == [1.0] * 5
    assert "metadata.dem_datetime" not in items.columns
    [red, *_] = items["media"][0][0]["rgb"]
    assert items["media"][0][0]["bands"][red] == "B04"
    assert [medium["modality"] for medium in items["media"][0]] == ["s2", "dem"]

    described = pl.read_parquet_metadata(resolve(collection.items_path, lake.home))["stac-geoparquet"]
    about = json.loads(described)["collections"]["crops"]
    assert [each["name"] for each in about["providers"]] == ["ESA", "DLR", "Airbus"]
    assert about["license"] == "other"
    assert len(about["links"]) == 2

    [operation] = lake.registry.operations(collection.id)
    assert operation.source == AnnotationSource.HUMAN
    labels = scan_annotations(resolve(operation.path, lake.home)).collect()
    assert labels.select("item", "label").rows() == list(
        zip([*IDS, "e"], items["metadata.crop"], strict=True)
    )
    again = collect_recipe(lake.registry, lake.home, recipe, [train, test, none], label_times([*IDS, "e"]))
    assert again.id == collection.id


SHOTS = """
name: heights
labels:
  kind: gedi
  path: granules
  products: {L2A: [rh, rh98]}
  target: {column: TARGET}
window: {size: 8, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04], time: {around: 10d}}
"""


@pytest.mark.parametrize("target", ["rh", "rh98"])
def test_profiles_of_shots_are_metadata_in_full(lake: MadeLake, tmp_path: Path, target: str) -> None:
    recipe, path = recipe_of(SHOTS.replace("TARGET", target)), lake.home.root / "train_dataset.h5"
    heights = np.arange(4 * 101, dtype=np.float32).reshape(4, 101) / 8
    extra = pl.DataFrame(
        {"rh": heights, "rh98": heights[:, 98]}, schema_overrides={"rh": pl.Array(pl.Float32, 101)}
    )
    write_fused(path, recipe, IDS, heights[:, 98].tolist() if target == "rh98" else None, extra)
    collection = collect_recipe(lake.registry, lake.home, recipe, [path], label_times(IDS))
    items = scan_items(resolve(collection.items_path, lake.home)).collect()
    assert items["metadata.rh"].to_list() == heights.tolist()
    assert items["metadata.rh98"].to_list() == heights[:, 98].tolist()
    operations = lake.registry.operations(collection.id)
    assert [one.source for one in operations] == ([AnnotationSource.MACHINE] if target == "rh98" else [])

    if target == "rh":
        return
    version = create_version(
        lake.registry,
        lake.home,
        request(dataset_name="Heights", labels=("rh98",), query="metadata.rh98 > 25"),
    )
    with open_content(lake.registry, lake.home, version.id) as content:
        export_version(content, "HDF5", tmp_path / "HDF5")
    with h5py.File(tmp_path / "HDF5" / "train.h5") as file:
        facts = [json.loads(text) for text in file["metadata"].asstr()[()]]
    assert sorted(fact["rh"] for fact in facts) == heights[2:].tolist()


def test_a_version_of_points_is_queried_and_exported(lake: MadeLake, tmp_path: Path) -> None:
    recipe, path = recipe_of(POINTS), lake.home.root / "train_dataset.h5"
    samples = write_fused(path, recipe, IDS, [1, 2, 1, 2], EXTRA)
    collect_recipe(lake.registry, lake.home, recipe, [path], label_times(IDS))
    asked = request(
        dataset_name="Crops",
        labels=("Wheat", "Maize"),
        query="metadata.region = 'north' or metadata.visits >= 4 and datetime > '2021-06-01'",
    )
    version = create_version(lake.registry, lake.home, asked)
    with open_content(lake.registry, lake.home, version.id) as content:
        assert content.counts["train"] == 3
        for name in ("HDF5", "RAW"):
            export_version(content, name, tmp_path / name)
    with h5py.File(tmp_path / "HDF5" / "train.h5") as file:
        names = file["names"].asstr()[()]
        order = np.argsort(names)
        np.testing.assert_array_equal(
            file["images/s2"][()][order], samples.sources["s2"].values[[0, 1, 3], 0]
        )
        np.testing.assert_array_equal(
            file["images/dem"][()][order], samples.sources["dem"].values[[0, 1, 3], 0]
        )
        masks = file["masks"][()][order]
        assert masks[:, 0, 4, 4].tolist() == [1, 2, 2]
        assert np.count_nonzero(masks) == 3
        facts = [json.loads(text) for text in file["metadata"].asstr()[()][order]]
    assert [fact.get("region") for fact in facts] == ["north", "north", None]
    assert facts[0]["s2_items"] == "s2-0-0"
    with rasterio.open(next((tmp_path / "RAW" / "data").glob("*_s2.tif"))) as image:
        assert image.descriptions == ("B02", "B03", "B04", "SCL")
        assert image.crs.to_epsg() == 32633


SCARS = """
name: scars
labels:
  kind: polygons
  path: fires.gpkg
  target: {column: kind, classes: {1: burnt, 3: spared}}
window: {size: 8, pixel_size: 30}
sources:
  hls:
    collection: hls2-s30
    assets: [B02, B03, B04, B8A, Fmask]
    time: {periods: 3, length: 30d, start: 2021-06-01}
    composite: best_clear
    mask: {asset: Fmask, clear_bits: [1]}
"""
HEIGHTS = """
name: heights
labels: {kind: rasters, path: heights.tif, unit: m}
window: {size: 4, pixel_size: 30}
sources:
  landsat: {collection: landsat-c2-l2, assets: [red], time: {between: [2021-06-01, 2021-08-31]}}
  naip:
    collection: naip
    assets: [red, green, blue]
    time: {between: [2021-01-01, 2021-12-31]}
    pixel_size: 10
"""


def version_of(lake: MadeLake, text: str, tmp_path: Path, *formats: str, **asked: Any) -> RecipeSamples:
    """Register a file of four samples, make a version of all of them, and export it."""
    recipe, path = recipe_of(text), lake.home.root / "train_dataset.h5"
    samples = write_fused(path, recipe, IDS)
    times = label_times(IDS).with_columns(pl.lit(None, TIME).alias(name) for name in ("start", "end"))
    collect_recipe(lake.registry, lake.home, recipe, [path], times)
    version = create_version(lake.registry, lake.home, request(dataset_name=recipe.name, **asked))
    with open_content(lake.registry, lake.home, version.id) as content:
        for name in formats:
            export_version(content, name, tmp_path / name)
    return samples


def test_burnt_polygons_and_a_time_series_are_read_as_terratorch_reads_them(
    lake: MadeLake, tmp_path: Path
) -> None:
    # Every export is read back and compared with the version.
    formats = ("TerraTorch", "COCO", "Croissant", "Release")
    samples = version_of(lake, SCARS, tmp_path, *formats, labels=("burnt", "spared"))
    config = yaml.safe_load((tmp_path / "TerraTorch" / "terratorch.yaml").read_text())
    assert config["data"]["class_path"].endswith(".GenericNonGeoSegmentationDataModule")
    data = config["data"]["init_args"]
    assert data["dataset_bands"] == data["output_bands"] == ["B02", "B03", "B04", "B8A"]
    assert data["expand_temporal_dimension"] is True
    assert data["rgb_indices"] == [2, 1, 0]
    model = config["model"]["init_args"]["model_args"]
    assert model["backbone_use_temporal"] is True
    values = samples.sources["hls"].values[:, :, :4].astype(float)
    np.testing.assert_allclose(data["means"], values.mean(axis=(0, 1, 3, 4)), rtol=1e-6)
    np.testing.assert_allclose(data["stds"], values.std(axis=(0, 1, 3, 4)), rtol=1e-6)
    assert samples.labels is not None
    stems = dict(pl.read_csv(tmp_path / "TerraTorch" / "index.csv").select("original_name", "stem").rows())
    for row, name in enumerate(IDS):
        [image] = (tmp_path / "TerraTorch" / data["train_data_root"]).glob(
            f"{stems[name]}{data['img_grep'][1:]}"
        )
        [label] = (tmp_path / "TerraTorch" / "labels").glob(f"{stems[name]}_*")
        with rasterio.open(image) as read:
            # "(time channels) h w -> channels time h w", as TerraTorch 1.2.13 expands it.
            expanded = read.read().reshape(3, 4, 8, 8).transpose(1, 0, 2, 3)
            assert read.nodata == -9999
        np.testing.assert_array_equal(expanded, values[row].transpose(1, 0, 2, 3))
        with rasterio.open(label) as read:
            np.testing.assert_array_equal(read.read(), samples.labels[row])
    tuned = apply_choices(config, TuningChoices(backbone="prithvi_eo_v2_300"))
    assert tuned["model"]["init_args"]["model_args"]["backbone_use_temporal"] is True


def test_sources_of_other_pixel_sizes_and_measured_values_are_on_one_grid(
    lake: MadeLake, tmp_path: Path
) -> None:
    samples = version_of(lake, HEIGHTS, tmp_path, "HDF5", "TerraTorch", labels=("label",))
    with h5py.File(tmp_path / "HDF5" / "train.h5") as file:
        order = np.argsort(file["names"].asstr()[()])
        np.testing.assert_array_equal(file["images/naip"][()][order], samples.sources["naip"].values[:, 0])
        coarse = samples.sources["landsat"].values[:, 0]
        np.testing.assert_array_equal(file["images/landsat"][()][order][..., ::3, ::3], coarse)
        np.testing.assert_array_equal(file["targets"][()][order][..., 1::3, 1::3], samples.labels)
        np.testing.assert_array_equal(file["transforms"][order[0]], [10, 0, 500_000, 0, -10, 5_300_000])
    data = yaml.safe_load((tmp_path / "TerraTorch" / "terratorch.yaml").read_text())["data"]["init_args"]
    assert data["modalities"] == ["landsat", "naip"]
    assert data["task"] == "regression"


def test_steps_beside_another_modality_are_bands_of_one_stack(lake: MadeLake, tmp_path: Path) -> None:
    both = SCARS + "  dem: {collection: cop-dem-glo-30, assets: [data]}\n"
    version_of(lake, both, tmp_path, "TerraTorch", labels=("burnt", "spared"))
    config = yaml.safe_load((tmp_path / "TerraTorch" / "terratorch.yaml").read_text())
    data = config["data"]["init_args"]
    assert "expand_temporal_dimension" not in data
    assert data["concat_bands"] is True
    assert data["dataset_bands"]["hls"][:5] == ["B02_t01", "B03_t01", "B04_t01", "B8A_t01", "B02_t02"]
    assert [len(data["means"][tag]) for tag in data["modalities"]] == [12, 1]
    assert config["model"]["init_args"]["model_args"]["backbone_in_chans"] == 13


def test_sources_whose_pixels_fit_no_grid_are_named(lake: MadeLake) -> None:
    recipe = recipe_of(HEIGHTS.replace("size: 4,", "size: 7,").replace("pixel_size: 10", "pixel_size: 17.5"))
    path = lake.home.root / "train_dataset.h5"
    write_fused(path, recipe, IDS)
    with pytest.raises(LakeError, match="do not fit one grid"):
        collect_recipe(lake.registry, lake.home, recipe, [path], label_times(IDS))
    assert not lake.registry.collections()
