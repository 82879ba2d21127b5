"""Writing a manifest, and what is proposed for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from factory_pipeline.imagery.class_colours import class_colour
from factory_pipeline.storage.atomic import write_text

_COLORS = ("#c8b27d", "#2a7ab9", "#3c8d5a", "#c8741a", "#8e5ea2", "#d64550", "#5d6a69", "#e8c547")
"""Proposed for the first label categories; the others differ from them."""


def category_color(number: int) -> str:
    """Return the colour that is proposed for a label category, by its place among them, from 0."""
    return class_colour(number, _COLORS)


def categories_of(values: Sequence[int], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return label categories of the values of masks; one without a name is called by its value.

    Args:
        values: pixel values, in the order of the categories; the colour depends on it.
        names: by pixel value; may lack some.
    """
    return [
        {"id": value, "name": names.get(value, f"Class {value}"), "color": category_color(number)}
        for number, value in enumerate(values)
    ]


def write_manifest(document: Mapping[str, Any], path: Path) -> None:
    """Write a manifest, or as much of one as there is, as YAML.

    An archive beside it is named by its name, so that both may move.

    Args:
        document: the keys that are known so far.
        path: of the YAML file; one that exists is replaced.
    """
    write_text(path, manifest_text(document, path))


def manifest_text(document: Mapping[str, Any], path: Path) -> str:
    """Return the YAML of a manifest that is kept at a path.

    Args:
        document: the keys that are known so far.
        path: where the manifest is kept; an archive in the same folder is named relative to it.
    """
    archive = Path(document.get("dataset_url", ""))
    if archive.name and archive.parent == path.absolute().parent:
        document = {**document, "dataset_url": archive.name}
    return str(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True))
