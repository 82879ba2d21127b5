"""The documents of a release: meta.json, and the splits in bounds.geojson."""

import json
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.datalake.ingest.releases.documents import public_of, read_meta, read_splits


def saved(folder: Path, document: Any) -> Path:
    path = folder / "document.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("True", True),
        (" false ", False),
        ("maybe", None),
        (1, None),
        (None, None),
    ],
)
def test_public_is_a_boolean_or_the_text_of_one(value: Any, expected: bool | None) -> None:
    assert public_of({"public": value}) is expected
    assert public_of({}) is None


def test_splits_stand_by_the_id_of_a_feature_or_of_its_properties(tmp_path: Path) -> None:
    features = [
        {"id": "a", "properties": {"split": "Train"}},
        {"properties": {"id": "b", "split": "val"}},
        {"id": 3, "split": "testing", "properties": None},
        {"id": "d", "properties": {"split": "holdout"}},
        {"id": "e", "properties": {}},
        {"properties": {"split": "train"}},
    ]
    splits, problems = read_splits(saved(tmp_path, {"type": "FeatureCollection", "features": features}), "b")
    assert problems == []
    assert splits.by_stem == {"a": "train", "b": "validation", "3": "test"}
    assert splits.unknown_words == ["holdout"]


def test_a_single_feature_is_read_too(tmp_path: Path) -> None:
    outline_of_all = {"type": "Feature", "geometry": None, "properties": {}}
    assert read_splits(saved(tmp_path, outline_of_all), "b")[0].by_stem == {}
    of_one = {"type": "Feature", "id": "a", "properties": {"split": "test"}}
    assert read_splits(saved(tmp_path, of_one), "b")[0].by_stem == {"a": "test"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"{", "meta.json is not JSON"),
        (b"\xff", "meta.json is not UTF-8 text"),
        (b"[" * 100_000, "meta.json is nested more deeply than"),
        ([], "meta.json is not a JSON object"),
    ],
)
def test_a_broken_meta_json_is_named(tmp_path: Path, document: Any, said: str) -> None:
    meta, (problem,) = read_meta(saved(tmp_path, document), "meta.json")
    assert (meta, str(problem)[: len(said)]) == ({}, said)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"x", "bounds.geojson is not JSON"),
        ({"type": "Point"}, "bounds.geojson is neither a GeoJSON FeatureCollection nor a Feature"),
        ([], "bounds.geojson is neither a GeoJSON FeatureCollection nor a Feature"),
        (
            {"type": "FeatureCollection", "features": [3]},
            "bounds.geojson has a feature that is not an object",
        ),
    ],
)
def test_broken_bounds_are_named(tmp_path: Path, document: Any, said: str) -> None:
    splits, (problem,) = read_splits(saved(tmp_path, document), "bounds.geojson")
    assert (splits.by_stem, str(problem)[: len(said)]) == ({}, said)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert read_meta(saved(tmp_path, b'\xef\xbb\xbf{"name": "a"}'), "meta.json") == ({"name": "a"}, [])
