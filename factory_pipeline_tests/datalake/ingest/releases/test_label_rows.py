"""The labels of a release as rows of annotations, by what the release is for."""

import json
from typing import Any

import pytest

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.georeference import Georeference
from factory_pipeline.datalake.ingest.releases.label_file import DrawnObject, LabelFile
from factory_pipeline.datalake.ingest.releases.label_rows import LabelReader

SIZE = 20, 10
BOX = ((2.0, 3.0), (6.0, 3.0), (6.0, 8.0), (2.0, 8.0))
TRIANGLE = ((0.0, 0.0), (5.0, 0.0), (0.0, 5.0))
HOLE = ((3.0, 4.0), (4.0, 4.0), (4.0, 5.0))


def labels(objects: dict[str, tuple[DrawnObject, ...]] | None = None, **numbers: float) -> LabelFile:
    objects = objects or {}
    return LabelFile(None, objects, numbers, (*objects, *numbers))


def rows(kind: MlType, said: LabelFile, georeference: Georeference | None = None) -> list[dict[str, Any]]:
    coordinates = LabelCoordinates.PIXEL if georeference is None else LabelCoordinates.GEOGRAPHIC
    return list(LabelReader(kind, coordinates).rows("a", said, SIZE, georeference))


def test_classification_is_a_rectangle_around_the_image_for_each_one() -> None:
    found = rows(MlType.CLASSIFICATION, labels(Rye=1, Oat=0))
    assert found == [{"item": "a", "type": "rectangle", "label": "Rye", "bbox": [0.0, 0.0, 20.0, 10.0]}]


@pytest.mark.parametrize(
    ("kind", "types"),
    [(MlType.OBJECT_DETECTION, ["rectangle", "polygon"]), (MlType.SEGMENTATION, ["polygon", "polygon"])],
)
def test_rectangles_are_looked_for_where_objects_are_detected(kind: MlType, types: list[str]) -> None:
    found = rows(kind, labels({"House": (DrawnObject(((BOX,),)), DrawnObject(((TRIANGLE,),)))}))
    assert [row["type"] for row in found] == types
    assert found[0]["bbox"] == [2.0, 3.0, 4.0, 5.0]
    assert found[1]["bbox"] == [0.0, 0.0, 5.0, 5.0]


def test_rings_keep_their_holes_and_parts_of_an_object_their_group() -> None:
    several = DrawnObject(((BOX, HOLE), (TRIANGLE,)), 0.5, {"a": 1}, {"b": "c"})
    found = rows(MlType.SEGMENTATION, labels({"House": (DrawnObject(((BOX,),)), several)}))
    assert [len(row["rings"]) for row in found] == [1, 2, 1]
    assert json.loads(found[0]["metadata"]) == {}
    assert [json.loads(row["metadata"]) for row in found[1:]] == [{"a": 1, "group": "1"}] * 2
    assert {row["confidence"] for row in found[1:]} == {0.5}
    assert json.loads(found[1]["attributes"]) == {"b": "c"}


def test_objects_of_all_classes_come_in_the_order_of_the_file() -> None:
    later, earlier = DrawnObject(((BOX,),), order=2), DrawnObject(((TRIANGLE,),), order=1)
    found = rows(MlType.SEGMENTATION, labels({"House": (later,), "Field": (earlier,)}))
    assert [row["label"] for row in found] == ["Field", "House"]


def test_degrees_become_pixels_and_what_rounding_put_outside_is_at_the_edge() -> None:
    georeference = Georeference("EPSG:4326", (0.5, 0, 10, 0, -0.5, 50), *SIZE)
    ring = ((10 - 1e-9, 50.0), (12.0, 50.0), (12.0, 48.0), (10.0, 48.0))
    [found] = rows(MlType.OBJECT_DETECTION, labels({"House": (DrawnObject(((ring,),)),)}), georeference)
    assert found["type"] == "rectangle"
    assert found["bbox"] == [0.0, 0.0, 4.0, 4.0]
