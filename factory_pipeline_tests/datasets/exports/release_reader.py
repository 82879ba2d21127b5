"""A reader of releases that was written from their published description alone; it knows nothing of ours."""

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.io import MemoryFile

META_KEYS = [
    "bbox",
    "classes",
    "mlType",
    "name",
    "nclasses",
    "public",
    "source",
    "version",
    "s3_location",
    "source_url",
]


@dataclass(frozen=True)
class Chip:
    """An image with its label."""

    pixels: Any
    """(bands, rows, columns)"""
    crs: Any
    transform: Any
    geometry: Any
    """Polygon of the image's bounds; empty where it has no place on the Earth."""
    label: dict[str, Any]


@dataclass(frozen=True)
class Release:
    """All that a release has."""

    name: str
    meta: dict[str, Any]
    bounds: list[dict[str, Any]]
    chips: dict[str, Chip]


def read_release(path: Path) -> Release:
    """Read `<name>.tar.gz`, which has one folder `<name>` with the described structure."""
    name = path.name.removesuffix(".tar.gz")
    with tarfile.open(path, "r:gz") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    assert all(file.startswith(f"{name}/") for file in files), sorted(files)
    inside = {file.removeprefix(f"{name}/"): content for file, content in files.items()}
    meta = json.loads(inside.pop("meta.json"))
    bounds = json.loads(inside.pop("bounds.geojson"))
    assert list(meta)[: len(META_KEYS)] == META_KEYS
    assert bounds["type"] == "FeatureCollection"
    images = {each[len("images/") : -len(".tif")] for each in inside if each.startswith("images/")}
    labels = {each[len("labels/") : -len(".json")] for each in inside if each.startswith("labels/")}
    assert images == labels
    assert len(images) + len(labels) == len(inside)
    chips = {each: _chip(inside, each, meta) for each in sorted(images)}
    return Release(name, meta, bounds["features"], chips)


def _chip(files: dict[str, bytes], name: str, meta: dict[str, Any]) -> Chip:
    feature = json.loads(files[f"labels/{name}.json"])
    with MemoryFile(files[f"images/{name}.tif"]) as memory, memory.open() as image:
        assert image.driver == "GTiff"
        geometry = feature["geometry"]
        assert geometry == {} or geometry["type"] == "Polygon"
        label = feature["properties"]["label"]
        # Readers fail on a class that a file lacks.
        assert list(label) == meta["classes"]
        assert len(label) == meta["nclasses"]
        for value in label.values():
            if meta["mlType"] == "classification":
                assert value in (0, 1)
            elif meta["mlType"] in ("segmentation", "object_detection"):
                assert all(each["type"] == "Polygon" for each in value)
                rings = [ring for each in value for ring in each["coordinates"]]
                assert all(ring[0] == ring[-1] and len(ring) > 3 for ring in rings)
            else:
                assert isinstance(value, int | float)
        return Chip(image.read(), image.crs, image.transform, geometry, label)
