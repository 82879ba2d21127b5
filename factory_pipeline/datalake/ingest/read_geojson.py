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
from factory_pipeline.datalake.ingest.match_items import Item, find_named_items, item_batches
from factory_pipeline.datalake.ingest.report import BadAnnotationError, LeftOut, ReadAnnotations
from factory_pipeline.datalake.ingest.reproject import degrees_of, geometry_to_pixels, padded_bounds
from factory_pipeline.datalake.tables.annotations import annotation_frame
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datalake.tables.schemas import GROUP
from factory_pipeline.errors import LakeError
from factory_pipeline.plain_text import count_noun

POLYGONS, LINES = ("Polygon", "MultiPolygon"), ("LineString", "MultiLineString")
LONGITUDE_LATITUDE = "OGC:CRS84"
ITEM_PROPERTIES = ("item", "image")
CONFIDENCE = "confidence"
MOST_LONGITUDE, MOST_LATITUDE = 360.0, 90.0
"""Bounds in degrees; longitudes may continue beyond 180."""
PLACE_OF_NAMED = (
    "coordinates on a georeferenced image are longitude and latitude, or those of the CRS in the file"
)


@dataclass(frozen=True)
class Feature:
    """One shape with its label and properties."""

    number: int
    """Its position in the file, from 1."""

    where: str
    """Its name in messages."""
    geometry: Any
    """Polygons or lines in two dimensions."""
    label: str
    confidence: float | None
    item: str | None
    """Name of the image that it belongs to; None for all images that it intersects."""
    metadata: Mapping[str, Any]
    attributes: Mapping[str, Any]

    def on(self, item: Item, geometry: Any) -> list[dict[str, Any]]:
        """Return rows of ANNOTATION_SCHEMA for its part on an image, whose geometry is in pixels.

        Args:
            item: of the image.
            geometry: the feature in pixels of that image; it may reach beyond it.
        """
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
    """Read the annotations of a GeoJSON file and place them on the items of a collection.

    A feature belongs to every georeferenced item that it intersects; one with the property `item` or `image`
    only to the item of that name, in pixels if that is not georeferenced. Its other properties besides label
    and `confidence` are the attributes. Parts of one feature on an item have the same `group` in their
    metadata. A feature that is not valid is skipped and counted.

    Args:
        document: a FeatureCollection or a Feature, in longitude and latitude or in the CRS that it declares.
        name: of the file, for messages.
        items: the items of the collection.
        label_property: the property that is the label; numbers are labels too.
        name_ending: text after the names of the items in `item` or `image`.
        match: finds the names of the items in `item` or `image`.

    Raises:
        LakeError: the document or all features are not valid, or no feature is on an item.
    """
    crs, left_out = _crs_of(document, name), LeftOut()
    features = _features(document, name, label_property, left_out)
    free = [feature for feature in features if feature.item is None]
    if crs == LONGITUDE_LATITUDE:
        free = _select_degrees(free, name, items, left_out)
    rows, found, unmatched = _match_named(
        [feature for feature in features if feature.item is not None],
        crs,
        items,
        name,
        left_out,
        name_ending,
        match,
    )
    on_ground = _match_ground(free, crs, items, left_out)
    if not rows and not on_ground:
        given = len(features) + sum(left_out.counts.values()) if not features else len(features)
        raise LakeError(
            f"None of {count_noun(given, 'feature')} of {name} is on an item of the collection; those"
            " of images without georeference need the property 'item'"
            f"{_hint_exchanged(free, crs, items)}{left_out.clause()}."
        )
    frame = annotation_frame(rows + on_ground).sort("item", maintain_order=True)
    matched = found | set(frame["item"].to_list())
    return ReadAnnotations(frame, len(matched), unmatched, left_out)


def _match_named(
    named: list[Feature],
    crs: str,
    items: Path,
    name: str,
    left_out: LeftOut,
    name_ending: str,
    match: re.Pattern[str] | None,
) -> tuple[list[dict[str, Any]], set[str], list[str]]:
    """Return rows of features that name an image, the ids of their items, and names without an item."""
    names = [str(feature.item) for feature in named]
    found = find_named_items(items, names, name, name_ending, match)
    rows = []
    for feature in named:
        item = found.get(str(feature.item))
        if item is None:
            left_out.add(feature.where, f"names the image {feature.item!r}, which is not an item")
            continue
        geometry = (
            geometry_to_pixels(feature.geometry, crs, item) if item.is_georeferenced else feature.geometry
        )
        there = feature.on(item, geometry)
        if not there:
            left_out.add(feature.where, f"is not on the image that it names; {PLACE_OF_NAMED}")
        rows += there
    unmatched = [each for each in dict.fromkeys(names) if each not in found]
    return rows, {item.id for item in found.values()}, unmatched


def _select_degrees(free: list[Feature], name: str, items: Path, left_out: LeftOut) -> list[Feature]:
    """Return the features whose coordinates can be longitude and latitude.

    Raises:
        LakeError: there are none, as in a file of a projected CRS that does not declare it.
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
            f"The coordinates in {name}, such as ({at[0]:g}, {at[1]:g}), are not longitude and latitude,"
            " which"
            f" GeoJSON without a 'crs' member has; they are probably metres of a projected CRS{such}: declare"
            " it in a 'crs' member, or convert the file to longitude and latitude (EPSG:4326)."
        )
    for feature, is_one in zip(free, fits, strict=True):
        if not is_one:
            left_out.add(feature.where, "has coordinates that are not longitude and latitude")
    return [feature for feature, is_one in zip(free, fits, strict=True) if is_one]


def _hint_exchanged(free: list[Feature], crs: str, items: Path) -> str:
    """Return a hint if features would be on items with their coordinates exchanged; else an empty text."""
    turned = [
        replace(feature, geometry=shapely.transform(feature.geometry, lambda at: at[:, ::-1]))
        for feature in free
    ]
    if crs == LONGITUDE_LATITUDE:
        turned = [each for each in turned if np.abs(shapely.get_coordinates(each.geometry)[:, 1]).max() <= 90]
    if not turned or not _match_ground(turned, crs, items, LeftOut()):
        return ""
    return (
        "; with the two coordinates of each point exchanged they would, and longitude or easting comes first"
    )


def _match_ground(free: list[Feature], crs: str, items: Path, left_out: LeftOut) -> list[dict[str, Any]]:
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
            left_out.add(feature.where, "is not on any item")
    return rows


def _crs_of(document: Any, name: str) -> str:
    """Return the CRS that the file declares as in GeoJSON of 2008, else that of longitude and latitude."""
    member = document.get("crs") if isinstance(document, Mapping) else None
    if member is None:
        return LONGITUDE_LATITUDE
    try:
        name = member["properties"]["name"]
        CRS.from_user_input(name)
    except (TypeError, KeyError, CRSError) as error:
        raise LakeError(
            f"The file {name} has the CRS {member!r}, which is not supported; allowed are names such as"
            " 'urn:ogc:def:crs:EPSG::32633'."
        ) from error
    return str(name)


def _features(document: Any, name: str, label_property: str, left_out: LeftOut) -> list[Feature]:
    kind = document.get("type") if isinstance(document, Mapping) else None
    features: Any = [document] if kind == "Feature" else None
    if kind == "FeatureCollection":
        features = document.get("features")
    if not isinstance(features, list):
        raise LakeError(f"The file {name} is not GeoJSON: it must be a FeatureCollection or a Feature.")
    if not features:
        raise LakeError(f"The file {name} has no features.")
    found = []
    for number, one in enumerate(features, 1):
        try:
            found.append(_feature(one, number, f"The feature {number} of {name}", label_property))
        except BadAnnotationError as error:
            left_out.add_error(error)
    if not found:
        raise LakeError(f"No feature of {name} is valid{left_out.clause()}.")
    return found


def _feature(given: Any, number: int, where: str, label_property: str) -> Feature:
    if not isinstance(given, Mapping) or given.get("type") != "Feature":
        raise BadAnnotationError(where, "is not a GeoJSON Feature")
    properties = given.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise BadAnnotationError(where, "has properties that are not an object")
    properties = dict(properties)
    label = _label(properties.pop(label_property, None))
    if not label:
        known = ", ".join(map(repr, properties)) or "none"
        raise BadAnnotationError(
            where,
            f"has no label in the property {label_property!r}; its other properties are {known}:"
            " set label_property to the one that is the label",
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
    """Return a label as text: the number 1.0 is "1", as floating point tables write it.

    Empty if it is none.
    """
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
        raise BadAnnotationError(where, f"has coordinates that are not a {kind}: {error}") from error
    if geometry.is_empty or not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise BadAnnotationError(where, f"has coordinates that are not a {kind}")
    return geometry
