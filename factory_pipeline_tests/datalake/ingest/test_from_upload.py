"""Onboarded uploads become collections."""

import hashlib
from contextlib import closing

import numpy as np
import polars as pl
import pytest
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.errors import LakeError
from factory_pipeline.splits.near_identical import thumbnail
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline.synthetic.uploads import BANDS, CLASSES, NO_BIOMASS, NO_LABEL
from factory_pipeline_tests.datalake.ingest.conftest import Onboarded

pytestmark = pytest.mark.integration


@pytest.fixture
def collect(onboarded: Onboarded, registry: Registry):
    """Collect an upload by its name: the collection, its items and its annotations."""

    def one(name: str) -> tuple[Collection, pl.DataFrame, pl.DataFrame]:
        collection = collect_upload(registry, onboarded.home, onboarded.keys[name])
        items = scan_items(resolve(collection.items_path, onboarded.home)).collect()
        (operation,) = registry.operations(collection.id)
        assert operation.source is AnnotationSource.HUMAN
        return collection, items, scan_annotations(resolve(operation.path, onboarded.home)).collect()

    return one


def test_every_image_is_an_item_where_it_lies(collect, onboarded: Onboarded) -> None:
    collection, items, _ = collect("sample-land-cover")
    assert (collection.name, collection.source) == ("sample-land-cover", CollectionSource.UPLOAD)
    assert collection.item_count == items.height == 30
    assert sorted(items["metadata.original_name"]) == sorted(f"tile_{number}" for number in range(30))
    for row in items.iter_rows(named=True):
        (medium,) = row["media"]
        path = resolve(medium["path"], onboarded.home)
        assert medium["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (medium["modality"], medium["member"], medium["row"]) == ("S2", None, None)
        assert medium["bands"] == [name for name, _ in BANDS]
        assert medium["rgb"] == [2, 1, 0]
        with rasterio.open(path) as image:
            assert (medium["dtype"], medium["nodata"]) == (image.dtypes[0], image.nodata)
            assert (row["width"], row["height"]) == (image.width, image.height)
            assert row["proj:code"] == str(image.crs)
            assert row["proj:transform"] == list(image.transform)[:6]
            degrees = transform_bounds(image.crs, 4326, *image.bounds, densify_pts=2)
        assert shapely.from_wkb(row["geometry"]).bounds == pytest.approx(degrees, abs=1e-7)
        assert list(row["bbox"].values()) == pytest.approx(degrees, abs=1e-7)


def test_items_keep_the_split_of_the_upload(collect, onboarded: Onboarded) -> None:
    _, items, _ = collect("sample-land-cover")
    split_files = onboarded.home.upload(onboarded.keys["sample-land-cover"]).finished.split_files
    for split, name in (("train", "train"), ("test", "test"), ("validation", "val")):
        (listed,) = split_files.glob(f"{name}*.txt")
        assert sorted(items.filter(split=split)["id"]) == sorted(listed.read_text().split())


def test_segmentation_has_a_mask_for_every_class_of_every_label(collect, onboarded: Onboarded) -> None:
    _, items, annotations = collect("sample-land-cover")
    found = 0
    for (item,), rows in annotations.group_by("item"):
        (path,) = rows["raster"].struct.field("path").unique()
        with rasterio.open(resolve(path, onboarded.home)) as label:
            values = set(np.unique(label.read()).tolist()) - {NO_LABEL}
        named = {row["raster"]["value"]: row["label"] for row in rows.iter_rows(named=True)}
        assert named == {value: CLASSES[value][0] for value in values}
        assert set(rows["type"]) == {"mask"}
        sha256 = hashlib.sha256(resolve(path, onboarded.home).read_bytes()).hexdigest()
        assert set(rows["raster"].struct.field("sha256")) == {sha256}
        assert set(rows["raster"].struct.field("nodata")) == {NO_LABEL}
        found += item in set(items["id"])
    assert found == items.height


def test_regression_has_a_raster_of_values_per_item(collect, onboarded: Onboarded) -> None:
    _, items, annotations = collect("sample-biomass")
    with rasterio.open(resolve(annotations["raster"][0]["path"], onboarded.home)) as label:
        assert items["metadata.label_mean"][0] == pytest.approx(label.read(1, masked=True).mean())
    assert items["metadata.label_mean"].n_unique() == items.height
    assert annotations["item"].to_list() == items["id"].to_list()
    assert set(annotations["type"]) == {"raster"}
    assert set(annotations["label"]) == {"label"}
    assert set(annotations["raster"].struct.field("nodata")) == {NO_BIOMASS}
    assert annotations["raster"].struct.field("value").null_count() == items.height


def test_classification_names_the_whole_image(collect) -> None:
    _, items, annotations = collect("classes")
    found = annotations.group_by("item").agg("label").sort("item")
    names = dict(items.select("id", "metadata.original_name").iter_rows())
    by_name = {names[item]: labels for item, labels in found.iter_rows()}
    assert by_name["picture 0"] == ["Water"]
    assert by_name["picture 1"] == ["Land", "Water"]
    assert set(annotations["type"]) == {"rectangle"}
    assert annotations["bbox"].unique().to_list() == [[0.0, 0.0, 8.0, 8.0]]
    assert annotations["raster"].null_count() == annotations.height


def test_generic_without_categories_has_rasters_as_they_lie_now(collect, onboarded: Onboarded) -> None:
    _, _, annotations = collect("generic")
    assert set(annotations["type"]) == {"raster"}
    for raster in annotations["raster"]:
        path = resolve(raster["path"], onboarded.home)
        assert raster["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert raster["nodata"] == 9.0


def test_pictures_are_red_green_and_blue_and_lie_nowhere(collect) -> None:
    _, items, _ = collect("generic")
    for row in items.iter_rows(named=True):
        assert row["media"][0]["rgb"] == [0, 1, 2]
        assert (row["geometry"], row["bbox"], row["proj:code"], row["proj:transform"]) == (None,) * 4


def test_several_modalities_are_media_of_one_item_in_their_order(collect, onboarded: Onboarded) -> None:
    _, items, _ = collect("plots")
    for row in items.iter_rows(named=True):
        assert [medium["modality"] for medium in row["media"]] == ["image1", "image2"]
        assert [medium["dtype"] for medium in row["media"]] == ["uint16", "float32"]
        for medium in row["media"]:
            path = resolve(medium["path"], onboarded.home)
            assert medium["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            with rasterio.open(path) as image:
                assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert CRS.from_user_input(row["proj:code"]) == image.crs


def test_the_same_upload_is_the_same_collection(onboarded: Onboarded, registry: Registry) -> None:
    key = onboarded.keys["sample-biomass"]
    first = collect_upload(registry, onboarded.home, key)
    before = {path: path.read_bytes() for path in onboarded.home.collections.rglob("*.parquet")}
    assert collect_upload(registry, onboarded.home, key) == first
    assert len(registry.operations(first.id)) == 1
    assert {path: path.read_bytes() for path in onboarded.home.collections.rglob("*.parquet")} == before


def test_the_onboarding_registers_the_collection(onboarded: Onboarded, registry: Registry) -> None:
    with closing(Registry.open(onboarded.home.registry)) as of_home:
        known = {collection.name: collection.content_hash for collection in of_home.collections()}
    assert set(known) == set(onboarded.keys)
    key = onboarded.keys["plots"]
    assert collect_upload(registry, onboarded.home, key).content_hash == known["plots"]


def test_an_unfinished_upload_is_no_collection(onboarded: Onboarded, registry: Registry) -> None:
    with pytest.raises(LakeError, match="rivers@12345678 is not onboarded completely"):
        collect_upload(registry, onboarded.home, "rivers@12345678")
    assert registry.collections() == []


def test_the_thumbnail_of_every_image_lies_beside_the_items(collect, onboarded: Onboarded) -> None:
    for name, count in (("sample-land-cover", 30), ("plots", 5)):
        collection, items, _ = collect(name)
        files = onboarded.home.collection(collection.name, collection.content_hash)
        found = pl.read_parquet(files.thumbnails)
        assert found["id"].to_list() == items["id"].to_list()
        assert found.height == count
        first_modality = items.row(0, named=True)["media"][0]
        with rasterio.open(resolve(first_modality["path"], onboarded.home)) as image:
            masked = image.read(masked=True)
        expected = thumbnail(masked.data, ~np.ma.getmaskarray(masked))
        assert found["thumbnail"][0] == expected.tobytes()
