"""The searches of a batch, each sent once per build: the responses are cached as files."""

import calendar
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.config.recipe import Sentinel2
from factory_pipeline.redaction import display
from factory_pipeline.stac.items import Found, parse_products, trim_item
from factory_pipeline.stac.providers import Catalog, LayerSource
from factory_pipeline.stac.query import Box, ItemQuery
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.web_retries import CONNECTIONS

TRIMMED_FORM = 2
"""Version of the cached responses: one that was cached with fewer fields is requested again."""
PRODUCT_DEGREES = 1.0
"""Degrees of latitude that a product of 110 km spans."""
GEDI_EPOCH = datetime(2018, 1, 1, tzinfo=UTC)
"""delta_time counts seconds from here."""


@dataclass(frozen=True, order=True)
class Cell:
    """One degree by one degree, named by its south-west corner."""

    south: int
    """-90..89."""
    west: int
    """-180..179."""

    @classmethod
    def containing(cls, latitude: float, longitude: float) -> "Cell":
        """Return the cell of a place.

        180 degrees east is -180, and the north pole belongs to the last row.

        Args:
            latitude: degrees.
            longitude: degrees.
        """
        return cls(min(math.floor(latitude), 89), (math.floor(longitude) + 180) % 360 - 180)

    @property
    def bbox(self) -> Box:
        """West, south, east, north in degrees."""
        return float(self.west), float(self.south), self.west + 1.0, self.south + 1.0

    def __str__(self) -> str:
        return f"{'NS'[self.south < 0]}{abs(self.south):02d}{'EW'[self.west < 0]}{abs(self.west):03d}"


@dataclass(frozen=True)
class CellSearch:
    """One search: a layer in a cell, in a span of time that has a name."""

    layer: str
    cell: Cell
    period: str
    """`2020-06`, `2020` or `all`: part of the name of the file that keeps the answer."""
    query: ItemQuery


def find_products(
    catalog: Catalog, footprints: pl.DataFrame, rules: Sentinel2, cache: Path | None = None
) -> Found:
    """Return every usable product that may be chosen for these footprints.

    One search per cell and calendar month, widened by `max_days` on each side.

    Args:
        catalog: where to search.
        footprints: has delta_time (s since 2018-01-01 UTC), lat_lowestmode and lon_lowestmode (degrees).
        rules: the time span.
        cache: a folder; a search whose answer is there is not made again, so that a rerun chooses the same
            product. None keeps nothing.

    Raises:
        CatalogError: the catalog is no STAC source, or lacks the collection.
        CatalogUnavailableError: the catalog does not answer.
    """
    return parse_products(search_all(catalog, product_searches(footprints, rules), cache), rules.bands)


def product_searches(footprints: pl.DataFrame, rules: Sentinel2) -> list[CellSearch]:
    """Return the searches that `find_products` makes, in a fixed order.

    Args:
        footprints: `lat_lowestmode`, `lon_lowestmode`, `delta_time`.
        rules: with the days around a footprint and the cloud cover.
    """
    time = pl.lit(GEDI_EPOCH) + pl.duration(microseconds=pl.col("delta_time") * 1e6)
    places = footprints.select(
        pl.col("lat_lowestmode").floor(),
        pl.col("lon_lowestmode").floor(),
        year=time.dt.year(),
        month=time.dt.month(),
    ).unique()
    cells = {
        (cell, *place[2:])
        for place in places.iter_rows()
        for cell in add_far_side(Cell.containing(*place[:2]))
    }
    widened = timedelta(days=rules.max_days)
    searches = []
    for cell, year, month in sorted(cells):
        first = datetime(year, month, 1, tzinfo=UTC)
        after = first + timedelta(days=calendar.monthrange(year, month)[1])
        query = ItemQuery(cell.bbox, first - widened, after + widened)
        searches.append(CellSearch("sentinel2", cell, f"{year}-{month:02d}", query))
    return searches


def add_far_side(cell: Cell, degrees: float = PRODUCT_DEGREES) -> list[Cell]:
    """Return a cell, and the one on the other side of the antimeridian where a product may reach across it.

    An API compares longitudes as its items write them: one that is written as -181..-179 it gives only to a
    search near -180, one as 179..181 only to a search near 180.

    Args:
        cell: the cell that is searched.
        degrees: of latitude that a product spans.
    """
    reach = degrees / max(math.cos(math.radians(max(abs(cell.south), abs(cell.south + 1)))), 0.1)
    if cell.west + 1 + reach >= 180:
        return [cell, Cell(cell.south, -180)]
    if cell.west - reach <= -180:
        return [cell, Cell(cell.south, 179)]
    return [cell]


Trim = Callable[[Mapping[str, Any], LayerSource], dict[str, Any]]
"""From an item and its source to the part of the item that is kept."""


def search_all(
    catalog: Catalog, searches: Sequence[CellSearch], cache: Path | None, trim: Trim = trim_item
) -> Iterable[dict[str, Any]]:
    """Return the trimmed items of all searches together; an item may come from several searches.

    Args:
        catalog: where to search.
        searches: of its sources, in the order of the result.
        cache: a folder that keeps the answers; None keeps nothing.
        trim: what is kept of an item.
    """
    return [item for answer in search_each(catalog, searches, cache, trim) for item in answer]


def search_each(
    catalog: Catalog, searches: Sequence[CellSearch], cache: Path | None, trim: Trim = trim_item
) -> list[list[dict[str, Any]]]:
    """Return the trimmed items of each search, several searches at a time.

    Args:
        catalog: where to search.
        searches: of its sources, in the order of the result.
        cache: a folder that keeps the answers; None keeps nothing.
        trim: what is kept of an item.
    """
    if not searches:
        return []
    with ThreadPoolExecutor(min(CONNECTIONS, len(searches))) as pool:
        return list(pool.map(lambda search: _search_once(catalog, search, cache, trim), searches))


def _search_once(
    catalog: Catalog, search: CellSearch, cache: Path | None, trim: Trim
) -> list[dict[str, Any]]:
    form = TRIMMED_FORM if trim is trim_item else f"{TRIMMED_FORM} {trim.__name__}"
    asked = _search_key(catalog, search, form)
    kept = None if cache is None else cache / _file_name(search, asked)
    if kept is not None and kept.exists():
        items: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))["items"]
        return items
    source = catalog.provider.source(search.layer)
    found = catalog.search(search.layer, search.query)
    items = sorted((trim(item, source) for item in found), key=lambda item: str(item["id"]))
    if kept is not None:
        write_text(kept, json.dumps({"search": asked, "items": items}, sort_keys=True))
    return items


def _search_key(catalog: Catalog, search: CellSearch, form: object) -> dict[str, Any]:
    """Everything that decides the trimmed answer."""
    source = catalog.provider.source(search.layer)
    return {
        "url": display(source.url),
        "collection": source.collection,
        "assets": source.assets,
        "public_urls": source.public_urls,
        "recognize": source.recognize,
        "form": form,
        "bbox": search.query.bbox,
        "datetime": search.query.interval,
    }


def _file_name(search: CellSearch, asked: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    return f"{search.layer}_{search.cell}_{search.period}_{digest}.json"
