"""What a label file may say: outlines, objects, numbers and names."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from factory_pipeline.datalake.ingest.releases.label_file import LabelFile, read_label_file
from factory_pipeline.datalake.ingest.releases.problems import LabelFileError
from factory_pipeline_tests.datalake.ingest.releases.archives import box, feature, polygon

SQUARE = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0))
HOLE = ((3.0, 3.0), (3.0, 6.0), (6.0, 6.0), (6.0, 3.0))
HOLED = polygon(SQUARE, HOLE)


def read(document: Any) -> LabelFile:
    return read_label_file(json.dumps(document).encode())


def parts_of(item: Any) -> list[Any]:
    """The polygons of each object that is read from one item of a list of labels."""
    return [each.parts for each in read(feature({"house": [item]})).objects["house"]]


@pytest.mark.parametrize("geometry", [{}, None])
def test_an_empty_geometry_is_no_outline(geometry: Any) -> None:
    assert read({"geometry": geometry, "properties": {"label": "house"}}).outline is None
    assert read({"properties": {"label": "house"}}).outline is None


def test_an_outline_is_a_polygon_or_a_multipolygon_of_one_part() -> None:
    several = {"type": "MultiPolygon", "coordinates": [HOLED["coordinates"]]}
    assert read(feature("house", HOLED)).outline == SQUARE
    assert read(feature("house", several)).outline == SQUARE
    two = {"type": "MultiPolygon", "coordinates": [HOLED["coordinates"]] * 2}
    with pytest.raises(LabelFileError, match=r"type 'MultiPolygon'; .* of one part, or \{\}"):
        read(feature("house", two))


@pytest.mark.parametrize("key", ["properties", "Properties"])
def test_properties_may_have_a_capital(key: str) -> None:
    assert read({"geometry": {}, key: {"label": {"clouds": 1}}}).numbers == {"clouds": 1}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (HOLED, [((SQUARE, HOLE),)]),
        ({"type": "Feature", "properties": {}, "geometry": HOLED}, [((SQUARE, HOLE),)]),
        (
            {"type": "MultiPolygon", "coordinates": [HOLED["coordinates"], polygon(HOLE)["coordinates"]]},
            [((SQUARE, HOLE), (HOLE,))],
        ),
        ({"type": "GeometryCollection", "geometries": [HOLED, HOLED]}, [((SQUARE, HOLE), (SQUARE, HOLE))]),
        ({"type": "GeometryCollection", "geometries": []}, []),
        ([1, 1, 9, 9], [((SQUARE,),)]),
        # A third coordinate is passed over; a ring may end before its first point.
        ({"type": "Polygon", "coordinates": [[[*point, 7.0] for point in SQUARE]]}, [((SQUARE,),)]),
    ],
)
def test_every_form_of_a_label_keeps_its_parts_and_holes(item: Any, expected: list[Any]) -> None:
    assert parts_of(item) == expected


def test_collections_in_collections_end_somewhere() -> None:
    item: dict[str, Any] = HOLED
    for _ in range(20):
        item = {"type": "GeometryCollection", "geometries": [item]}
    with pytest.raises(LabelFileError, match="more than 16 deep"):
        parts_of(item)


def test_one_geometry_or_box_stands_for_a_list_of_one() -> None:
    found = read(feature({"house": HOLED, "car": [1, 1, 9, 9], "tree": []})).objects
    assert {name: [each.parts for each in objects] for name, objects in found.items()} == {
        "house": [((SQUARE, HOLE),)],
        "car": [((SQUARE,),)],
        "tree": [],
    }


@pytest.mark.parametrize(
    ("label", "numbers"),
    [
        ("house", {"house": 1}),
        (["house", "tree"], {"house": 1, "tree": 1}),
        (None, {}),
        ({"house": True, "tree": 0}, {"house": True, "tree": 0}),
        ({"agbd": 123.4}, {"agbd": 123.4}),
    ],
)
def test_names_alone_are_classes_that_are_1(label: Any, numbers: dict[str, float]) -> None:
    assert read(feature(label)).numbers == numbers


def test_a_class_without_a_number_is_named_all_the_same() -> None:
    found = read(feature({"agbd": None, "height": 3}))
    assert (found.numbers, found.classes) == ({"height": 3}, ("agbd", "height"))


def test_what_our_exports_say_beside_the_published_form_is_read() -> None:
    said = {"confidence": 0.5, "metadata": {"group": "1"}, "attributes": {"ö": [1]}, "order": 3}
    document = feature({"a": [HOLED | said]}, original_name="north/1", datetime="2024-05-01T12:30:00+02:00")
    found = read(document)
    (drawn,) = found.objects["a"]
    assert (drawn.confidence, drawn.order) == (0.5, 3)
    assert (drawn.metadata, drawn.attributes) == ({"group": "1"}, {"ö": [1]})
    assert found.original_name == "north/1"
    assert found.acquired == datetime(2024, 5, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "said", [{"confidence": "high", "metadata": 3, "order": "x"}, {"confidence": 7}, {"attributes": []}]
)
def test_members_of_another_form_are_passed_over(said: dict[str, Any]) -> None:
    """They are somebody else's: the published form allows any."""
    (drawn,) = read(feature({"a": [box(1, 1, 2, 2) | said]}, datetime="yesterday")).objects["a"]
    assert (drawn.confidence, drawn.metadata, drawn.attributes, drawn.order) == (None, {}, {}, 0)
