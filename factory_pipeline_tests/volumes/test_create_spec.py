"""Points of all forms, and the pairs that become of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.errors import SpecError
from factory_pipeline.volumes.create_spec import create_spec
from factory_pipeline.volumes.points import Point, read_points
from factory_pipeline.volumes.spec import parse_spec
from factory_pipeline.volumes.viewer_state import BOXES, viewer_state
from factory_pipeline_tests.volumes.factories import pair, spec_of

HEADER = "Coordinate 1,{second},Ellipsoid Dimensions,Tags,Description,Segment IDs,Parent ID,Type,ID\n"
POINTS = (Point(1956, 12666, 7242), Point(-1, 300.5, 4.5))
TEMPLATE = spec_of("gs://bucket/image", max_mip=8, pairs=[], note="kept")


def test_two_points_and_three_offsets_permuted_are_twelve_pairs_in_order() -> None:
    created = create_spec(TEMPLATE, POINTS, [-1, -2, -3], permute_pairs=True)
    x, y, z = 1792, 12544, 7242
    a, b, c = -256, 256, 4
    assert created["pairs"] == [
        pair((x, y, z), (x, y, z - 1)),
        pair((x, y, z - 1), (x, y, z)),
        pair((x, y, z), (x, y, z - 2)),
        pair((x, y, z - 2), (x, y, z)),
        pair((x, y, z), (x, y, z - 3)),
        pair((x, y, z - 3), (x, y, z)),
        pair((a, b, c), (a, b, c - 1)),
        pair((a, b, c - 1), (a, b, c)),
        pair((a, b, c), (a, b, c - 2)),
        pair((a, b, c - 2), (a, b, c)),
        pair((a, b, c), (a, b, c - 3)),
        pair((a, b, c - 3), (a, b, c)),
    ]
    assert list(created) == list(TEMPLATE)
    assert created["note"] == "kept"
    assert TEMPLATE["pairs"] == []


def test_without_permutation_and_as_lists_behind_the_pairs_of_the_template() -> None:
    template = {**TEMPLATE, "pairs": [pair((0, 0, 1), (0, 0, 0))]}
    created = create_spec(template, POINTS[:1], [2], pair_form="list")
    src, tgt = pair((1792, 12544, 7242), (1792, 12544, 7244)).values()
    assert created["pairs"] == [template["pairs"][0], [src, tgt]]
    assert len(parse_spec(created).boxes()) == 2


def test_offsets_and_templates_that_are_not_allowed() -> None:
    for offsets in ([], [-1, 0]):
        with pytest.raises(SpecError, match="Offsets must be whole numbers other than 0"):
            create_spec(TEMPLATE, POINTS, offsets)
    with pytest.raises(SpecError, match=r"The source spec .*\$\.x_size"):
        create_spec({**TEMPLATE, "x_size": 0}, POINTS, [-1])
    centres = {**TEMPLATE, "pairs": [[{"x": 0, "y": 0, "z": 1}, {"x": 0, "y": 0, "z": 0}]]}
    with pytest.raises(SpecError, match="starts and centres of boxes are not mixed"):
        create_spec(centres, POINTS, [-1])


@pytest.mark.parametrize("second", ["Coordinate 2", "Coordinate 2 (if applicable)"])
def test_a_csv_of_annotations(tmp_path: Path, second: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(
        HEADER.format(second=second)
        + '"(1956, 12666, 7242)",,,,,,,Point,a1\n'
        + '"(1, 2, 3)","(4, 5, 6)",,,a box,,,AABB,a2\n'
        + '"(-1, 300.5, 4.5)",,,,"two\nlines",,,Point,a3\n'
        + '"(1, 2, 3)",,"(4, 5, 6)",,,,,Ellipsoid,a4\n'
        + '"(1, 2, 3)","(4, 5, 6)",,,,,,AABB,a5\n'
    )
    found = read_points(path)
    assert found.points == POINTS
    assert found.others == {"AABB": 2, "Ellipsoid": 1}


def test_a_plain_csv(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("\ufeffname,x0,y0,z0\na,1956,12666,7242\nb,-1,300.5,4.5\n")
    assert read_points(path).points == POINTS


def state(order: str, *, own: bool = False, **layer: Any) -> dict[str, Any]:
    """The state of a viewer with a layer of annotations whose axes are in an order."""
    dimensions = {axis: [4e-9, "m"] for axis in order}
    points = [[dict(zip("xyz", point, strict=True))[axis] for axis in order] for point in POINTS]
    source: Any = "local://annotations"
    if own:
        source = {"url": "local://annotations", "transform": {"outputDimensions": dimensions}}
    return {
        "dimensions": {axis: [4e-9, "m"] for axis in "xyz"} if own else dimensions,
        "layers": [
            {"type": "image", "source": "precomputed://gs://bucket/image"},
            {
                "type": "annotation",
                "source": source,
                "annotations": [
                    *({"type": "point", "point": point, "id": str(i)} for i, point in enumerate(points)),
                    {"type": "line", "pointA": [1, 2, 3], "pointB": [1, 2, 4]},
                ],
                **layer,
            },
        ],
    }


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("order", ["xyz", "zyx"])
def test_the_state_of_a_viewer(tmp_path: Path, order: str, own: bool) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state(order, own=own)))
    found = read_points(path)
    assert found.points == POINTS
    assert found.others == {"line": 1}


def test_the_state_of_an_old_viewer(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    annotations = [{"point": list(point), "type": "point"} for point in POINTS]
    path.write_text(json.dumps({"layers": {"points": {"type": "annotation", "annotations": annotations}}}))
    assert read_points(path).points == POINTS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b; points are a CSV with the columns 'Coordinate 1'"),
        ("", r"has the columns \(none\)"),
        ("x0,y0,z0\n", "contains no points"),
        ("x0,y0,z0\n1,2,3\n1,two,3\n", "line 3 is not a point of three numbers"),
        ("x0,y0,z0\n1,2\n", "line 2 is not a point of three numbers"),
        ("x0,y0,z0\n1,2,inf\n", "line 2 is not a point of three numbers"),
        ('Coordinate 1,Type\n"(1, 2)",Point\n', "line 2 is not a point"),
        ('Coordinate 1,Type\n"(1, 2, 3)",Line\n', "contains no points, only 1 of the type 'Line'"),
        ("{", "is not JSON"),
        ('x0,y0,z0\n"' + "1" * 200_000, "is not CSV that can be read: field larger than field limit"),
        ("{}", "has no layers"),
        ('{"layers": [{"annotations": [{"type": "point", "point": [1, 2]}]}]}', r"annotations\[0\] is not a"),
        ('{"layers": [{"annotations": [3]}]}', r"\$\.layers\[0\]\.annotations\[0\] is not an annotation"),
    ],
)
def test_files_without_points_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "points"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_points(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is not text"):
        read_points(path)


def test_a_viewer_shows_the_boxes_of_a_spec() -> None:
    document = spec_of(
        "precomputed://https://me:secret@host/image",
        dst_mip=2,
        pairs=[pair((64, 32, 5), (64, 32, 4)), pair((64, 32, 4), (64, 32, 5)), pair((0, 0, 9), (0, 0, 8))],
    )
    shown = viewer_state(parse_spec(document), (4, 4, 40))
    image, boxes = shown["layers"]
    assert image["source"] == "precomputed://https://host/image"
    assert boxes["name"] == BOXES
    assert [(box["pointA"], box["pointB"]) for box in boxes["annotations"]] == [
        ([64, 32, 5], [128, 96, 6]),
        ([64, 32, 4], [128, 96, 5]),
        ([0, 0, 9], [64, 64, 10]),
        ([0, 0, 8], [64, 64, 9]),
    ]
    assert boxes["annotations"][0]["description"] == "src of 0, tgt of 1"
    assert shown["dimensions"] == {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
    assert shown["position"] == [96, 64, 5.5]
