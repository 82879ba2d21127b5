"""Items of any collection as scenes: when and where they show the ground, and how their pixels are read."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import shapely
import shapely.geometry

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import AssetDescription, RasterCollection
from factory_pipeline.stac.item_form import standard_item
from factory_pipeline.stac.items import (
    UnusableItem,
    UnusableItemError,
    parse_all,
    processing_time,
    trim_item,
)
from factory_pipeline.stac.longitudes import normalize_bbox
from factory_pipeline.stac.pixel_offset import UnknownOffsetError, read_baseline, read_offset
from factory_pipeline.stac.providers import LayerSource, SourceRequest
from factory_pipeline.stac.query import item_times, parse_time
from factory_pipeline.stac.raster_grids import grid_of

ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of items of collections whose time does not matter."""


@dataclass(frozen=True)
class PixelMeaning:
    """What stored values mean: a value times the scale plus the offset, unless it is without data."""

    nodata: float | None
    """The value without data as the item states it; None where it states none: then the file's own counts."""
    scale: float
    offset: float
    default_nodata: float | None = None
    """The value without data of the collection, of files that state none either."""


@dataclass(frozen=True)
class SceneAsset:
    """One raster of a scene."""

    href: str
    """Unsigned."""
    band: int
    """Counted from 1."""
    meaning: PixelMeaning


@dataclass(frozen=True)
class Scene:
    """One item that can be used."""

    id: str
    """Item id."""
    start: datetime
    """First time that it shows, in UTC."""
    end: datetime
    """Last time that it shows, in UTC; the same for a moment."""
    time: datetime
    """The moment that stands for it, in UTC."""
    cloud_cover: float | None
    """Percent; None where the collection has none."""
    outline: shapely.Geometry = field(repr=False)
    """Where it has pixels with data, in degrees; beyond 180 where it crosses the antimeridian."""
    assets: Mapping[str, SceneAsset]
    """By our names."""
    grid: Grid | tuple[float, ...]
    """The grid of its first asset; its bounds in degrees where the item does not tell the grid."""
    properties: Mapping[str, Any] = field(repr=False)
    """Those of the item that are text, numbers or true and false."""
    platform: str = ""
    """The satellite; empty where the item does not tell."""
    baseline: str = ""
    """Processing baseline; empty where the item does not tell."""
    processed: datetime | None = None
    """When this processing was made, in UTC; None where the item does not tell."""


def trim_scene(item: Mapping[str, Any], source: LayerSource) -> dict[str, Any]:
    """Return the part of an item that is kept: as `trim_item`, with all properties that are plain values.

    Args:
        item: of the catalog.
        source: with the assets that are needed.
    """
    trimmed = trim_item(item, source)
    properties = {
        name: value
        for name, value in standard_item(item)["properties"].items()
        if isinstance(value, str | int | float | bool)
    }
    return {**trimmed, "properties": {**properties, **trimmed["properties"]}}


def parse_scenes(
    items: Iterable[Mapping[str, Any]], request: SourceRequest, needs_clouds: bool
) -> tuple[tuple[Scene, ...], tuple[UnusableItem, ...]]:
    """Return trimmed items as scenes, each id once, in the order of the ids; and those that can't be used.

    Args:
        items: from `trim_scene`.
        request: the collection and the assets that are needed.
        needs_clouds: whether an item without cloud cover can't be used.
    """
    return parse_all(items, partial(_parse_scene, request=request, needs_clouds=needs_clouds))


def _parse_scene(item: Mapping[str, Any], request: SourceRequest, needs_clouds: bool) -> Scene:
    collection, properties = request.collection, item["properties"]
    missing = next((name for name in request.assets if name not in item["assets"]), None)
    if missing is not None:
        raise UnusableItemError(f"no asset {missing}")
    start, end = _times(item, collection)
    first = item["assets"][request.assets[0]]
    outline = _outline(item)
    return Scene(
        id=str(item["id"]),
        start=start,
        end=end,
        time=_moment(properties, start),
        cloud_cover=_cloud_cover(properties, collection, needs_clouds),
        outline=outline,
        assets={name: _asset(item, name, collection) for name in request.assets},
        grid=grid_of(item, first) or tuple(outline.bounds),
        properties=properties,
        platform=str(properties.get("platform") or "").lower(),
        baseline=read_baseline(properties, str(item["id"])) or "",
        processed=processing_time(properties, str(item["id"]), str(item["id"])),
    )


def _times(item: Mapping[str, Any], collection: RasterCollection) -> tuple[datetime, datetime]:
    if collection.time == "none":
        return ANY_TIME, ANY_TIME
    properties = item["properties"]
    try:
        if collection.time == "year" and properties.get("start_datetime") and properties.get("end_datetime"):
            return parse_time(properties["start_datetime"]), parse_time(properties["end_datetime"])
        return item_times(dict(item))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableItemError("no datetime") from error


def _moment(properties: Mapping[str, Any], start: datetime) -> datetime:
    return parse_time(properties["datetime"]) if properties.get("datetime") else start


def _cloud_cover(
    properties: Mapping[str, Any], collection: RasterCollection, needs_clouds: bool
) -> float | None:
    value = properties.get(collection.cloud_cover) if collection.cloud_cover else None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if needs_clouds:
        raise UnusableItemError(f"no {collection.cloud_cover}")
    return None


def _outline(item: Mapping[str, Any]) -> shapely.Geometry:
    try:
        return shapely.geometry.shape(item["geometry"])
    except (TypeError, KeyError, ValueError, AttributeError, shapely.errors.ShapelyError):
        try:
            return shapely.box(*normalize_bbox(item["bbox"]))
        except (TypeError, ValueError) as error:
            raise UnusableItemError("neither geometry nor bbox") from error


def _asset(item: Mapping[str, Any], name: str, collection: RasterCollection) -> SceneAsset:
    described, asset = collection.assets[name], item["assets"][name]
    return SceneAsset(asset["href"], described.band, _meaning(item, name, described, collection))


def _meaning(
    item: Mapping[str, Any], name: str, described: AssetDescription, collection: RasterCollection
) -> PixelMeaning:
    """What the item states of its pixels, and where it states nothing, what is known of the collection."""
    stated = _stated(item["assets"][name], item["properties"], described.band)
    nodata = _number(stated.get("nodata"), None)
    if described.is_categorical:
        return PixelMeaning(nodata, 1.0, 0.0, described.nodata)
    if collection.offset_rule == "sentinel-2":
        try:
            counts = read_offset(item, [name], read_baseline(item["properties"], str(item["id"])))
        except UnknownOffsetError as error:
            raise UnusableItemError(str(error)) from error
        offset = described.offset - counts * described.scale
        return PixelMeaning(nodata, described.scale, offset, described.nodata)
    scale = _number(stated.get("scale"), described.scale)
    stated_offset = _number(stated.get("offset"), described.offset)
    if not scale:
        raise UnusableItemError("a scale that can't be read")
    return PixelMeaning(nodata, scale, stated_offset or 0.0, described.nodata)


def _stated(asset: Mapping[str, Any], properties: Mapping[str, Any], band: int) -> dict[str, Any]:
    """No data, scale and offset as an item has them: STAC 1.0 with the raster extension, or STAC 1.1."""
    stated: dict[str, Any] = {}
    for holder in (properties, asset, *_bands(asset, "bands", band), *_bands(asset, "raster:bands", band)):
        for key in ("nodata", "scale", "offset"):
            for spelling in (key, f"raster:{key}"):
                is_own = spelling != key or holder is not properties
                if is_own and holder.get(spelling) is not None:
                    stated[key] = holder[spelling]
    return stated


def _bands(asset: Mapping[str, Any], key: str, band: int) -> list[Mapping[str, Any]]:
    """What an asset says of one band; a single entry is of all bands."""
    bands = [each for each in asset.get(key) or [] if isinstance(each, Mapping)]
    if len(bands) == 1:
        return bands
    return bands[band - 1 : band]


def _number(value: Any, otherwise: float | None) -> float | None:
    try:
        return float(value) if value is not None else otherwise
    except (TypeError, ValueError):
        return otherwise
