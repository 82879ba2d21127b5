"""Folders of masks added to the items of a collection."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.factories import (
    collection_of,
    picture,
    placed,
    rows_of,
    tables_in,
)
from factory_pipeline_tests.onboarding.uploads import geotiff

NAMES = {0: None, 1: "Water", 2: "Wood"}


def mask(*values: int, size: int = 8, **options: Any) -> bytes:
    """A GeoTIFF that holds the values."""
    return geotiff(np.resize(np.array(values, np.uint8), (1, size, size)), **options)


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


@pytest.fixture
def collection(registry: Registry, home: FactoryHome) -> Collection:
    return collection_of(registry, home, placed("one", size=8), picture("two", size=8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two masks, one of them in a folder of its own, and a file that is none."""
    path = tmp_path / "masks"
    (path / "test").mkdir(parents=True)
    (path / "one.tif").write_bytes(mask(0, 1, 2, 255, nodata=255))
    Image.fromarray(np.resize(np.array([0, 2], np.uint8), (8, 8))).save(path / "test" / "photo two_s2.png")
    (path / "one.tif.aux.xml").write_text("<PAMDataset/>")
    return path


def test_every_value_with_a_name_is_a_mask(
    registry: Registry, home: FactoryHome, collection: Collection, folder: Path
) -> None:
    operation = add_annotations(registry, home, collection.id, "machine", folder, label_map=NAMES)
    rows = rows_of(operation, home)
    assert [(row["item"], row["label"], row["raster"]["value"]) for row in rows] == [
        ("one", "Water", 1),
        ("one", "Wood", 2),
        ("two", "Wood", 2),
    ]
    assert [row["raster"]["nodata"] for row in rows] == [255, 255, None]
    assert {row["type"] for row in rows} == {"mask"}


def test_nothing_refers_to_the_folder_afterwards(
    registry: Registry, home: FactoryHome, collection: Collection, folder: Path
) -> None:
    stored = {"one": (folder / "one.tif").read_bytes()}
    operation = add_annotations(registry, home, collection.id, "human", folder, label_map=NAMES)
    shutil.rmtree(folder)
    for row in rows_of(operation, home):
        path = resolve(row["raster"]["path"], home)
        assert path.is_relative_to(home.collections)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["raster"]["sha256"]
        assert path.read_bytes() == stored.get(row["item"], path.read_bytes())
        with rasterio.open(path) as image:
            assert row["raster"]["value"] in image.read()


def test_the_same_masks_are_the_same_operation_wherever_they_lay(
    registry: Registry, home: FactoryHome, collection: Collection, folder: Path, tmp_path: Path
) -> None:
    first = add_annotations(registry, home, collection.id, "human", folder, label_map=NAMES)
    before = tables_in(home)
    folder.rename(tmp_path / "moved")
    assert (
        add_annotations(registry, home, collection.id, "human", tmp_path / "moved", label_map=NAMES) == first
    )
    assert tables_in(home) == before
    by_machine = add_annotations(
        registry, home, collection.id, "machine", tmp_path / "moved", label_map=NAMES
    )
    assert by_machine.id != first.id


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_map.json", json.dumps({"0": None, "1": "Water", "2": "Wood"})),
        ("label_map.yaml", "0:\n1: Water\n2: Wood\n"),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_names_of_values_are_read_from_a_file(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    folder: Path,
    name: str,
    text: str,
    given: bool,
) -> None:
    path = (folder.parent if given else folder) / name
    path.write_text(text)
    operation = add_annotations(
        registry, home, collection.id, "human", folder, label_map=path if given else None
    )
    assert {row["label"] for row in rows_of(operation, home)} == {"Water", "Wood"}


def test_what_follows_the_name_of_the_item_may_be_named(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "photo one_pred.tif").write_bytes(mask(1))
    operation = add_annotations(
        registry, home, collection.id, "machine", folder, label_map=NAMES, name_ending="_pred"
    )
    assert [row["item"] for row in rows_of(operation, home)] == ["one"]


def other_size(folder: Path) -> None:
    (folder / "one.tif").write_bytes(mask(1, size=9))


def two_bands(folder: Path) -> None:
    (folder / "one.tif").write_bytes(geotiff(np.ones((2, 8, 8), np.uint8)))


def unnamed_value(folder: Path) -> None:
    (folder / "one.tif").write_bytes(mask(1, 7))


def broken(folder: Path) -> None:
    (folder / "one.tif").write_bytes(mask(1)[:50])


def fractions(folder: Path) -> None:
    (folder / "one.tif").write_bytes(geotiff(np.full((1, 8, 8), 0.5, np.float32)))


def two_for_one(folder: Path) -> None:
    (folder / "photo one.tif").write_bytes(mask(1))


def same_name(folder: Path) -> None:
    (folder / "test" / "one.tif").write_bytes(mask(1))


def lossy(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "one.jpg")


def none_fit(folder: Path) -> None:
    (folder / "one.tif").rename(folder / "x.tif")
    shutil.rmtree(folder / "test")


def nothing_there(folder: Path) -> None:
    (folder / "one.tif").unlink()
    shutil.rmtree(folder / "test")


def only_background(folder: Path) -> None:
    (folder / "one.tif").write_bytes(mask(0))
    shutil.rmtree(folder / "test")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(mask(1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_size, "The mask one.tif is 9 x 9 pixels, but the item one is 8 x 8"),
        (two_bands, "The mask one.tif can't be used: it has 2 bands, and a mask must have one"),
        (unnamed_value, "The mask one.tif contains the value 7, which has no name in the label_map"),
        (broken, "The mask one.tif can't be used"),
        (fractions, "contains the value 0.5, which has no name"),
        (two_for_one, "The item one has two masks: one.tif and photo one.tif"),
        (same_name, "The names 'one.tif' and 'test/one.tif' in masks both match the item one"),
        (lossy, "The mask one.jpg is a JPEG, which alters values; allowed are .tif, .tiff, .png"),
        (none_fit, "None of 1 image in masks, such as 'x.tif', is an item"),
        (nothing_there, "contains no masks; allowed are"),
        (only_background, "contain no value with a name"),
        (a_file, "is not a folder; masks must be a folder"),
    ],
)
def test_masks_that_do_not_fit_are_told_and_nothing_is_left(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    folder: Path,
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    spoil(folder)
    before = tables_in(home)
    with pytest.raises(LakeError, match=message) as raised:
        add_annotations(registry, home, collection.id, "human", folder, format="masks", label_map=NAMES)
    assert str(raised.value).count("\n") == 0
    assert registry.operations(collection.id) == []
    assert tables_in(home) == before


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (None, r"has no label_map.json; set the name of each value there or by label_map"),
        ({}, "label_map must name the label of each value"),
        ({"water": 1}, "label_map has the value 'water'; the values of masks must be integers"),
        ({1.5: "Water"}, "label_map has the value 1.5"),
        ({1: 5}, "label_map has 5 for the value 1; it must be a name, or null"),
    ],
)
def test_a_label_map_that_means_nothing_is_told(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    folder: Path,
    label_map: Any,
    message: str,
) -> None:
    before = tables_in(home)
    with pytest.raises(LakeError, match=message):
        add_annotations(registry, home, collection.id, "human", folder, label_map=label_map)
    assert tables_in(home) == before
