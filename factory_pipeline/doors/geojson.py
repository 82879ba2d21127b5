"""Annotations from GeoJSON (RFC 7946): polygons and lines on the Earth, or in the pixels of named images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from factory_pipeline.doors import drawn
from factory_pipeline.doors.documents import confidence, json_object
from factory_pipeline.doors.named import Item, item_batches, items_named
from factory_pipeline.doors.placing import around, degrees_of, laid_on
from factory_pipeline.errors import LakeError
from factory_pipeline.lake.annotations import annotation_frame

POLYGONS, LINES = ("Polygon", "MultiPolygon"), ("LineString", "MultiLineString")
LONGITUDE_LATITUDE = "OGC:CRS84"
ITEM_PROPERTIES = ("item", "image")
CONFIDENCE = "confidence"
PLACE_OF_NAMED = (
    "coordinates on a georeferenced image are longitude and latitude, or those of the CRS that the file names"
)


@dataclass(frozen=True)
class Feature:
    """One drawing with what is said of it."""

    where: str
    """Which one it is, for messages."""
    geometry: Any
    """Polygons or lines in two dimensions."""
    label: str
    confidence: float | None
    item: str | None
    """Name of the image that it belongs to; None for all on which it lies."""
    metadata: Mapping[str, Any]
    attributes: Mapping[str, Any]

    def on(self, item: Item, geometry: Any) -> list[dict[str, Any]]:
        """Rows of ANNOTATION_SCHEMA for what of it lies on an image, given in its pixels."""
        draw = drawn.polygons if self.geometry.geom_type in POLYGONS else drawn.lines
        said = {
            "item": item.id,
            "label": self.label,
            "confidence": self.confidence,
            "metadata": json_object(self.metadata),
            "attributes": json_object(self.attributes),
        }
        return [said | row for row in draw(geometry, (item.width, item.height))]


def read_geojson(document: Any, name: str, items: Path, label_property: str = "label") -> pl.DataFrame:
    """The annotations of a GeoJSON file, laid onto the items of a collection.

    A feature lies on every georeferenced item that it intersects; one with the property `item` or `image`
    only on the item of that name, in pixels where that is not georeferenced. What remains of its properties
    besides label and `confidence` are the attributes.

    Args:
        document: a FeatureCollection or a Feature, in longitude and latitude or in the CRS that it names.
        name: of the file, for messages.
        items: the items of the collection.
        label_property: which property is the label.

    Returns:
        A frame in ANNOTATION_SCHEMA.

    Raises:
        LakeError: the document is broken, a feature has no label, or nothing lies on an item.
    """
    crs = _crs_of(document, name)
    features = _features(document, name, label_property)
    rows = _on_named(features, crs, items, name) + _on_ground(features, crs, items)
    if not rows:
        raise LakeError(
            f"None of the {len(features)} features of {name} lies on an item of the collection; those"
            " of images without a place on the Earth need the property 'item'."
        )
    return annotation_frame(rows).sort("item", maintain_order=True)


def _on_named(features: list[Feature], crs: str, items: Path, name: str) -> list[dict[str, Any]]:
    named = [feature for feature in features if feature.item is not None]
    found = items_named(items, [str(feature.item) for feature in named], name)
    rows = []
    for feature in named:
        item = found.get(str(feature.item))
        if item is None:
            raise LakeError(f"{feature.where} names the image {feature.item!r}, which is no item.")
        geometry = laid_on(feature.geometry, crs, item) if item.is_placed else feature.geometry
        there = feature.on(item, geometry)
        if not there:
            raise LakeError(f"{feature.where} does not lie on the image that it names; {PLACE_OF_NAMED}.")
        rows += there
    return rows


def _on_ground(features: list[Feature], crs: str, items: Path) -> list[dict[str, Any]]:
    free = [feature for feature in features if feature.item is None]
    boxes = [
        (number, shapely.box(*bounds))
        for number, feature in enumerate(free)
        for bounds in degrees_of(feature.geometry, crs)
    ]
    rows: list[dict[str, Any]] = []
    if not boxes:
        return rows
    tree = shapely.STRtree([box for _, box in boxes])
    owner = [number for number, _ in boxes]
    for some, geometries in item_batches(items):
        near = tree.query(around(shapely.from_wkb(geometries.to_numpy())))
        for place, number in sorted({(int(item), owner[box]) for item, box in near.T}):
            if some[place].is_placed:
                laid = laid_on(free[number].geometry, crs, some[place])
                rows += free[number].on(some[place], laid)
    return rows


def _crs_of(document: Any, name: str) -> str:
    """The CRS that the file names in the way of the GeoJSON of 2008, else longitude and latitude."""
    member = document.get("crs") if isinstance(document, Mapping) else None
    if member is None:
        return LONGITUDE_LATITUDE
    try:
        name = member["properties"]["name"]
        CRS.from_user_input(name)
    except (TypeError, KeyError, CRSError) as error:
        raise LakeError(
            f"The file {name} has the CRS {member!r}, which is not known; allowed are names such as"
            " 'urn:ogc:def:crs:EPSG::32633'."
        ) from error
    return str(name)


def _features(document: Any, name: str, label_property: str) -> list[Feature]:
    kind = document.get("type") if isinstance(document, Mapping) else None
    features: Any = [document] if kind == "Feature" else None
    if kind == "FeatureCollection":
        features = document.get("features")
    if not isinstance(features, list):
        raise LakeError(f"The file {name} is no GeoJSON: it must be a FeatureCollection or a Feature.")
    if not features:
        raise LakeError(f"The file {name} has no features.")
    return [
        _feature(one, f"The feature {number} of {name}", label_property)
        for number, one in enumerate(features, 1)
    ]


def _feature(given: Any, where: str, label_property: str) -> Feature:
    if not isinstance(given, Mapping) or given.get("type") != "Feature":
        raise LakeError(f"{where} is no GeoJSON Feature.")
    properties = dict(given.get("properties") or {})
    label = properties.pop(label_property, None)
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        known = ", ".join(map(repr, properties)) or "none"
        raise LakeError(
            f"{where} has no label in the property {label_property!r}; its other properties are {known}:"
            " name the one that is the label by label_property."
        )
    item = next((properties.pop(name) for name in ITEM_PROPERTIES if properties.get(name) is not None), None)
    return Feature(
        where,
        _geometry(given.get("geometry"), where),
        str(label).strip(),
        confidence(properties.pop(CONFIDENCE, None), where),
        None if item is None else str(item),
        {"id": given["id"]} if "id" in given else {},
        properties,
    )


def _geometry(given: Any, where: str) -> Any:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind not in POLYGONS + LINES:
        raise LakeError(
            f"{where} has {'no geometry' if given is None else f'a geometry of the type {kind!r}'};"
            f" allowed are {', '.join(POLYGONS + LINES)}."
        )
    try:
        geometry = shapely.force_2d(shapely.geometry.shape(given))
    except (
        shapely.errors.ShapelyError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ) as error:
        raise LakeError(f"{where} has coordinates that make no {kind}: {error}.") from error
    if geometry.is_empty or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise LakeError(f"{where} has coordinates that make no {kind}.")
    return geometry
