"""Labels of releases: in which coordinates they are, in which forms they come, and of which type they are."""

import json
from typing import Any

import numpy as np
import pytest
import rasterio

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    SIZE,
    box,
    feature,
    outline,
    pairs,
    polygon,
)
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

HOUSE = box(20.001, 49.99, 20.004, 49.995)
"""In the first image, in degrees."""


# Label coordinates


def test_integer_pixel_labels_under_an_outline_are_read_as_pixels(imports: Imports) -> None:
    labels = {
        "a": feature({"road": [box(0, 0, 16, 3), polygon([(1, 2), (5, 2), (1, 16)])]}, outline(0)),
        "b": feature({"road": [{"type": "GeometryCollection", "geometries": []}]}, outline(1)),
    }
    imports(pairs(labels))
    assert (imports.report.coordinates, imports.report.coordinates_why) == (
        "pixel",
        "every label is inside its image in pixels",
    )
    first, second = imports.annotations()
    assert first["bbox"] == [0, 0, 16, 3]
    assert second["rings"] == [[[1, 2], [5, 2], [1, 16]]]


def at_null_island(shapes: list[Any]) -> dict[str, bytes]:
    """An image of 16 x 16 pixels that is 16 x 16 degrees large."""
    return pairs({"a": feature({"road": shapes}, box(0, 0, 16, 16))})


@pytest.mark.parametrize(("coordinates", "rows"), [("pixel", [2, 4]), ("geographic", [12, 14])])
def test_labels_that_fit_both_readings_are_refused_until_the_user_says_which(
    imports: Imports, coordinates: str, rows: list[float]
) -> None:
    files = at_null_island([polygon([(2, 2), (6, 2), (2, 4)])])
    assert "say which by --label-coordinates geographic or pixel" in imports.refused(files)
    imports(files, label_coordinates=LabelCoordinates(coordinates))
    (row,) = imports.annotations()
    assert sorted({y for _, y in row["rings"][0]}) == rows
    assert imports.report.coordinates_why == "as given by --label-coordinates"


def test_labels_that_fit_neither_reading_are_named(imports: Imports) -> None:
    labels = {
        "a": feature({"road": [HOUSE]}, outline(0)),
        "b": feature({"road": [box(100, 100, 120, 120)]}, outline(1)),
    }
    assert "labels/b.json has a label outside of its image" in imports.refused(pairs(labels))
    items = imports(pairs(labels), skip_invalid=True)
    assert items["id"].to_list() == ["a"]
    assert imports.report.skipped == ["labels/b.json has a label outside of its image"]


def test_files_of_different_readings_are_named(imports: Imports) -> None:
    labels = {
        "a": feature({"road": [HOUSE]}, outline(0)),
        "b": feature({"road": [box(1, 1, 3, 3)]}, outline(1)),
    }
    message = imports.refused(pairs(labels), skip_invalid=True)
    assert "labels/a.json has labels that are in its image in degrees only" in message
    assert "labels/b.json has labels that are in its image in pixels only" in message


# Label items


def test_every_form_of_a_label_is_read(imports: Imports) -> None:
    rings = [[(1, 1), (9, 1), (9, 9), (1, 9)], [(3, 3), (3, 6), (6, 6), (6, 3)]]
    holed = polygon(*rings)
    two = {"type": "MultiPolygon", "coordinates": [holed["coordinates"], box(10, 10, 12, 12)["coordinates"]]}
    shapes = [
        holed,
        two,
        {"type": "GeometryCollection", "geometries": [holed, {"type": "Feature", "geometry": two}]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "Feature", "properties": {}, "geometry": holed},
        [2, 3, 4, 8],
    ]
    imports(pairs({"a": feature({"house": shapes, "car": [1, 2, 3, 4], "tree": holed})}))
    found = imports.annotations()
    assert [row["label"] for row in found] == ["house"] * 8 + ["car", "tree"]
    assert {row["type"] for row in found} == {"polygon"}
    assert found[0]["rings"] == [[list(point) for point in ring] for ring in rings]
    groups = [json.loads(row["metadata"]).get("group") for row in found]
    # Parts of one object belong together.
    assert groups == [None, "1", "1", "2", "2", "2", None, None, None, None]
    assert found[7]["bbox"] == [2, 3, 2, 5]


def test_a_missing_class_is_0_or_an_empty_list(imports: Imports) -> None:
    imports(pairs({"a": feature({"clouds": 1, "car": 0}), "b": feature({"clouds": 0})}))
    assert imports.report.classes == {"clouds": 1, "car": 0}
    imports(pairs({"a": feature({"car": [box(1, 1, 2, 2)]}), "b": feature({"house": []})}))
    assert imports.report.classes == {"car": 1, "house": 0}


@pytest.mark.parametrize("label", ["house", ["house", "tree"]])
def test_names_alone_are_classes_that_are_1(imports: Imports, label: Any) -> None:
    imports(pairs({"a": feature(label)}))
    assert imports.report.ml_type == "classification"
    rows = imports.annotations()
    assert [row["label"] for row in rows] == ([label] if isinstance(label, str) else label)
    assert all((row["type"], row["bbox"]) == ("rectangle", [0, 0, SIZE, SIZE]) for row in rows)


# mlType


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"a": 1, "b": 0}, "classification"),
        ({"a": True}, "classification"),
        ({"a": 2.5, "b": 0}, "regression"),
        ({"a": [box(1, 1, 2, 3)]}, "object_detection"),
        ({"a": [box(1, 1, 2, 3), polygon([(1, 1), (2, 1), (1, 2)])]}, "segmentation"),
    ],
)
def test_the_type_is_inferred_from_the_labels(imports: Imports, label: Any, expected: str) -> None:
    imports(pairs({"x": feature(label)}))
    assert imports.report.ml_type == expected
    assert imports.report.ml_type_why.startswith("inferred: ")


@pytest.mark.parametrize("key", ["mlType", "mltype"])
@pytest.mark.parametrize("text", ["Object Detection", "object_detection"])
def test_the_type_of_meta_json_is_taken_before_that_of_the_user(
    imports: Imports, key: str, text: str
) -> None:
    files = pairs({"a": feature({"car": [polygon([(1, 1), (2, 1), (1, 2)]), box(1, 1, 3, 3)]})})
    files["meta.json"] = {key: text}
    imports(files, ml_type=MlType.SEGMENTATION)
    assert imports.report.ml_type == "object_detection"
    assert [row["type"] for row in imports.annotations()] == ["polygon", "rectangle"]
    assert "1 label kept as polygons: not axis-parallel rectangles." in imports.report.notes


def test_the_type_of_the_user_is_taken_where_meta_json_has_none(imports: Imports) -> None:
    imports(pairs({"a": feature({"car": [box(1, 1, 3, 3)]})}), ml_type=MlType.SEGMENTATION)
    assert imports.report.ml_type_why == "as given by --mltype"
    assert [row["type"] for row in imports.annotations()] == ["polygon"]


def test_a_type_that_is_not_known_is_refused(imports: Imports) -> None:
    files = pairs({"a": feature("house")}) | {"meta.json": {"mlType": "captioning"}}
    assert "mlType 'captioning'; allowed are classification, segmentation" in imports.refused(files)


def test_labels_of_another_form_than_the_type_are_named(imports: Imports) -> None:
    files = pairs({"a": feature({"car": [box(1, 1, 3, 3)]}), "b": feature({"car": 1})})
    message = imports.refused(files, ml_type=MlType.CLASSIFICATION)
    assert (
        "labels/a.json has geometries as the label of 'car', which is no label for classification" in message
    )
    message = imports.refused(files, ml_type=MlType.SEGMENTATION)
    assert "labels/b.json has a number as the label of 'car', which is no label for segmentation" in message


def test_numbers_become_rasters_of_one_value(imports: Imports) -> None:
    items = imports(
        pairs({"a": feature({"agbd": 123.4}, outline(0)), "b": feature({"agbd": None}, outline(1))})
    )
    (row,) = imports.annotations()
    assert (row["item"], row["type"], row["label"]) == ("a", "raster", "agbd")
    with rasterio.open(resolve(row["raster"]["path"], imports.home)) as raster:
        assert raster.dtypes == ("float32",)
        np.testing.assert_array_equal(raster.read(1), np.full((SIZE, SIZE), np.float32(123.4)))
        assert list(raster.transform)[:6] == items["proj:transform"][0].to_list()
    assert imports.report.notes == ["1 image has no measured value: the number is missing."]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [((3, -7), "int32"), ((123.4, 3), "float32"), ((123.4567890123, 3), "float64"), ((2**40, 3), "float64")],
)
def test_the_type_of_numbers_is_the_smallest_that_holds_them(
    imports: Imports, values: tuple[float, float], dtype: str
) -> None:
    labels = {str(number): feature({"x": value}) for number, value in enumerate(values)}
    imports(pairs(labels), ml_type=MlType.REGRESSION)
    for row, value in zip(imports.annotations(), values, strict=True):
        with rasterio.open(resolve(row["raster"]["path"], imports.home)) as raster:
            assert raster.dtypes == (dtype,)
            assert float(str(raster.read(1)[0, 0])) == value
