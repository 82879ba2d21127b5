"""COCO files added to the items of a collection."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from pycocotools import mask as coco_mask

from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.ingest.annotate import annotate as annotate_with_report
from factory_pipeline.datalake.registry.records import AnnotationSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.describe import list_collections
from factory_pipeline.errors import ArgumentError, LakeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.factories import (
    collection_of,
    picture,
    rows_of,
    tables_in,
    written,
)

Annotate = Callable[..., list[dict[str, Any]]]
SIZE = 20
ONE = {"id": 5, "file_name": "images/photo one.png", "width": SIZE, "height": SIZE}


def coco(*annotations: Any, images: list[Any] | None = None) -> dict[str, Any]:
    """A COCO file of one image and two categories."""
    blank = {"image_id": 5, "category_id": 1}
    return {
        "images": [ONE] if images is None else images,
        "annotations": [
            {"id": number, **blank, **one} if isinstance(one, dict) else one
            for number, one in enumerate(annotations)
        ],
        "categories": [{"id": 1, "name": "Balloon"}, {"id": 2, "name": "Bird", "supercategory": "animal"}],
    }


@pytest.fixture
def annotate(registry: Registry, tmp_path: Path) -> Annotate:
    """Annotate two pictures from a COCO file; gives the rows."""
    home = FactoryHome(tmp_path / "home")

    def run(given: Any, **options: Any) -> list[dict[str, Any]]:
        collection = collection_of(registry, home, picture("one", SIZE), picture("two", SIZE))
        path = written(tmp_path / "instances.json", given)
        operation = add_annotations(registry, home, collection.id, "machine", path, **options)
        assert operation.source is AnnotationSource.MACHINE
        return rows_of(operation, home)

    return run


def test_boxes_keep_their_numbers_score_and_attributes(annotate: Annotate) -> None:
    box = {"bbox": [1, 2.5, 3, 4], "segmentation": [], "score": 0.75, "attributes": {"blown": True}}
    (row,) = annotate(coco(box, images=[ONE, {"id": 6, "file_name": "background.png"}]))
    assert (row["item"], row["type"], row["label"]) == ("one", "rectangle", "Balloon")
    assert (row["bbox"], row["rings"], row["confidence"]) == ([1, 2.5, 3, 4], None, 0.75)
    assert (json.loads(row["attributes"]), json.loads(row["metadata"])) == ({"blown": True}, {"id": 0})


def test_what_leaves_the_image_is_cut_off(annotate: Annotate) -> None:
    (row,) = annotate(coco({"bbox": [-5, 15, 10, 10]}, {"bbox": [30, 1, 5, 5]}))
    assert row["bbox"] == [0, 15, 5, 5]


def test_a_polygon_of_several_parts_is_a_row_per_part(annotate: Annotate) -> None:
    parts = [[1, 1, 5, 1, 5, 5, 1, 5], [10, 10, 14, 10, 14, 18]]
    rows = annotate(coco({"segmentation": parts, "bbox": [1, 1, 13, 17], "category_id": 2}))
    assert [row["type"] for row in rows] == ["polygon", "polygon"]
    assert [row["rings"] for row in rows] == [
        [[[1, 1], [5, 1], [5, 5], [1, 5]]],
        [[[10, 10], [14, 10], [14, 18]]],
    ]
    assert {row["label"] for row in rows} == {"Bird"}
    # They are parts of one object.
    assert {row["metadata"] for row in rows} == {'{"group":1,"id":0}'}


@pytest.mark.parametrize("compressed", [True, False])
def test_a_mask_is_drawn_again_to_the_pixel(annotate: Annotate, compressed: bool) -> None:
    mask = np.random.default_rng(3).random((SIZE, SIZE)) > 0.4
    if compressed:
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        segmentation = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    else:
        flat = np.concatenate([[False], mask.T.reshape(-1), [False]])
        edges = np.flatnonzero(np.diff(flat.astype(int)))
        ends = np.concatenate([[0], edges, [SIZE * SIZE]])
        segmentation = {"size": [SIZE, SIZE], "counts": np.diff(ends).tolist()}
    rows = annotate(coco({"segmentation": segmentation, "iscrowd": 1}))
    drawn = [shapely.Polygon(row["rings"][0], row["rings"][1:]) for row in rows]
    assert np.array_equal(rasterio.features.rasterize(drawn, mask.shape), mask)
    assert {row["metadata"] for row in rows} == {'{"group":1,"id":0,"iscrowd":1}'}


def test_names_may_go_on_after_the_name_of_the_item(annotate: Annotate) -> None:
    image = {**ONE, "file_name": "two_pred.jpg"}
    (row,) = annotate(coco({"bbox": [1, 1, 2, 2]}, images=[image]), name_ending="_pred")
    assert row["item"] == "two"


def test_bad_annotations_are_counted_and_left_out_and_the_others_are_taken(
    registry: Registry, tmp_path: Path
) -> None:
    home = FactoryHome(tmp_path / "home")
    collection = collection_of(registry, home, picture("one", SIZE), picture("two", SIZE))
    images = [ONE, {"id": 6, "file_name": "two.png"}, {"id": 7, "file_name": "else.png"}]
    square = [1, 1, 5, 1, 5, 5, 1, 5]
    given = coco(
        {"segmentation": [square]},
        {"segmentation": [[1, 1, 5, 1]]},
        {"segmentation": [[1, 1, 5, 5, 3, 3]], "image_id": 6},
        {"segmentation": [[2, 2, 5, 2, 8, 2]]},
        {"segmentation": [square, [1, 1, 5, 1]], "image_id": 6},
        {"bbox": [40, 40, 5, 5]},
        {"bbox": [1, 1, 2, 2], "category_id": 9},
        {"bbox": [1, 1, 2, 2], "image_id": 7},
        {"bbox": [1, 1, 2, 2], "image_id": 8},
        {"bbox": [1, 1, 2, 2], "score": 2},
        images=images,
    )
    path = written(tmp_path / "instances.json", given)
    operation, report = annotate_with_report(registry, home, collection.id, "human", path)
    assert [row["item"] for row in rows_of(operation, home)] == ["one", "two"]
    assert (report.operation, report.matched, report.unmatched) == (operation.id, 2, ("else.png",))
    assert report.annotations == 2
    no_points = "has a polygon that is not a list of three or more points x, y, x, y, ..."
    assert report.left_out.counts == {
        "is of the image 8, which the file lacks": 1,
        no_points: 1,
        "has a polygon without area": 2,
        f"{no_points}; its other parts are used": 1,
        "is outside of its image": 1,
        "is of the category 9, which the file lacks": 1,
        "is of an image that is not an item of the collection": 1,
        "has the confidence 2; it must be a number from 0 to 1": 1,
    }
    told = str(report)
    assert "Images       2 matched, 1 unmatched (else.png)" in told
    assert "Annotations  2 added, 9 dropped" in told
    assert "  2 x the annotation 2 of instances.json has a polygon without area" in told
    as_json = report.to_json()
    assert (as_json["matched"], as_json["unmatched"], as_json["dropped"]) == (2, ["else.png"], 9)
    assert as_json["reasons"][2] == {
        "reason": "has a polygon without area",
        "count": 2,
        "first": "The annotation 2 of instances.json",
    }


def test_parts_of_one_object_count_once(registry: Registry, tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    collection = collection_of(registry, home, picture("one", SIZE))
    parts = [[1, 1, 5, 1, 5, 5, 1, 5], [10, 10, 14, 10, 14, 18]]
    given = coco({"segmentation": parts}, {"segmentation": parts, "id": 0}, {"bbox": [1, 1, 2, 2]})
    path = written(tmp_path / "instances.json", given)
    operation, report = annotate_with_report(registry, home, collection.id, "human", path)
    assert len(rows_of(operation, home)) == 5
    assert report.annotations == 3
    [summary] = list_collections(registry, home)
    assert summary.operations[0].labels == {"Balloon": 3}


@pytest.mark.parametrize("match", ["^[0-9a-f]{8}-(.+)$", "(?<=-).+", "photo one"])
def test_what_a_tool_put_before_names_is_taken_off(annotate: Annotate, match: str) -> None:
    image = {**ONE, "file_name": "3f2a91bc-photo one.png"}
    (row,) = annotate(coco({"bbox": [1, 1, 2, 2]}, images=[image]), match=match)
    assert row["item"] == "one"


def test_names_in_which_nothing_is_found_are_no_items(annotate: Annotate) -> None:
    with pytest.raises(LakeError, match=r"a regular expression can find the names \(--match\)"):
        annotate(coco({"bbox": [1, 1, 2, 2]}), match="^x-(.+)$")
    with pytest.raises(ArgumentError, match=r"match is '\('; it is not a regular expression"):
        annotate(coco({"bbox": [1, 1, 2, 2]}), match="(")


BAD: dict[str, tuple[Any, str]] = {
    "results": ([{"image_id": 5, "bbox": [1, 1, 2, 2]}], "must have the lists images, annotations"),
    "no item": (
        coco({"bbox": [1, 1, 2, 2]}, images=[{**ONE, "file_name": "x.png"}]),
        "None of 1 image in instances.json, such as 'x.png', is an item of the collection, whose items"
        " have names such as 'photo one'",
    ),
    "other size": (
        coco({"bbox": [1, 1, 2, 2]}, images=[{**ONE, "width": 40}]),
        "is 40 x 20 pixels in instances.json, but the item one is 20 x 20",
    ),
    "no image": (
        coco({"image_id": 9, "bbox": [1, 1, 2, 2]}),
        "annotation 0 of instances.json is of the image 9, which the file lacks",
    ),
    "no file name": (coco(images=[{"id": 5}]), "has one of the images without id or file_name"),
    "odd category": (coco({"category_id": [1], "bbox": [1, 1, 2, 2]}), r"is of the category \[1\], which"),
    "no category": (coco({"category_id": 9, "bbox": [1, 1, 2, 2]}), "is of the category 9, which the file"),
    "no box": (coco({}), "annotation 0 of instances.json has neither a segmentation nor a bbox"),
    "not a number": (coco({"bbox": [1, 1, None, 2]}), "neither a segmentation nor a bbox"),
    "odd polygon": (coco({"segmentation": [[1, 1, 2, 2, 3]]}), "polygon that is not a list of three or more"),
    "score": (coco({"bbox": [1, 1, 2, 2], "score": 12}), "confidence 12; it must be a number from 0 to 1"),
    "mask size": (
        coco({"segmentation": {"size": [2, 2], "counts": [4]}}),
        r"a mask of the size \[2, 2\] \(height, width\), but the item one has \[20, 20\]",
    ),
    "mask runs": (
        coco({"segmentation": {"size": [SIZE, SIZE], "counts": [4]}}),
        "a mask that can't be read: its runs have 4 pixels, not 20 x 20",
    ),
    "no object": (coco("box"), "annotation number 1 of instances.json is not an object"),
    "outside": (coco({"bbox": [30, 30, 5, 5]}), "has no annotations on an item"),
    "image ids twice": (
        coco({"bbox": [1, 1, 2, 2]}, images=[ONE, {**ONE, "file_name": "two.png"}]),
        r"several images of the same id: 5 \('images/photo one.png', 'two.png'\); set for each an id",
    ),
    "category ids twice": (
        coco({"bbox": [1, 1, 2, 2]}) | {"categories": [{"id": 1, "name": "A"}, {"id": 1, "name": "B"}]},
        r"several categories of the same id: 1 \('A', 'B'\)",
    ),
    "no area": (coco({"bbox": [1, 1, 0, 2]}), "has a box without area"),
    "two folders": (
        coco(
            {"bbox": [1, 1, 2, 2]},
            {"bbox": [1, 1, 2, 2], "image_id": 6},
            images=[{**ONE, "file_name": "a/one.png"}, {"id": 6, "file_name": "b/one.png"}],
        ),
        "The names 'a/one.png' and 'b/one.png' in instances.json both match the item one",
    ),
    "no annotations": (coco(), "has no annotations on an item"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_and_nothing_is_left(
    registry: Registry, tmp_path: Path, given: Any, message: str
) -> None:
    home = FactoryHome(tmp_path / "home")
    collection = collection_of(registry, home, picture("one", SIZE))
    path = written(tmp_path / "instances.json", given)
    before = tables_in(home)
    with pytest.raises(LakeError, match=message) as raised:
        add_annotations(registry, home, collection.id, "human", path, format="coco")
    assert str(raised.value).count("\n") == 0
    assert registry.operations(collection.id) == []
    assert tables_in(home) == before
