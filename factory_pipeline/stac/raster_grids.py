"""Where the pixels of an asset are, from the projection fields of an item."""

import re
from collections.abc import Mapping
from typing import Any

from affine import Affine

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.longitudes import normalize_bbox
from factory_pipeline.stac.query import Box

GRID_FIELDS = ("proj:code", "proj:epsg", "proj:shape", "proj:transform", "proj:bbox")
"""Of the projection extension; they stand on the asset, or on the item for all of its assets."""
TEN_METRE_BANDS = ("B02", "B03", "B04", "B08")


def grid_of(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Grid | None:
    """Return the grid of an asset, from `proj:transform` or else `proj:bbox`, with `proj:shape`.

    None if these fields lack, contradict each other or are of a grid that is not north-up.

    Args:
        item: of the catalog, with the fields of the projection extension.
        asset: its own fields count before the item's.
    """
    properties = item["properties"]
    epsg = _epsg(asset, properties)
    try:
        rows, columns = (int(count) for count in _first_value(asset, properties, "proj:shape"))
        if epsg is None or rows <= 0 or columns <= 0:
            return None
        return Grid.from_transform(epsg, _transform(asset, properties, rows, columns), columns, rows)
    except (TypeError, ValueError):
        return None


def ten_metre_grid(item: Mapping[str, Any]) -> Grid | None:
    """Return the grid of a Sentinel-2 item's bands of 10 m; None if no field tells it."""
    assets = item["assets"]
    grids = (grid_of(item, assets[band]) for band in TEN_METRE_BANDS if band in assets)
    return next((grid for grid in grids if grid and grid.x_size == grid.y_size == 10), None)


def bounds_of(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Box | None:
    """Return west, south, east, north in degrees of an asset in EPSG:4326, else of the item; None without.

    Args:
        item: of the catalog.
        asset: its own fields count before the item's.
    """
    # The bbox of a WorldCover item is that of its land, not of its raster, so it is the second choice.
    grid = grid_of(item, asset)
    if grid is not None and grid.epsg == 4326:
        return grid.bounds
    try:
        return normalize_bbox(item["bbox"])
    except (TypeError, ValueError):
        return None


def _transform(asset: Mapping[str, Any], properties: Mapping[str, Any], rows: int, columns: int) -> Affine:
    for fields in (asset, properties):
        if fields.get("proj:transform") is not None:
            return Affine(*(float(value) for value in fields["proj:transform"][:6]))
    box = [float(value) for value in _first_value(asset, properties, "proj:bbox")]
    west, south, east, north = box if len(box) == 4 else (*box[:2], *box[3:5])
    return Affine((east - west) / columns, 0, west, 0, (south - north) / rows, north)


def _first_value(asset: Mapping[str, Any], properties: Mapping[str, Any], field: str) -> Any:
    return asset[field] if asset.get(field) is not None else properties.get(field)


def _epsg(*holders: Mapping[str, Any]) -> int | None:
    for fields in holders:
        code = re.fullmatch(r"EPSG:(\d+)", str(fields.get("proj:code")), re.IGNORECASE)
        if code:
            return int(code.group(1))
        if isinstance(fields.get("proj:epsg"), int):
            return int(fields["proj:epsg"])
    return None
