"""The label file of an image: a GeoJSON Feature with the outline of the image and a value per class."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from factory_pipeline.datalake.ingest.releases.form import (
    ATTRIBUTES,
    CONFIDENCE,
    DATETIME,
    METADATA,
    ORDER,
    ORIGINAL_NAME,
)
from factory_pipeline.datalake.ingest.releases.problems import LabelFileError
from factory_pipeline.errors import DocumentError
from factory_pipeline.json_document import parse_json

Ring = tuple[tuple[float, float], ...]
"""Points of a closed ring, the last one not repeated."""
MOST_BYTES = 256 << 20
"""Of a label file."""
LARGEST = 2**53
"""Of a whole number."""
DEEPEST = 16
"""Collections within collections that are read."""


@dataclass(frozen=True)
class DrawnObject:
    """An object of a class: one polygon or several."""

    parts: tuple[tuple[Ring, ...], ...]
    """Rings of each polygon, the outer one first; in the coordinates of the file."""
    confidence: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    order: int = 0
    """Among the objects of all classes; objects of one order stay as they are."""


@dataclass(frozen=True)
class LabelFile:
    """What a label file says."""

    outline: Ring | None
    """Of the image, in degrees; None where it has no place on the Earth."""
    objects: Mapping[str, tuple[DrawnObject, ...]]
    """Of the classes whose value is a list or a geometry."""
    numbers: Mapping[str, float]
    """Of the classes whose value is a number; null is none."""
    classes: tuple[str, ...]
    """All that the file names, in its order."""
    original_name: str | None = None
    acquired: datetime | None = None


def read_label_file(content: bytes) -> LabelFile:
    """Read a label file.

    Raises:
        LabelFileError: it is not JSON, not a Feature, or its values are none of labels.
    """
    try:
        document = parse_json(content, "The label file")
    except DocumentError as error:
        raise LabelFileError(error.problem) from None
    if not isinstance(document, dict):
        raise LabelFileError("is not a GeoJSON Feature")
    properties = document.get("properties", document.get("Properties"))
    if not isinstance(properties, dict):
        raise LabelFileError("has no properties; a label is expected there")
    if "label" not in properties:
        raise LabelFileError("has no label in its properties")
    objects, numbers, classes = _label(properties["label"])
    name = properties.get(ORIGINAL_NAME)
    return LabelFile(
        _outline(document.get("geometry")),
        objects,
        numbers,
        classes,
        name if isinstance(name, str) and name else None,
        _time(properties.get(DATETIME)),
    )


def _outline(geometry: Any) -> Ring | None:
    if geometry is None or geometry == {}:
        return None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if kind == "MultiPolygon" and isinstance(coordinates, list) and len(coordinates) == 1:
        kind, coordinates = "Polygon", coordinates[0]
    if kind != "Polygon":
        raise LabelFileError(
            f"has a geometry of the type {kind!r}; the outline of an image is a Polygon, a MultiPolygon of"
            " one part, or {}"
        )
    ring = _polygon(coordinates, "geometry")[0]
    if any(abs(x) > 360 or abs(y) > 90 for x, y in ring):
        raise LabelFileError("has a geometry that is not in degrees")
    return ring


def _label(
    label: Any,
) -> tuple[dict[str, tuple[DrawnObject, ...]], dict[str, float], tuple[str, ...]]:
    if isinstance(label, str):
        label = {label: 1}
    elif isinstance(label, list) and all(isinstance(name, str) for name in label):
        label = dict.fromkeys(label, 1)
    elif label is None:
        label = {}
    if not isinstance(label, dict):
        raise LabelFileError("has a label that is neither an object with a value per class nor a name")
    objects: dict[str, tuple[DrawnObject, ...]] = {}
    numbers: dict[str, float] = {}
    for name, value in label.items():
        if not name.strip():
            raise LabelFileError("has a class without a name in its label")
        if isinstance(value, list | dict):
            objects[name] = _objects(value, name)
        elif _is_number(value) or isinstance(value, bool):
            numbers[name] = value
        elif value is not None:
            raise LabelFileError(
                f"has {value!r} as the label of {name!r}; allowed are a number, or a list of geometries"
            )
    return objects, numbers, tuple(label)


def _objects(value: Any, name: str) -> tuple[DrawnObject, ...]:
    if isinstance(value, dict) or _is_box(value):
        value = [value]
    return tuple(found for each in value if (found := _object(each, name)) is not None)


def _object(item: Any, name: str) -> DrawnObject | None:
    """An object; None for a collection of nothing."""
    parts = tuple(_parts(item, f"a label of {name!r}", DEEPEST))
    if not parts:
        return None
    members = item if isinstance(item, dict) else {}
    confidence: Any = members.get(CONFIDENCE)
    said = {key: members.get(key) for key in (METADATA, ATTRIBUTES)}
    return DrawnObject(
        parts,
        float(confidence) if _is_number(confidence) and 0 <= confidence <= 1 else None,
        **{key: value if isinstance(value, dict) else {} for key, value in said.items()},
        order=order if isinstance(order := members.get(ORDER), int) else 0,
    )


def _parts(item: Any, where: str, depth: int) -> list[tuple[Ring, ...]]:
    """The polygons of a label: Polygon, MultiPolygon, GeometryCollection, Feature or box."""
    if _is_box(item):
        west, south, east, north = map(float, item)
        if east <= west or north <= south:
            raise LabelFileError(f"has {where} that is a box without area, {item}")
        return [(((west, south), (east, south), (east, north), (west, north)),)]
    kind = item.get("type") if isinstance(item, dict) else None
    if not depth:
        raise LabelFileError(f"has {where} with collections in collections, more than {DEEPEST} deep")
    if kind == "Feature":
        return _parts(item.get("geometry"), where, depth - 1)
    if kind == "GeometryCollection" and isinstance(item.get("geometries"), list):
        return [part for each in item["geometries"] for part in _parts(each, where, depth - 1)]
    if kind == "MultiPolygon" and isinstance(item.get("coordinates"), list):
        return [_polygon(each, where) for each in item["coordinates"]]
    if kind == "Polygon":
        return [_polygon(item.get("coordinates"), where)]
    given = repr(kind) if isinstance(item, dict) else repr(item)[:60]
    raise LabelFileError(
        f"has {where} of the type {given}; allowed are Polygon, MultiPolygon, GeometryCollection, Feature and"
        " a box [minx, miny, maxx, maxy]"
    )


def _is_box(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 4 and all(map(_is_number, item))


def _is_number(value: Any) -> bool:
    """Whether this is a finite number that a float can hold exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST if isinstance(value, int) else math.isfinite(value)


def _polygon(coordinates: Any, where: str) -> tuple[Ring, ...]:
    if not isinstance(coordinates, list) or not coordinates:
        raise LabelFileError(f"has {where} without coordinates")
    return tuple(_ring(ring, where) for ring in coordinates)


def _ring(points: Any, where: str) -> Ring:
    try:
        ring = tuple((float(point[0]), float(point[1])) for point in points)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        raise LabelFileError(f"has {where} whose coordinates are not pairs of numbers") from None
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in ring):
        raise LabelFileError(f"has {where} with a coordinate that is not finite")
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring = ring[:-1]
    if len(set(ring)) < 3:
        raise LabelFileError(f"has {where} with a ring of fewer than three points")
    return ring


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
