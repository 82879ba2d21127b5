"""Points from a viewer's CSV, a plain CSV, or a viewer's state."""

import json
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.errors import SpecError
from factory_pipeline.volumes.points import Point, Points, read_points


def read(tmp_path: Path, text: str | dict[str, Any]) -> Points:
    path = tmp_path / "points"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return read_points(path)


def test_a_csv_of_a_viewer_has_points_in_brackets(tmp_path: Path) -> None:
    text = 'Coordinate 1,Type,ID\n"(1, 2.5, -3)",Point,a\n"(0, 0, 0)",AABB,b\n"4, 5, 6",,c\n'
    found = read(tmp_path, text)
    assert found.points == (Point(1, 2.5, -3), Point(4, 5, 6))
    assert found.others == {"AABB": 1}


def test_a_plain_csv_may_have_its_columns_in_any_order_and_a_byte_order_mark(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffz0, x0, y0, note\n3, 1, 2, a\n").points == (Point(1, 2, 3),)


def test_the_state_of_a_viewer_may_name_its_axes_in_any_order(tmp_path: Path) -> None:
    layer = {"annotations": [{"type": "point", "point": [3, 1, 2]}, {"type": "line"}]}
    state = {"dimensions": {"z": [1, "m"], "x": [1, "m"], "y": [1, "m"]}, "layers": [{"name": "a"}, layer]}
    found = read(tmp_path, state)
    assert found.points == (Point(1, 2, 3),)
    assert found.others == {"line": 1}


def test_the_axes_of_a_layer_come_before_those_of_the_state(tmp_path: Path) -> None:
    axes = {"transform": {"outputDimensions": {"y": [1, ""], "x": [1, ""], "z": [1, ""]}}}
    layer = {"source": [axes], "annotations": [{"point": [2, 1, 3]}]}
    # Layers of old viewers are an object.
    state = {"dimensions": {"x": [1, ""], "y": [1, ""], "z": [1, ""]}, "layers": {"points": layer}}
    assert read(tmp_path, state).points == (Point(1, 2, 3),)


def test_a_point_is_scaled_along_each_axis() -> None:
    assert Point(1, 2, 3).scaled((2, 0.5, 1)) == Point(2, 1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b; points are a CSV"),
        ("x0,y0,z0\n", "contains no points"),
        ("x0,y0,z0\n1,2,\n", r"line 2 is not a point of three numbers: \['1', '2', ''\]"),
        ("x0,y0,z0\n1,2,inf\n", "is not a point of three numbers"),
        ('Coordinate 1,Type\n"(1, 2)",Point\n', "is not a point of three numbers"),
        ('Coordinate 1,Type\n"(1, 2, 3)",Line\n', "contains no points, only 1 of the type 'Line'"),
        ({}, "has no layers"),
        ({"layers": [{"annotations": ["a"]}]}, r"\$.layers\[0\].annotations\[0\] is not an annotation"),
        ({"layers": [{"annotations": [{"point": [1, 2]}]}]}, "is not a point of three numbers"),
        ("{", "is not JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, text: str | dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        read(tmp_path, text)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is not text"):
        read_points(tmp_path / "points")
