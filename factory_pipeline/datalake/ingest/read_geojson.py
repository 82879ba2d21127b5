"""Annotations from GeoJSON (RFC 7946): polygons and lines on the Earth, or in the pixels of named images."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from factory_pipeline.datalake.ingest import clip_shapes
from factory_pipeline.datalake.ingest.json_input import confidence, json_object
from factory_pipeline.datalake.ingest.match_items import Item, item_batches, items_named
from factory_pipeline.datalake.ingest.report import BadAnnotationError, LeftOut, ReadAnnotations
from factory_pipeline.datalake.ingest.reproject import degrees_of, geometry_to_pixels, padded_bounds
from factory_pipeline.datalake.tables.annotations import annotation_frame
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datalake.tables.schemas import GROUP
from factory_pipeline.errors import LakeError

POLYGONS, LINES = ("Polygon", "MultiPolygon"), ("LineString", "MultiLineString")
LONGITUDE_LATITUDE = "OGC:CRS84"
ITEM_PROPERTIES = ("item", "image")
CONFIDENCE = "confidence"
MOST_LONGITUDE, MOST_LATITUDE = 360.0, 90.0
"""Degrees; longitudes may go on beyond 180."""
PLACE_OF_NAMED = (
    "coordinates on a georeferenced image are longitude and latitude, or those of the CRS that the file names"
)


@dataclass(frozen=True)
class Feature:
    """One drawing with what is said of it."""

    number: int
    """Its position in the file, from 1."""

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
        draw = clip_shapes.polygons if self.geometry.geom_type in POLYGONS else clip_shapes.lines
        parts = draw(geometry, (item.width, item.height))
        metadata = {**self.metadata, GROUP: self.number} if len(parts) > 1 else self.metadata
        said = {
            "item": item.id,
            "label": self.label,
            "confidence": self.confidence,
            "metadata": json_object(metadata),
            "attributes": json_object(self.attributes),
        }
        return [said | row for row in parts]


def read_geojson(
    document: Any,
    name: str,
    items: Path,
    label_property: str = "label",
    name_ending: str = "",
    match: re.Pattern[str] | None = None,
) -> ReadAnnotations:
    """The annotations of a GeoJSON file, laid onto the items of a collection.

    A feature lies on every georeferenced item that it intersects; one with the property `item` or `image`
    only on the item of that name, in pixels where that is not georeferenced. What remains of its properties
    besides label and `confidence` are the attributes. Parts of one feature on an item have the same `group`
    in their metadata. A feature that can't be taken is left out and counted.

    Args:
        document: a FeatureCollection or a Feature, in longitude and latitude or in the CRS that it names.
        name: of the file, for messages.
        items: the items of the collection.
        label_property: which property is the label; numbers are labels too.
        name_ending: what follows the names of the items in `item` or `image`.
        match: finds the names of the items in `item` or `image`.

    Raises:
        LakeError: the document is broken, no feature can be taken, or nothing lies on an item.
    """
    crs, left_out = _crs_of(document, name), LeftOut()
    features = _features(document, name, label_property, left_out)
    free = [feature for feature in features if feature.item is None]
    if crs == LONGITUDE_LATITUDE:
        free = _in_degrees(free, name, items, left_out)
    rows, found, unmatched = _on_named(
        [feature for feature in features if feature.item is not None],
        crs,
        items,
        name,
        left_out,
        name_ending,
        match,
    )
    on_ground = _on_ground(free, crs, items, left_out)
    if not rows and not on_ground:
        given = len(features) + sum(left_out.counts.values()) if not features else len(features)
        raise LakeError(
            f"None of the {given} features of {name} lies on an item of the collection; those"
            " of images without a place on the Earth need the property 'item'"
            f"{_exchanged(free, crs, items)}{left_out.clause()}."
        )
    frame = annotation_frame(rows + on_ground).sort("item", maintain_order=True)
    matched = found | set(frame["item"].to_list())
    return ReadAnnotations(frame, len(matched), unmatched, left_out)


def _on_named(
    named: list[Feature],
    crs: str,
    items: Path,
    name: str,
    left_out: LeftOut,
    name_ending: str,
    match: re.Pattern[str] | None,
) -> tuple[list[dict[str, Any]], set[str], list[str]]:
    """Rows of features that name an image, the ids of their items, and names that are none."""
    names = [str(feature.item) for feature in named]
    found = items_named(items, names, name, name_ending, match)
    rows = []
    for feature in named:
        item = found.get(str(feature.item))
        if item is None:
            left_out.add(feature.where, f"names the image {feature.item!r}, which is no item")
            continue
        geometry = (
            geometry_to_pixels(feature.geometry, crs, item) if item.is_georeferenced else feature.geometry
        )
        there = feature.on(item, geometry)
        if not there:
            left_out.add(feature.where, f"does not lie on the image that it names; {PLACE_OF_NAMED}")
        rows += there
    unmatched = [each for each in dict.fromkeys(names) if each not in found]
    return rows, {item.id for item in found.values()}, unmatched


def _in_degrees(free: list[Feature], name: str, items: Path, left_out: LeftOut) -> list[Feature]:
    """The features whose coordinates can be longitude and latitude.

    Raises:
        LakeError: those of none can, as in a file of a projected CRS that does not name it.
    """
    bounds = np.array([shapely.bounds(feature.geometry) for feature in free]).reshape(-1, 4)
    x, y = np.abs(bounds[:, ::2]).max(axis=1), np.abs(bounds[:, 1::2]).max(axis=1)
    fits = (x <= MOST_LONGITUDE) & (y <= MOST_LATITUDE)
    if free and not fits.any():
        at = shapely.get_coordinates(free[0].geometry)[0].tolist()
        codes = (
            scan_items(items).select(pl.col("proj:code").drop_nulls().mode().sort().first()).collect().item()
        )
        such = f", such as the {codes} of the items" if codes else ""
        raise LakeError(
            f"The coordinates in {name}, such as ({at[0]:g}, {at[1]:g}), are no longitude and latitude, which"
            f" GeoJSON without a 'crs' member has; they are probably metres of a projected CRS{such}: name"
            " it in a 'crs' member, or convert the file to longitude and latitude (EPSG:4326)."
        )
    for feature, is_one in zip(free, fits, strict=True):
        if not is_one:
            left_out.add(feature.where, "has coordinates that are no longitude and latitude")
    return [feature for feature, is_one in zip(free, fits, strict=True) if is_one]


def _exchanged(free: list[Feature], crs: str, items: Path) -> str:
    """Say if features would lie on items with their coordinates exchanged; empty if they would not."""
    turned = [
        replace(feature, geometry=shapely.transform(feature.geometry, lambda at: at[:, ::-1]))
        for feature in free
    ]
    if crs == LONGITUDE_LATITUDE:
        turned = [each for each in turned if np.abs(shapely.get_coordinates(each.geometry)[:, 1]).max() <= 90]
    if not turned or not _on_ground(turned, crs, items, LeftOut()):
        return ""
    return (
        "; with the two coordinates of each point exchanged they would, and longitude or easting comes first"
    )


def _on_ground(free: list[Feature], crs: str, items: Path, left_out: LeftOut) -> list[dict[str, Any]]:
    boxes = [
        (number, shapely.box(*bounds))
        for number, feature in enumerate(free)
        for bounds in degrees_of(feature.geometry, crs)
    ]
    rows: list[dict[str, Any]] = []
    lying: set[int] = set()
    if not boxes:
        return rows
    tree = shapely.STRtree([box for _, box in boxes])
    owner = [number for number, _ in boxes]
    for some, geometries in item_batches(items):
        near = tree.query(padded_bounds(shapely.from_wkb(geometries.to_numpy())))
        for place, number in sorted({(int(item), owner[box]) for item, box in near.T}):
            if some[place].is_georeferenced:
                laid = geometry_to_pixels(free[number].geometry, crs, some[place])
                there = free[number].on(some[place], laid)
                lying |= {number} if there else set()
                rows += there
    for number, feature in enumerate(free):
        if number not in lying:
            left_out.add(feature.where, "lies on no item")
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


def _features(document: Any, name: str, label_property: str, left_out: LeftOut) -> list[Feature]:
    kind = document.get("type") if isinstance(document, Mapping) else None
    features: Any = [document] if kind == "Feature" else None
    if kind == "FeatureCollection":
        features = document.get("features")
    if not isinstance(features, list):
        raise LakeError(f"The file {name} is no GeoJSON: it must be a FeatureCollection or a Feature.")
    if not features:
        raise LakeError(f"The file {name} has no features.")
    found = []
    for number, one in enumerate(features, 1):
        try:
            found.append(_feature(one, number, f"The feature {number} of {name}", label_property))
        except BadAnnotationError as error:
            left_out.add_error(error)
    if not found:
        raise LakeError(f"No feature of {name} can be taken{left_out.clause()}.")
    return found


def _feature(given: Any, number: int, where: str, label_property: str) -> Feature:
    if not isinstance(given, Mapping) or given.get("type") != "Feature":
        raise BadAnnotationError(where, "is no GeoJSON Feature")
    properties = given.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise BadAnnotationError(where, "has properties that are no object")
    properties = dict(properties)
    label = _label(properties.pop(label_property, None))
    if not label:
        known = ", ".join(map(repr, properties)) or "none"
        raise BadAnnotationError(
            where,
            f"has no label in the property {label_property!r}; its other properties are {known}:"
            " name the one that is the label by label_property",
        )
    item = next((properties.pop(name) for name in ITEM_PROPERTIES if properties.get(name) is not None), None)
    return Feature(
        number,
        where,
        _geometry(given.get("geometry"), where),
        label,
        confidence(properties.pop(CONFIDENCE, None), where),
        None if item is None else str(item),
        {"id": given["id"]} if "id" in given else {},
        properties,
    )


def _label(value: Any) -> str:
    """A label as text: the number 1.0 is "1", as tables of floating point write it; empty if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).strip()


def _geometry(given: Any, where: str) -> Any:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind not in POLYGONS + LINES:
        raise BadAnnotationError(
            where,
            f"has {'no geometry' if given is None else f'a geometry of the type {kind!r}'};"
            f" allowed are {', '.join(POLYGONS + LINES)}",
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
        raise BadAnnotationError(where, f"has coordinates that make no {kind}: {error}") from error
    if geometry.is_empty or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise BadAnnotationError(where, f"has coordinates that make no {kind}")
    return geometry
