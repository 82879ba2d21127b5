"""What a batch needs before its first pixel: the answers of all searches, then the headers of its rasters.

A layer waits for its search, then for the headers of its rasters, then for their blocks. The searches of all
layers are sent here at once, and then the headers of all layers are read at once: a batch waits once for
each, not once per layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.builds.chips.windows import PIXEL_SIZE
from factory_pipeline.builds.gedi.granules import years_of
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.items import Found, RasterTile, parse_products
from factory_pipeline.stac.providers import Catalog
from factory_pipeline.stac.search_cache import CellSearch, product_searches, search_each
from factory_pipeline.stac.select_products import Choices
from factory_pipeline.stac.tiles import MARGIN_DEGREES, Bounds, bounds_around, tile_searches, tiles_at

FEWEST_WINDOWS = 8
"""First choices of a product from which on the headers of its bands are read ahead. Of fewer windows it
happens that none passes the checks of its scene: the headers would be read for nothing."""
MOST_HEADERS = 1000
"""Headers that are read ahead; a third of what a reader caches."""


@dataclass(frozen=True)
class BatchSources:
    """What the searches of a batch gave."""

    products: Found
    """Of Sentinel-2."""
    tiles: tuple[RasterTile, ...]
    """Of the terrain model and the land cover, near a footprint."""


def search_sources(catalog: Catalog, footprints: pl.DataFrame, recipe: Recipe, cache: Path) -> BatchSources:
    """Send the searches of all layers of a batch, all at the same time.

    Args:
        catalog: where to search.
        footprints: the batch, with `delta_time`, `lat_lowestmode`, `lon_lowestmode`.
        recipe: time span, bands, window size.
        cache: a folder that keeps the answers, where `find_tiles` then finds them; what it contains is not
            searched again.

    Raises:
        CatalogError: the catalog is no STAC source, or lacks a collection.
        CatalogUnavailableError: the catalog does not answer.
    """
    around = {layer: _bounds(footprints, layer, recipe.window_size) for layer in MARGIN_DEGREES}
    searches: list[CellSearch] = product_searches(footprints, recipe.sentinel2)
    for layer, bounds in around.items():
        years = years_of(footprints["delta_time"]) if layer == "worldcover" else None
        searches += tile_searches(layer, bounds, years)
    items: Mapping[str, list[dict[str, Any]]] = {search.layer: [] for search in searches}
    for search, answer in zip(searches, search_each(catalog, searches, cache), strict=True):
        items[search.layer] += answer
    return BatchSources(
        parse_products(items.get("sentinel2", []), recipe.sentinel2.bands),
        tuple(tile for layer, bounds in around.items() for tile in tiles_at(items.get(layer, []), bounds)),
    )


def headers_needed(choices: Choices, tiles: tuple[RasterTile, ...], recipe: Recipe) -> list[str]:
    """Return the addresses of the rasters whose headers a batch will most likely need, the surest first.

    Args:
        choices: the products to try for each footprint, of which the first alone count.
        tiles: near a footprint.
        recipe: its bands.
    """
    first = choices.frame.filter(pl.col("rank") == 0)["product"]
    windows = np.bincount(first.to_numpy(), minlength=len(choices.products)).tolist()
    hrefs = [product.hrefs["SCL"] for product, count in zip(choices.products, windows, strict=True) if count]
    hrefs += [tile.href for tile in tiles]
    hrefs += [
        product.hrefs[band]
        for product, count in zip(choices.products, windows, strict=True)
        if count >= FEWEST_WINDOWS
        for band in recipe.sentinel2.bands
    ]
    return hrefs[:MOST_HEADERS]


def _bounds(footprints: pl.DataFrame, layer: str, window_size: int) -> Bounds:
    """Return where the windows of footprints are at most, whatever the direction of their product's grid."""
    latitude, longitude = (
        footprints[name].to_numpy().astype(np.float64) for name in ("lat_lowestmode", "lon_lowestmode")
    )
    reach: float = np.sqrt(2) * PIXEL_SIZE * (window_size / 2 + 1)
    return bounds_around(latitude, longitude, reach, MARGIN_DEGREES[layer])
