"""From the JSON of STAC items to products and tiles."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

import shapely
import shapely.geometry

from factory_pipeline.cog.grid import Grid
from factory_pipeline.redaction import remove_signature
from factory_pipeline.stac.assets import find_assets, public_address
from factory_pipeline.stac.item_form import NOT_STAC, standard_item
from factory_pipeline.stac.longitudes import normalize_bbox, normalize_outline
from factory_pipeline.stac.pixel_offset import (
    OFFSET_FIELDS,
    REMOVED_FIELDS,
    UnknownOffsetError,
    read_baseline,
    read_offset,
)
from factory_pipeline.stac.providers import LayerSource
from factory_pipeline.stac.query import Box, item_times, parse_time
from factory_pipeline.stac.raster_grids import GRID_FIELDS, bounds_of, ten_metre_grid

_PROPERTIES = (
    "datetime",
    "start_datetime",
    "end_datetime",
    "eo:cloud_cover",
    "platform",
    "processing:datetime",
    "processing:version",
    "s2:generation_time",
    "s2:processing_baseline",
    "s2:product_uri",
    "sentinel:processing_baseline",
    "sentinel:product_id",
    "raster:offset",
    "raster:scale",
    *REMOVED_FIELDS,
    *GRID_FIELDS,
)
_ASSET_FIELDS = (*GRID_FIELDS, *OFFSET_FIELDS, "nodata")
UNKNOWN_BASELINE = "unknown"
"""The baseline of a product that states the offset of its pixels and nothing else."""


class UnusableItemError(ValueError):
    """An item without something that is needed; the text says what, in a form to count by."""


@dataclass(frozen=True)
class Product:
    """A Sentinel-2 L2A product."""

    id: str
    """Item id."""
    name: str
    """Product name without `.SAFE`."""
    time: datetime
    """When it was taken, in UTC."""
    cloud_cover: float
    """Percent."""
    baseline: str
    """Processing baseline, such as `05.11`."""
    grid: Grid
    """The grid of the 10 m bands."""
    hrefs: Mapping[str, str]
    """Band (also SCL) -> unsigned href."""
    offset: int
    """Counts that the pixels carry on top of reflectance; 0 where the offset was removed, or never added."""
    outline: shapely.Geometry = field(repr=False)
    """Where the product has pixels with data, in degrees; beyond 180 where it crosses the antimeridian."""
    platform: str = ""
    """The satellite, such as `2A`; empty where the item does not tell."""
    processed: datetime | None = None
    """When this processing was made, in UTC; None if the item does not tell."""


@dataclass(frozen=True)
class RasterTile:
    """A tile of CopDEM or WorldCover."""

    id: str
    """Item id."""
    name: str
    """Name of the tile's file, without its ending."""
    bounds: Box
    """West, south, east, north of the raster, in degrees."""
    href: str
    """Unsigned."""
    year: int
    """The year of the item's time; for WorldCover the year that the map shows."""


@dataclass(frozen=True)
class UnusableItem:
    """An item that a search gave and that can't be used."""

    id: str
    """Item id."""
    reason: str
    """What it lacks, in a form to count by."""
    time: datetime | None
    """First time, in UTC; None if it has none."""
    cloud_cover: float | None
    """Percent; None if it has none."""
    outline: shapely.Geometry | None = field(repr=False)
    """In degrees, normalised; None if it has none."""


@dataclass(frozen=True)
class Found:
    """What a search found that can be used, and what can't."""

    products: tuple[Product, ...]
    """In the order of their ids."""
    unusable_items: tuple[UnusableItem, ...] = ()
    """In the order of their ids."""

    @property
    def unusable(self) -> Mapping[str, int]:
        """Reason -> number of items."""
        return count_reasons(self.unusable_items)


def count_reasons(items: Iterable[UnusableItem]) -> Mapping[str, int]:
    """Return the number of items by reason, in the order of the reasons."""
    return dict(sorted(Counter(item.reason for item in items).items()))


def trim_item(item: Mapping[str, Any], source: LayerSource) -> dict[str, Any]:
    """Return the part of an item that is kept: needed fields, assets by our names, unsigned hrefs.

    Geometry and bbox are normalised (see `longitudes`): all that follows knows one way of writing them.

    Args:
        item: of the catalog.
        source: with the assets that are needed.
    """
    item = standard_item(item)
    properties = item["properties"]
    return {
        "id": item["id"],
        "bbox": _normalized_bbox(item.get("bbox")),
        "geometry": _normalized_geometry(item.get("geometry")),
        "properties": {key: properties[key] for key in _PROPERTIES if key in properties},
        "assets": {
            name: {
                "href": remove_signature(public_address(asset["href"], source)),
                **{field: asset[field] for field in _ASSET_FIELDS if field in asset},
            }
            for name, asset in find_assets(item, source).items()
        },
    }


def _normalized_bbox(bbox: Any) -> list[float] | None:
    try:
        return list(normalize_bbox(bbox))
    except NOT_STAC:
        return None


def _normalized_geometry(geometry: Any) -> Any:
    try:
        outline = shapely.geometry.shape(geometry)
        normalized = normalize_outline(outline)
    except (*NOT_STAC, shapely.errors.ShapelyError):
        return None
    return geometry if normalized is outline else shapely.geometry.mapping(normalized)


def parse_products(items: Iterable[Mapping[str, Any]], bands: Sequence[str]) -> Found:
    """Trimmed items as products, each id once, in the order of the ids; and those that can't be used.

    Args:
        items: trimmed.
        bands: of the recipe, without SCL.
    """
    return Found(*parse_all(items, lambda item: parse_product(item, bands)))


def parse_tiles(
    items: Iterable[Mapping[str, Any]],
) -> tuple[tuple[RasterTile, ...], tuple[UnusableItem, ...]]:
    """Trimmed items with one asset as tiles, in the order of the ids, and those that can't be used."""
    return parse_all(items, parse_tile)


Parsed = TypeVar("Parsed")


def parse_all(
    items: Iterable[Mapping[str, Any]], parse: Callable[[Mapping[str, Any]], Parsed]
) -> tuple[tuple[Parsed, ...], tuple[UnusableItem, ...]]:
    """Return what `parse` makes of trimmed items, each id once, in their order; and those that it refuses.

    Args:
        items: trimmed.
        parse: makes one value of an item, or raises UnusableItemError.
    """
    parsed = []
    unusable = []
    by_id = {item["id"]: item for item in items}
    for _, item in sorted(by_id.items(), key=lambda entry: str(entry[0])):
        try:
            parsed.append(parse(item))
        except UnusableItemError as error:
            unusable.append(_unusable_item(item, str(error)))
        except NOT_STAC:
            unusable.append(_unusable_item(item, "a field of another form than STAC defines"))
    return tuple(parsed), tuple(unusable)


def _unusable_item(item: Mapping[str, Any], reason: str) -> UnusableItem:
    """Return what can be told of an item that can't be used: where and when it is missed."""
    return UnusableItem(
        str(item["id"]),
        reason,
        _none_if_empty(lambda: _times(item)[0]),
        _none_if_empty(lambda: _cloud_cover(item["properties"])),
        _none_if_empty(lambda: _outline(item))
        or _none_if_empty(lambda: shapely.box(*normalize_bbox(item["bbox"]))),
    )


def _none_if_empty(read: Callable[[], Parsed]) -> Parsed | None:
    try:
        return read()
    except NOT_STAC:
        return None


def parse_product(item: Mapping[str, Any], bands: Sequence[str]) -> Product:
    """Return one trimmed item as a product with these bands and SCL.

    Args:
        item: trimmed.
        bands: of the recipe, without SCL.

    Raises:
        UnusableItemError: an asset or a field that is needed is missing or can't be read.
    """
    properties = item["properties"]
    missing = next((name for name in ("SCL", *bands) if name not in item["assets"]), None)
    if missing is not None:
        raise UnusableItemError(f"no asset {missing}")
    name = _product_name(item)
    baseline = read_baseline(properties, name)
    try:
        offset = read_offset(item, bands, baseline)
    except UnknownOffsetError as error:
        raise UnusableItemError(str(error)) from error
    grid = ten_metre_grid(item)
    if grid is None:
        raise UnusableItemError("no projection fields for the 10 m grid")
    return Product(
        id=item["id"],
        name=name,
        time=_times(item)[0],
        cloud_cover=_cloud_cover(properties),
        baseline=UNKNOWN_BASELINE if baseline is None else baseline,
        grid=grid,
        hrefs={name: item["assets"][name]["href"] for name in ("SCL", *bands)},
        offset=offset,
        outline=_outline(item),
        platform=_platform(properties, name),
        processed=processing_time(properties, name, str(item["id"])),
    )


def parse_tile(item: Mapping[str, Any]) -> RasterTile:
    """Return one trimmed item with one asset as a tile.

    Raises:
        UnusableItemError: the asset or a field that is needed is missing or can't be read.
    """
    if not item["assets"]:
        raise UnusableItemError("no raster asset")
    (asset,) = item["assets"].values()
    bounds = bounds_of(item, asset)
    if bounds is None:
        raise UnusableItemError("neither projection fields nor a bbox")
    return RasterTile(
        id=item["id"],
        name=PurePosixPath(asset["href"]).stem.removesuffix("_Map"),
        bounds=bounds,
        href=asset["href"],
        year=_times(item)[0].year,
    )


def _first_value(fields: Mapping[str, Any], *keys: str) -> Any:
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def _times(item: Mapping[str, Any]) -> tuple[datetime, datetime]:
    try:
        return item_times(dict(item))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableItemError("no datetime") from error


def _cloud_cover(properties: Mapping[str, Any]) -> float:
    cloud_cover = properties.get("eo:cloud_cover")
    if not isinstance(cloud_cover, int | float) or not math.isfinite(cloud_cover):
        raise UnusableItemError("no eo:cloud_cover")
    return float(cloud_cover)


def _product_name(item: Mapping[str, Any]) -> str:
    given = _first_value(item["properties"], "s2:product_uri", "sentinel:product_id")
    return str(given if given is not None else item["id"]).removesuffix(".SAFE")


def _platform(properties: Mapping[str, Any], name: str) -> str:
    """`2A` of `Sentinel-2A`, `sentinel-2a`, `S2A_MSIL2A_...`; empty where nothing tells."""
    for text in (str(properties.get("platform") or ""), name[:3]):
        letter = re.search(r"2([A-Za-z])$", text)
        if letter:
            return f"2{letter.group(1).upper()}"
    return ""


def processing_time(properties: Mapping[str, Any], name: str, item_id: str) -> datetime | None:
    """When a product was made: from its fields, else from the end of its name or id.

    Args:
        properties: of the item.
        name: of the product, as ESA names it.
        item_id: is used if the name has no time.
    """
    given = _first_value(properties, "s2:generation_time", "processing:datetime")
    in_name = re.search(r"_(\d{8}T\d{6})$", name) or re.search(r"_(\d{8}T\d{6})$", item_id)
    for text in (given, in_name.group(1) if in_name else None):
        try:
            if isinstance(text, str):
                return parse_time(text)
        except ValueError:
            continue
    return None


def _outline(item: Mapping[str, Any]) -> shapely.Geometry:
    try:
        outline = shapely.geometry.shape(item["geometry"])
    except (TypeError, KeyError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise UnusableItemError("no geometry") from error
    return outline
