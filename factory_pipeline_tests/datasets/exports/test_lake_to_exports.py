"""From the lake to exports: objects of several parts, crowds, names, items of other modalities."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.registry.records import Collection, Version
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline_tests.datasets.exports.test_format_limits import refusal
from factory_pipeline_tests.datasets.model.factories import photo_version
from factory_pipeline_tests.datasets.versions.factories import (
    HEIGHT,
    WIDTH,
    MadeLake,
    box,
    made_lake,
    request,
)

pytestmark = pytest.mark.integration

LEFT, RIGHT = [0, 0, 2, 0, 2, 2, 0, 2], [5, 3, 8, 3, 8, 5, 5, 5]
CROWD = np.zeros((HEIGHT, WIDTH), bool)
CROWD[1:3, 2:7] = True
CROWD[5, 0] = True


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as made:
        yield made


def tagged(lake: MadeLake, name: str, tag: str, images: dict[str, int], **changes: Any) -> Collection:
    """A collection whose only modality has this tag."""
    rows = [
        lake._item(lake.home.root / "media" / name / f"{item}.tif", item, at) for item, at in images.items()
    ]
    for row in rows:
        row["media"][0]["modality"] = tag
        row |= changes
    return lake.register(name, pl.DataFrame(rows, schema=ITEM_SCHEMA))


def exported(lake: MadeLake, version: Version, export_type: str, folder: Path) -> Path:
    with open_content(lake.registry, lake.home, version.id) as content:
        export_version(content, export_type, folder)
    return folder


@pytest.fixture
def objects(lake: MadeLake, tmp_path: Path) -> Version:
    """An image with an object of two parts, one that stands alone, and a crowd, as a COCO file has them."""
    collection = lake.add("a", {"one": 1})
    runs = np.concatenate([[False], CROWD.T.reshape(-1), [False]]).astype(int)
    ends = np.concatenate([[0], np.flatnonzero(np.diff(runs)), [CROWD.size]])
    crowd = {"size": [HEIGHT, WIDTH], "counts": np.diff(ends).tolist()}
    annotations = [
        {"id": 7, "segmentation": [LEFT, RIGHT], "score": 0.5, "attributes": {"a": 1}},
        {"id": 8, "segmentation": [LEFT]},
        {"id": 9, "segmentation": crowd, "iscrowd": 1},
        {"id": 10, "bbox": [1, 1, 2, 2], "iscrowd": 1},
    ]
    document = {
        "images": [{"id": 1, "file_name": "one.tif"}],
        "annotations": [{"image_id": 1, "category_id": 1, **each} for each in annotations],
        "categories": [{"id": 1, "name": "Balloon"}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(document))
    add_annotations(lake.registry, lake.home, collection.id, "human", path)
    return create_version(lake.registry, lake.home, request())


def test_an_object_of_several_parts_stays_one_in_coco_and_a_crowd_a_crowd(
    lake: MadeLake, objects: Version, tmp_path: Path
) -> None:
    folder = exported(lake, objects, "COCO", tmp_path / "coco")
    read = COCO(str(folder / "annotations" / "instances_train.json"))
    both, alone, crowd, group = read.loadAnns(read.getAnnIds())
    assert (both["segmentation"], both["bbox"], both["area"], both["iscrowd"]) == (
        [LEFT, RIGHT],
        [0, 0, 8, 5],
        10,
        0,
    )
    assert (both["score"], both["attributes"]) == (0.5, {"a": 1})
    assert (alone["segmentation"], alone["bbox"]) == ([LEFT], [0, 0, 2, 2])
    assert (crowd["iscrowd"], crowd["area"], crowd["bbox"]) == (1, 11, [0, 1, 7, 5])
    assert np.array_equal(read.annToMask(crowd).astype(bool), CROWD)
    assert (group["iscrowd"], group["area"], group["bbox"]) == (1, 4, [1, 1, 2, 2])
    assert coco_mask.area(read.annToRLE(group)) == 4


def test_an_object_of_several_parts_is_one_box_in_yolo_and_crowds_are_left_out(
    lake: MadeLake, objects: Version, tmp_path: Path
) -> None:
    folder = exported(lake, objects, "YOLO Darknet", tmp_path / "yolo")
    lines = (folder / "obj_train_data" / "one.txt").read_text().splitlines()
    boxes = [[float(part) for part in line.split()] for line in lines]
    assert boxes == [
        pytest.approx([0, 0.5, 2.5 / HEIGHT, 1, 5 / HEIGHT]),
        pytest.approx([0, 1 / WIDTH, 1 / HEIGHT, 2 / WIDTH, 2 / HEIGHT]),
    ]


def test_raw_says_which_annotations_are_parts_of_one_object(
    lake: MadeLake, objects: Version, tmp_path: Path
) -> None:
    folder = exported(lake, objects, "RAW", tmp_path / "raw")
    (image,) = json.loads((folder / "labels.json").read_text())["images"]
    groups = [each["metadata"].get("group") for each in image["annotations"]]
    assert groups == [1, 1, None, 3, 3, None]


def test_augmented_copies_keep_objects_together(lake: MadeLake, objects: Version, tmp_path: Path) -> None:
    flip = {"id": "FLIP_IMAGE", "properties": [{"id": "FLIP_VERTICAL", "values": [True]}]}
    asked = request(dataset_version_id=objects.id, augmentation_list={"IMAGE_LEVEL": [flip]})
    folder = exported(lake, create_version(lake.registry, lake.home, asked), "COCO", tmp_path / "coco")
    read = json.loads((folder / "annotations" / "instances_train.json").read_text())
    counts = [[each["image_id"] for each in read["annotations"]].count(id) for id in (1, 2)]
    assert counts == [4, 4]


@pytest.mark.parametrize("export_type", FORMATS)
def test_every_export_maps_its_names_to_the_original_ones(
    lake: MadeLake, export_type: str, tmp_path: Path
) -> None:
    collection = lake.add("a", {"x1": 1, "x/2": 2}, {"original_name": ["north/höst 1, alt", None]})
    lake.annotate(collection, [box("x1", "Balloon"), box("x/2", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    folder = exported(lake, version, export_type, tmp_path / "out")
    with (folder / "names.csv").open(encoding="utf-8", newline="") as table:
        rows = [tuple(row.values()) for row in csv.DictReader(table)]
    expected = {"x1": "north/höst 1, alt", "x_2": "x/2"}
    assert rows == [(name, "train", original, "") for name, original in sorted(expected.items())]
    listed = json.loads((folder / "export.json").read_text())["files"]
    assert [each["media"] for each in listed if each["path"] == "names.csv"] == [False]
    match export_type:
        case "COCO":
            images = json.loads((folder / "annotations" / "instances_train.json").read_text())["images"]
            assert {Path(each["file_name"]).stem: each["original_name"] for each in images} == expected
        case "RAW":
            images = json.loads((folder / "labels.json").read_text())["images"]
            assert {Path(each["image"]).stem: each["original_name"] for each in images} == expected
        case "TerraTorch":
            index = pl.read_csv(folder / "index.csv")
            assert dict(index.select("name", "original_name").iter_rows()) == expected
        case "HDF5":
            with h5py.File(folder / "train.h5") as file:
                assert set(file["names"].asstr()[:]) == set(expected)


def test_copies_have_the_original_name_of_their_image(tmp_path: Path) -> None:
    export_version(photo_version(tmp_path, samples=2), "COCO", tmp_path / "out")
    rows = pl.read_csv(tmp_path / "out" / "names.csv")
    assert rows["split"].to_list() == ["train"] * 4 + ["test", "validation"]
    assert rows.filter(pl.col("origin").is_not_null()).height == 2


@pytest.fixture
def mixed(lake: MadeLake) -> MadeLake:
    """Two collections whose images are called `rgb` and `S2`."""
    for tag, images in {"rgb": {"a": 1, "b": 2}, "S2": {"c": 3}}.items():
        collection = tagged(lake, f"of {tag}", tag, images)
        lake.annotate(collection, [box(item, "Balloon") for item in images])
    return lake


@pytest.mark.parametrize("export_type", ["YOLO Darknet", "COCO", "Semantic Segmentation", "RAW", "Croissant"])
def test_formats_of_one_image_per_item_take_the_one_that_an_item_has(
    mixed: MadeLake, export_type: str, tmp_path: Path
) -> None:
    def check(manifest: Path) -> None:
        check_fitness(manifest, [export_type])

    version = create_version(mixed.registry, mixed.home, request(), check=check)
    folder = exported(mixed, version, export_type, tmp_path / "out")
    images = {path.stem.partition("_")[0] for path in folder.rglob("*.tif") if "index" not in str(path)}
    assert images == {"a", "b", "c"}


def test_what_can_not_be_exported_is_refused_before_the_version_is_made(mixed: MadeLake) -> None:
    told = refusal(mixed, "COCO", "HDF5")
    assert told.startswith(
        "export_types[1] is 'HDF5'; it has one array per modality, with a row per item, and 1 have"
    )
    assert "no 'rgb' image, such as 'c'; 'RAW', 'YOLO Darknet'" in told
    assert "1 have no 'rgb' image, such as 'c'" in refusal(mixed, "TerraTorch")
    # The name is free.
    assert create_version(mixed.registry, mixed.home, request()).number == "1.0.0"
