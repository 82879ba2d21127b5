"""Points that mark where pairs are cut: annotations of a Neuroglancer viewer, or a plain CSV."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from factory_pipeline.errors import DocumentError, SpecError
from factory_pipeline.json_document import parse_json

EXPORTED = "Coordinate 1"
"""Column of a CSV that a viewer has exported: a text such as `(1956, 12666, 7242)`."""
PLAIN = ("x0", "y0", "z0")
"""Columns of a plain CSV."""
FORMS = (
    f"a CSV with the columns {EXPORTED!r} and 'Type', a CSV with the columns x0, y0 and z0, or the JSON state"
    " of a viewer"
)


class Point(NamedTuple):
    """A point in voxels of the viewer; fractions stay."""

    x: float
    y: float
    z: float

    def scaled(self, factors: tuple[float, float, float]) -> "Point":
        """Return the point with each coordinate multiplied."""
        return Point(*(value * factor for value, factor in zip(self, factors, strict=True)))


@dataclass(frozen=True)
class Points:
    """The points of a file, in its order."""

    points: tuple[Point, ...]
    others: Mapping[str, int]
    """Annotations that are not points, by type: they are left out."""


def read_points(path: Path) -> Points:
    """Read the points of a file.

    Args:
        path: a CSV that a viewer has exported, a CSV with x0, y0 and z0, or the JSON state of a viewer.

    Raises:
        SpecError: it is none of these, a value is not a point, or it contains no points.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not text; points are {FORMS}.") from error
    others: Counter[str] = Counter()
    rows = (
        _parse_state(text, path, others) if text.lstrip().startswith("{") else _parse_csv(text, path, others)
    )
    try:
        points = tuple(rows)
    except csv.Error as error:
        raise SpecError(f"{path} is not CSV that can be read: {error}.") from error
    if not points:
        left_out = "".join(f", only {count} of the type {kind!r}" for kind, count in others.items())
        raise SpecError(f"{path} contains no points{left_out}.")
    return Points(points, dict(others))


def _parse_csv(text: str, path: Path, others: Counter[str]) -> Iterator[Point]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = reader.fieldnames or ()
    if EXPORTED not in columns and not set(PLAIN) <= set(columns):
        raise SpecError(f"{path} has the columns {', '.join(columns) or '(none)'}; points are {FORMS}.")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if EXPORTED in columns:
            kind = (row.get("Type") or "Point").strip()
            if kind.lower() != "point":
                others[kind] += 1
                continue
            yield _point((row[EXPORTED] or "").strip().strip("()").split(","), where)
        else:
            yield _point([row[column] for column in PLAIN], where)


def _parse_state(text: str, path: Path, others: Counter[str]) -> Iterator[Point]:
    try:
        state = parse_json(text, str(path))
    except DocumentError as error:
        raise SpecError(str(error)) from error
    layers = state.get("layers")
    if isinstance(layers, Mapping):
        # Viewers before 2018 have an object with the layers' names as keys.
        layers = list(layers.values())
    if not isinstance(layers, list):
        raise SpecError(f"{path} has no layers; points are {FORMS}.")
    for number, layer in enumerate(layers):
        if not isinstance(layer, Mapping) or not isinstance(layer.get("annotations"), list):
            continue
        order = _axes(layer, state)
        for index, annotation in enumerate(layer["annotations"]):
            where = f"{path}, $.layers[{number}].annotations[{index}]"
            kind = annotation.get("type", "point") if isinstance(annotation, Mapping) else None
            if not isinstance(kind, str):
                raise SpecError(f"{where} is not an annotation.")
            if kind.lower() != "point":
                others[kind] += 1
                continue
            values = annotation.get("point")
            yield _point([values[axis] for axis in order] if _is_vector(values, order) else values, where)


def _axes(layer: Mapping[str, Any], state: Mapping[str, Any]) -> list[int]:
    """Return where x, y and z are in the vectors of a layer: viewers name their axes in any order."""
    for dimensions in (_output_dimensions(layer.get("source")), state.get("dimensions")):
        if isinstance(dimensions, Mapping):
            names = list(dimensions)
            if set("xyz") <= set(names):
                return [names.index(axis) for axis in "xyz"]
    return [0, 1, 2]


def _output_dimensions(source: Any) -> Any:
    if isinstance(source, list) and source:
        source = source[0]
    transform = source.get("transform") if isinstance(source, Mapping) else None
    return transform.get("outputDimensions") if isinstance(transform, Mapping) else None


def _is_vector(values: Any, order: list[int]) -> bool:
    return isinstance(values, list) and len(values) > max(order)


def _point(values: Any, where: str) -> Point:
    try:
        point = Point(*map(float, values))
    except (TypeError, ValueError):
        point = None
    if point is None or not all(map(math.isfinite, point)):
        raise SpecError(f"{where} is not a point of three numbers: {values!r}.")
    return point
