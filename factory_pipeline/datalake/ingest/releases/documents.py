"""The documents of a release beside its label files: meta.json, and the splits in bounds.geojson."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory_pipeline.datalake.ingest.releases.problems import Problem
from factory_pipeline.errors import DocumentError
from factory_pipeline.json_document import read_json
from factory_pipeline.splits.names import TEST, TRAIN, VALIDATION

SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "test": TEST,
    "testing": TEST,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
}


@dataclass
class Splits:
    """The splits that bounds.geojson gives to images."""

    by_stem: dict[str, str] = field(default_factory=dict)
    """train, test or validation by the base name of the image."""
    unknown_words: list[str] = field(default_factory=list)
    """Other texts in place of a split."""


def read_meta(path: Path, name: str) -> tuple[dict[str, Any], list[Problem]]:
    """Read meta.json.

    Args:
        path: of the file.
        name: what messages call it.

    Returns:
        Its content, empty where it can't be read; and why it can't.
    """
    document, problems = _read(path, name)
    if not problems and not isinstance(document, dict):
        problems = [Problem(name, "is not a JSON object")]
    return (document if isinstance(document, dict) else {}), problems


def read_splits(path: Path, name: str) -> tuple[Splits, list[Problem]]:
    """Read the splits of images from a FeatureCollection, or a single Feature, with `id` and `split`.

    Args:
        path: of the file.
        name: what messages call it.

    Returns:
        The splits, and why the file can't be read.
    """
    document, problems = _read(path, name)
    splits = Splits()
    if problems:
        return splits, problems
    kind = document.get("type") if isinstance(document, dict) else None
    features = document.get("features") if kind == "FeatureCollection" else [document]
    if kind not in ("Feature", "FeatureCollection") or not isinstance(features, list):
        return splits, [Problem(name, "is neither a GeoJSON FeatureCollection nor a Feature")]
    for feature in features:
        if not isinstance(feature, dict):
            return splits, [Problem(name, "has a feature that is not an object")]
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        identity = feature.get("id", properties.get("id"))
        word = properties.get("split", feature.get("split"))
        if identity is None or word is None:
            continue
        split = SPLIT_WORDS.get(str(word).strip().lower())
        if split is None:
            splits.unknown_words.append(str(word))
        else:
            splits.by_stem[str(identity)] = split
    return splits, []


def public_of(meta: Mapping[str, Any]) -> bool | None:
    """Return whether a release is public: a boolean in its meta.json, or the text of one."""
    value = meta.get("public")
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _read(path: Path, name: str) -> tuple[Any, list[Problem]]:
    try:
        return read_json(path, name), []
    except DocumentError as error:
        return None, [Problem(name, error.problem)]
