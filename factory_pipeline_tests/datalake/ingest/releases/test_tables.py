"""The tables of a release: a row for each image and label, moved to the home as a whole or not at all."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import shapely

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases import tables as module
from factory_pipeline.datalake.ingest.releases.import_release import read_release
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID
from factory_pipeline.datalake.ingest.releases.tables import (
    ReadRelease,
    ReleaseTables,
    collection_in,
    write_tables,
)
from factory_pipeline.datalake.registry.records import CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.storage.layout import FactoryHome, ReleaseFiles
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.releases.archives import feature, outline, pairs, polygon, tiff

SQUARE = polygon([(1, 2), (5, 2), (5, 6), (1, 6)])
TRIANGLE = polygon([(1, 2), (5, 2), (1, 6)])
LABELS = {
    "b": feature({"house": [SQUARE, TRIANGLE], "car": [], "tree": [SQUARE]}),
    "a": feature({"house": [TRIANGLE]}),
    "c": feature({"house": []}),
}
CLASSES = ["tree", "house", "boat"]
META = {"classes": CLASSES, "bands": ["red", "green", "blue"], "rgb": [2, 1, 0], "modality": "drone photo"}


class Releases:
    """Writes the tables of releases of a home."""

    def __init__(self, folder: Path) -> None:
        self.home = FactoryHome(folder / "home")
        self.folder = folder
        self.count = 0

    def read(self, files: dict[str, Any]) -> tuple[ReleaseFiles, ReadRelease]:
        """Lay out and read what an archive would hold."""
        self.count += 1
        place = self.home.release(f"roads@{self.count:08d}")
        for name, content in files.items():
            path = place.unpacked / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return place, read_release(place.unpacked, "roads.zip", IntakePolicy(), NOTHING_SAID)

    def write(self, files: dict[str, Any]) -> ReleaseTables:
        place, release = self.read(files)
        return write_tables(self.home, place, "roads", release)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Registry]:
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        yield registry


def test_each_image_is_an_item_and_is_moved(releases: Releases) -> None:
    made = releases.write(pairs(LABELS) | {"meta.json": META})
    items = scan_items(made.items).collect()
    assert items["id"].to_list() == ["a", "b", "c"], "whatever the order of the archive"
    media = [medium for (medium,) in items["media"].to_list()]
    numbers = {name: number for number, name in enumerate(LABELS)}
    for name, medium in zip("abc", media, strict=True):
        assert resolve(medium["path"], releases.home).read_bytes() == tiff(numbers[name])
        assert (medium["modality"], medium["dtype"]) == ("drone photo", "uint8")
        assert (medium["bands"], medium["rgb"]) == (["red", "green", "blue"], [2, 1, 0])
    assert not list((releases.home.release("roads@00000001").unpacked / "images").iterdir())
    assert items["split"].null_count() == 3
    assert (made.item_count, made.items_by_split) == (3, {})


def test_each_object_is_an_annotation_and_classes_are_counted_in_their_order(releases: Releases) -> None:
    made = releases.write(pairs(LABELS) | {"meta.json": META})
    drawn = scan_annotations(made.annotations).select("item", "type", "label").collect()
    assert sorted(drawn.rows()) == [
        ("a", "polygon", "house"),
        ("b", "polygon", "house"),
        ("b", "polygon", "house"),
        ("b", "polygon", "tree"),
    ]
    # Those of meta.json first; a class without any counts too.
    assert [*made.annotations_by_class.items()] == [("tree", 1), ("house", 3), ("boat", 0), ("car", 0)]
    assert (made.polygons, made.missing_numbers) == (4, 0)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_tables_are_the_same_however_many_rows_are_written_at_a_time(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    whole = releases.write(pairs(LABELS))
    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module, "LABELS", 1)
    releases.count = 0
    parts = releases.write(pairs(LABELS))
    assert (parts.items_hash, parts.annotations_hash) == (whole.items_hash, whole.annotations_hash)
    assert parts.annotations_by_class == whole.annotations_by_class
    assert scan_items(parts.items).collect()["id"].to_list() == ["a", "b", "c"]
    assert scan_annotations(parts.annotations).collect().height == 4


def test_a_class_without_any_object_changes_what_the_annotations_are(releases: Releases) -> None:
    labels = {"a": feature({"house": [SQUARE]})}
    hashes = []
    for classes in (["house"], ["house", "boat"], ["boat", "house"], ["house", "ship"]):
        made = releases.write(pairs(labels) | {"meta.json": {"classes": classes}})
        hashes.append(made.annotations_hash)
        assert [*made.annotations_by_class] == classes
    assert len(set(hashes)) == 4


def test_splits_and_places_are_those_of_the_outlines(releases: Releases) -> None:
    labels = {"a": feature("house", outline(0)), "b": feature("house", outline(1)), "c": feature("house")}
    bounds = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": name, "properties": {"split": split}, "geometry": outline(number)}
            for number, (name, split) in enumerate({"a": "test", "b": "train"}.items())
        ],
    }
    made = releases.write(pairs(labels) | {"bounds.geojson": bounds})
    items = scan_items(made.items).collect()
    assert items["proj:code"].to_list() == ["EPSG:4326", "EPSG:4326", None]
    outlines = [None if each is None else shapely.from_wkb(each).bounds for each in items["geometry"]]
    assert outlines[1] == pytest.approx((20.016, 49.984, 20.032, 50.0))
    assert outlines[2] is None
    assert made.items_by_split == {"train": 1, "test": 1}
    assert items["split"].to_list() == ["test", "train", None]


def test_names_of_bands_that_do_not_fit_are_not_taken(releases: Releases) -> None:
    labels = {"a": feature("house")}
    for meta in ({"bands": ["one"]}, {"bands": ["a", "a", "b"]}, {"rgb": [0, 1, 3]}, {"modality": "/etc"}):
        made = releases.write(pairs(labels) | {"meta.json": meta})
        ((medium,),) = scan_items(made.items).collect()["media"].to_list()
        assert medium["bands"] == ["Band 0", "Band 1", "Band 2"]
        assert medium["modality"] == "image"
        assert medium["rgb"] is None or max(medium["rgb"]) < 3


def test_a_number_that_an_image_lacks_is_counted(releases: Releases) -> None:
    labels = {"a": feature({"height": 1.5, "width": 2.5}), "b": feature({"height": 3.5})}
    made = releases.write(pairs(labels))
    assert made.missing_numbers == 1
    rows = scan_annotations(made.annotations).select("item", "label", "raster").collect().rows()
    assert sorted(row[:2] for row in rows) == [("a", "height"), ("a", "width"), ("b", "height")]
    assert all(resolve(raster["path"], releases.home).is_file() for *_, raster in rows)


# In the registry


@pytest.mark.integration
def test_registered_tables_are_found_by_the_folder_of_their_images(
    releases: Releases, opened: Registry
) -> None:
    made = releases.write(pairs(LABELS))
    collection = made.register(opened, releases.home)
    assert (collection.name, collection.item_count) == ("roads", 3)
    assert not made.items.exists(), "it is moved"
    items = resolve(collection.items_path, releases.home)
    assert scan_items(items).select(pl.len()).collect().item() == 3
    (operation,) = opened.operations(collection.id)
    assert scan_annotations(resolve(operation.path, releases.home)).collect().height == 4
    folder = releases.home.release("roads@00000001").root
    assert collection_in(opened, releases.home, folder, CollectionSource.RELEASE) == collection
    assert collection_in(opened, releases.home, folder, CollectionSource.UPLOAD) is None
    other = folder.with_name("roads@0000000")
    assert collection_in(opened, releases.home, other, CollectionSource.RELEASE) is None


@pytest.mark.integration
def test_a_collection_whose_labels_can_not_be_kept_is_not_there(releases: Releases, opened: Registry) -> None:
    made = releases.write(pairs(LABELS))
    made.annotations.unlink()
    with pytest.raises(FileNotFoundError):
        made.register(opened, releases.home)
    assert opened.collections() == []
    assert not releases.home.collection("roads", made.items_hash).root.exists()
