"""What a spec may contain, and how each fault is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.errors import SpecError
from factory_pipeline.volumes import spec as specs
from factory_pipeline.volumes.boxes import Box
from factory_pipeline_tests.volumes.factories import pair, place

SCHEMA = Path(__file__).parents[2] / "docs" / "pair_spec.schema.json"
REFERENCE = {"path": "gs://bucket/image", "src_mip": 5, "dst_mip": 5, "x_size": 2048, "y_size": 1024}
WHOLE: dict[str, Any] = {
    "image": {"path": "gs://bucket/image", "src_mip": 5, "reference": REFERENCE},
    "field": {"path": "precomputed://s3://bucket/field", "src_mip": 8, "reference": REFERENCE},
    "masks": [{"path": "https://host/mask", "src_mip": 6, "threshold": 178}],
    "max_mip": 8,
    "dst_mip": 5,
    "x_size": 2048,
    "y_size": 1024,
    "pairs": [pair((256, 512, 9), (256, 512, 8)), [place((0, 0, 1)), place((0, 0, 0))]],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The spec with the value at a path such as `image.reference.path` replaced, or removed for ..."""
    document = json.loads(json.dumps(WHOLE))
    part = document
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return document


def test_a_whole_spec_is_valid() -> None:
    assert specs.find_faults(WHOLE) == []
    spec = specs.parse_spec(WHOLE)
    assert spec.boxes()[0] == (Box(9, 512, 256, 65536, 32768), Box(8, 512, 256, 65536, 32768))
    assert spec.boxes()[1][0].z == 1
    assert specs.unknown_keys(spec) == []


def test_field_references_and_masks_may_be_absent() -> None:
    small = {key: value for key, value in WHOLE.items() if key not in ("field", "masks")}
    small["image"] = {"path": "/volumes/image", "src_mip": 5}
    spec = specs.parse_spec(small)
    assert (spec.field, spec.masks, spec.image.reference) == (None, [], None)


def test_centres_are_the_middle_of_boxes() -> None:
    spec = specs.parse_spec(
        {**WHOLE, "pairs": [[{"x": 40000, "y": 20000, "z": 3}, {"x": 40000, "y": 20000, "z": 2}]]}
    )
    assert spec.boxes()[0][0] == Box(3, 20000 - 16384, 40000 - 32768, 65536, 32768)


REQUIRED = [
    *("image", "max_mip", "dst_mip", "x_size", "y_size", "pairs", "image.path", "image.src_mip"),
    *(f"image.reference.{key}" for key in REFERENCE),
    *("field.path", "field.src_mip", "field.reference.x_size"),
    *("masks.0.path", "masks.0.src_mip", "masks.0.threshold"),
    *("pairs.0.src", "pairs.0.tgt", "pairs.0.src.x_start", "pairs.0.tgt.z_start", "pairs.1.0.y_start"),
]


def json_path(path: str) -> str:
    return "$" + "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in path.split("."))


@pytest.mark.parametrize("path", REQUIRED)
def test_each_key_that_is_missing_is_named(path: str) -> None:
    assert specs.find_faults(changed(path, ...)) == [f"{json_path(path)}: is missing"]


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("image", 3, "must be an object"),
        ("image.path", "bucket/image", "must be an absolute path or an address of one of file, gs, http"),
        ("image.path", "ftp://host/image", "must be an absolute path or an address"),
        ("image.path", "gs://", "must be an absolute path or an address"),
        ("image.path", 7, "must be a valid string"),
        ("image.src_mip", -1, "must be greater than or equal to 0"),
        ("image.src_mip", "5", "must be a valid integer"),
        ("image.src_mip", 5.5, "must be a valid integer"),
        ("image.src_mip", True, "must be a valid integer"),
        ("image.reference", [], "must be an object"),
        ("image.reference.x_size", 0, "must be greater than or equal to 1"),
        ("field", "gs://bucket/field", "must be an object"),
        ("field.src_mip", 31, "must be less than or equal to 30"),
        ("masks", {}, "must be a valid list"),
        ("masks.0", None, "must be an object"),
        ("masks.0.threshold", "178", "must be a valid number"),
        ("max_mip", None, "must be a valid integer"),
        ("dst_mip", 99, "must be less than or equal to 30"),
        ("x_size", 0, "must be greater than or equal to 1"),
        ("y_size", 1 << 21, "must be less than or equal to 1048576"),
        ("pairs", None, "must be a valid list"),
        ("pairs.0", 4, 'must be {"src": place, "tgt": place} or [place, place]'),
        ("pairs.0.src", [1, 2, 3], "must be an object with x_start, y_start and z_start, or with x, y and z"),
        ("pairs.0.src", {"x": 1, "y_start": 2, "z": 3}, "must be an object with x_start"),
        ("pairs.0.tgt.z_start", 1.5, "must be a valid integer"),
        ("pairs.1", [place((0, 0, 0))], "must be [place, place]"),
        ("pairs.1.1.x_start", "0", "must be a valid integer"),
    ],
)
def test_each_value_that_is_not_allowed_is_named(path: str, value: Any, allowed: str) -> None:
    faults = specs.find_faults(changed(path, value))
    assert len(faults) == 1
    assert faults[0].startswith(f"{json_path(path)}: {allowed}")


def test_all_faults_are_named_at_once() -> None:
    document = {**WHOLE, "x_size": -1, "masks": [{}], "pairs": [pair((0, 0, 0), (0, 0, 1))] * 40}
    document["pairs"][3:] = [{}] * 37
    faults = specs.find_faults(document)
    assert len(faults) == 1 + 3 + 2 * 37
    with pytest.raises(
        SpecError, match=r"my.json has values .*\$\.masks\[0\]\.path: is missing.*and 58 more"
    ):
        specs.parse_spec(document, "my.json")


def test_boxes_are_whole_pixels_of_every_volume() -> None:
    assert specs.find_faults({**WHOLE, "x_size": 2044}) == [
        "$.x_size: 2044 pixels of MIP 5 must be a whole number of pixels of MIP 8, which is $.field.src_mip"
    ]
    assert specs.find_faults(changed("image.reference.y_size", 1023)) == [
        "$.image.reference.y_size: 1023 pixels of MIP 5 must be a whole number of pixels of MIP 6, which is"
        " $.masks[0].src_mip"
    ]


def test_fields_are_never_coarsened() -> None:
    assert specs.find_faults(changed("field.src_mip", 4)) == [
        "$.field.src_mip: 4 must be at least dst_mip, 5: fields are resampled to finer mips only"
    ]


def test_starts_and_centres_are_not_mixed() -> None:
    centre = {"x": 0, "y": 0, "z": 0}
    assert specs.find_faults(changed("pairs.1.1", centre)) == [
        "$.pairs[1][1]: must have x_start, y_start, z_start, as the first place has: starts and centres of"
        " boxes are not mixed in one spec"
    ]
    assert "must have x, y, z" in specs.find_faults(changed("pairs.0.src", centre))[0]


def test_unknown_keys_are_reported_with_their_paths() -> None:
    document = changed("image.reference.comment", "brightest")
    document["parallel"] = 4
    document["pairs"][1][0]["name"] = "axon"
    spec = specs.parse_spec(document)
    assert sorted(specs.unknown_keys(spec)) == [
        "$.image.reference.comment",
        "$.pairs[1][0].name",
        "$.parallel",
    ]


def test_the_alignment_is_a_key_of_the_spec_whose_values_are_checked() -> None:
    document = {**changed("x_size", 16), "alignment": {"aligner": "reference", "stage": 2}}
    spec = specs.parse_spec(document)
    assert specs.unknown_keys(spec) == []
    assert (spec.alignment.stage, spec.alignment.checkpoint) == (2, "test")
    document["alignment"] = {"stages": 2}
    assert specs.find_faults(document) == ["$.alignment.stages: is not a key of it"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"x_size": NaN}', "NaN is not a value of JSON"),
    ],
)
def test_what_is_not_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        specs.load_spec(path)


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == specs.json_schema()
