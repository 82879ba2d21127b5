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
from affine import Affine

from factory_pipeline.catalog.providers import Source
from factory_pipeline.catalog.query import Box, item_times
from factory_pipeline.catalog.signing import unsigned
from factory_pipeline.cog.grid import Grid

TEN_METRE_BANDS = ("B02", "B03", "B04", "B08")

_PROPERTIES = (
    "datetime",
    "start_datetime",
    "end_datetime",
    "eo:cloud_cover",
    "proj:code",
    "proj:epsg",
    "proj:shape",
    "proj:transform",
    "processing:version",
    "s2:processing_baseline",
    "s2:product_uri",
    "sentinel:processing_baseline",
    "sentinel:product_id",
    "earthsearch:boa_offset_applied",
    "sentinel:boa_offset_applied",
)
_ASSET_FIELDS = ("proj:code", "proj:epsg", "proj:shape", "proj:transform")


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
    offset_in_pixels: bool
    """The pixels carry the offset of baseline 04.00 and later."""
    outline: shapely.Geometry = field(repr=False)
    """Where the product has pixels with data, in degrees; beyond 180 where it crosses the antimeridian."""


@dataclass(frozen=True)
class Tile:
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
class Found:
    """What a search found that can be used, and what can't."""

    products: tuple[Product, ...]
    """In the order of their ids."""
    unusable: Mapping[str, int]
    """Reason -> number of items."""


def trim_item(item: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The part of an item that is kept: needed fields, assets by our names, unsigned hrefs."""
    properties = item.get("properties") or {}
    assets = item.get("assets") or {}
    return {
        "id": item["id"],
        "bbox": item.get("bbox"),
        "geometry": item.get("geometry"),
        "properties": {key: properties[key] for key in _PROPERTIES if key in properties},
        "assets": {
            name: {
                "href": unsigned(_public(assets[key]["href"], source.public_urls)),
                **{field: assets[key][field] for field in _ASSET_FIELDS if field in assets[key]},
            }
            for name, key in source.assets.items()
            if "href" in assets.get(key, {})
        },
    }


def _public(href: str, public_urls: Mapping[str, str]) -> str:
    for start, address in public_urls.items():
        if href.startswith(start):
            return address + href.removeprefix(start)
    return href


def parse_products(items: Iterable[Mapping[str, Any]], bands: Sequence[str]) -> Found:
    """Trimmed items as products, each id once, in the order of the ids; the others are counted."""
    products, unusable = _parse_all(items, lambda item: parse_product(item, bands))
    return Found(tuple(sorted(products, key=lambda product: product.id)), unusable)


def parse_tiles(items: Iterable[Mapping[str, Any]]) -> tuple[tuple[Tile, ...], Mapping[str, int]]:
    """Trimmed items with one asset as tiles, in the order of the ids, and what can't be used."""
    tiles, unusable = _parse_all(items, parse_tile)
    return tuple(sorted(tiles, key=lambda tile: tile.id)), unusable


Parsed = TypeVar("Parsed")


def _parse_all(
    items: Iterable[Mapping[str, Any]], parse: Callable[[Mapping[str, Any]], Parsed]
) -> tuple[list[Parsed], Mapping[str, int]]:
    parsed = []
    unusable: Counter[str] = Counter()
    for item in {item["id"]: item for item in items}.values():
        try:
            parsed.append(parse(item))
        except UnusableItemError as error:
            unusable[str(error)] += 1
    return parsed, dict(sorted(unusable.items()))


def parse_product(item: Mapping[str, Any], bands: Sequence[str]) -> Product:
    """One trimmed item as a product with these bands and SCL.

    Raises:
        UnusableItemError: an asset or a field that is needed is missing or can't be read.
    """
    properties = item["properties"]
    missing = next((name for name in ("SCL", *bands) if name not in item["assets"]), None)
    if missing is not None:
        raise UnusableItemError(f"no asset {missing}")
    name = _product_name(item)
    baseline = _baseline(properties, name)
    removed = _first(properties, "earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
    return Product(
        id=item["id"],
        name=name,
        time=_times(item)[0],
        cloud_cover=_cloud_cover(properties),
        baseline=baseline,
        grid=_ten_metre_grid(item),
        hrefs={name: item["assets"][name]["href"] for name in ("SCL", *bands)},
        offset_in_pixels=_carries_offset(baseline) and not removed,
        outline=_outline(item),
    )


def parse_tile(item: Mapping[str, Any]) -> Tile:
    """One trimmed item with one asset as a tile.

    Raises:
        UnusableItemError: the asset or a field that is needed is missing or can't be read.
    """
    if not item["assets"]:
        raise UnusableItemError("no raster asset")
    (asset,) = item["assets"].values()
    return Tile(
        id=item["id"],
        name=PurePosixPath(asset["href"]).stem.removesuffix("_Map"),
        bounds=_tile_bounds(item, asset),
        href=asset["href"],
        year=_times(item)[0].year,
    )


def _first(fields: Mapping[str, Any], *keys: str) -> Any:
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
    given = _first(item["properties"], "s2:product_uri", "sentinel:product_id")
    return str(given if given is not None else item["id"]).removesuffix(".SAFE")


def _baseline(properties: Mapping[str, Any], name: str) -> str:
    keys = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
    given = _first(properties, *keys)
    if given is None:
        # Part of every product name: S2A_MSIL2A_<time>_N0511_...
        in_name = re.search(r"_N(\d\d)(\d\d)_", name)
        given = ".".join(in_name.groups()) if in_name else None
    if given is None or not re.fullmatch(r"\d{1,2}\.\d{1,2}", str(given)):
        raise UnusableItemError("no processing baseline")
    return str(given)


def _carries_offset(baseline: str) -> bool:
    # https://sentinels.copernicus.eu/web/sentinel/-/copernicus-sentinel-2-major-products-upgrade-upcoming
    return int(baseline.partition(".")[0]) >= 4


def _epsg(*holders: Mapping[str, Any]) -> int | None:
    for fields in holders:
        code = re.fullmatch(r"EPSG:(\d+)", str(fields.get("proj:code")))
        if code:
            return int(code.group(1))
        if isinstance(fields.get("proj:epsg"), int):
            return int(fields["proj:epsg"])
    return None


def _grid(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Grid | None:
    """The grid of an asset, from the fields of the asset or else of the item; None where they lack."""
    properties = item["properties"]
    epsg = _epsg(asset, properties)
    holder = asset if "proj:transform" in asset else properties
    try:
        rows, columns = _first(asset, "proj:shape") or properties["proj:shape"]
        transform = Affine(*(float(value) for value in holder["proj:transform"][:6]))
        return None if epsg is None else Grid.from_transform(epsg, transform, int(columns), int(rows))
    except (KeyError, TypeError, ValueError):
        return None


def _ten_metre_grid(item: Mapping[str, Any]) -> Grid:
    assets = item["assets"]
    grids = [_grid(item, assets[band]) for band in TEN_METRE_BANDS if band in assets]
    found = next((grid for grid in grids if grid and grid.x_size == grid.y_size == 10), None)
    if found is None:
        raise UnusableItemError("no projection fields for the 10 m grid")
    return found


def _tile_bounds(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Box:
    # The bbox of a WorldCover item is that of its land, not of its raster, so it is the second choice.
    grid = _grid(item, asset)
    if grid is not None and grid.epsg == 4326:
        return grid.bounds
    try:
        box = [float(value) for value in item["bbox"]]
        west, south, east, north = box if len(box) == 4 else (*box[:2], *box[3:5])
    except (TypeError, ValueError) as error:
        raise UnusableItemError("neither projection fields nor a bbox") from error
    return west, south, east, north


def _outline(item: Mapping[str, Any]) -> shapely.Geometry:
    try:
        outline = shapely.geometry.shape(item["geometry"])
    except (TypeError, KeyError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise UnusableItemError("no geometry") from error
    west, _, east, _ = outline.bounds if not outline.is_empty else (0, 0, 0, 0)
    if outline.geom_type == "Polygon" and east - west > 180:
        # A product spans a few degrees: this one was written across the antimeridian without a cut.
        outline = shapely.transform(outline, _eastward)
    return outline


def _eastward(points: Any) -> Any:
    points[:, 0] += 360 * (points[:, 0] < 0)
    return points
