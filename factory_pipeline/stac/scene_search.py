"""Which scenes a batch of windows may need: searches by cell and month, each sent once per build."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.stac.items import UnusableItem
from factory_pipeline.stac.providers import Catalog, SourceRequest
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.scenes import Scene, parse_scenes, trim_scene
from factory_pipeline.stac.search_cache import Cell, CellSearch, add_far_side, search_all
from factory_pipeline.stac.tiles import cells_of

SCENE_DEGREES = 3.0
"""Degrees of latitude that a scene spans at most: one of Sentinel-1 is 250 km wide."""
LONGEST_BY_MONTH = 36
"""Months above which a span is searched as one, not month by month."""
_KEPT = 1024
"""Cells and months that are remembered: those of neighbouring windows are the same."""


@dataclass(frozen=True)
class Step:
    """A span of time of which a sample shows something; None for any time."""

    start: datetime | None = None
    end: datetime | None = None
    centre: datetime | None = None
    """Scenes nearest to it come first; None prefers none."""


def find_scenes(
    catalog: Catalog,
    source: str,
    request: SourceRequest,
    bounds: NDArray[np.float64],
    steps: Sequence[Sequence[Step]],
    needs_clouds: bool = False,
    cache: Path | None = None,
) -> tuple[tuple[Scene, ...], tuple[UnusableItem, ...]]:
    """Search every scene that may show a window in one of its steps.

    Args:
        catalog: where to search.
        source: the name of the source in the catalog's provider.
        request: its collection and assets.
        bounds: (windows, 4) west, south, east, north in degrees; east may pass 180.
        steps: of each window.
        needs_clouds: whether an item without cloud cover can't be used.
        cache: a folder that keeps the answers, so that a rerun chooses the same scenes; None keeps nothing.

    Returns:
        The scenes, and the items that can't be used, both in the order of their ids.

    Raises:
        CatalogError: the catalog is no STAC source, or lacks the collection.
        CatalogUnavailableError: the catalog does not answer.
    """
    degrees = np.floor(bounds).astype(np.int64).tolist()
    wanted = {
        (cell, span)
        for corners, of_window in zip(degrees, steps, strict=True)
        for cell in _cells(*corners)
        for step in of_window
        for span in _spans(step)
    }
    searches = [
        CellSearch(source, cell, name, ItemQuery(cell.bbox, start, end))
        for cell, (name, start, end) in sorted(wanted, key=lambda each: (each[0], each[1][0]))
    ]
    return parse_scenes(search_all(catalog, searches, cache, trim_scene), request, needs_clouds)


@lru_cache(_KEPT)
def _cells(west: int, south: int, east: int, north: int) -> frozenset[Cell]:
    cells = cells_of(west, south, east, north)
    return frozenset(near for cell in cells for near in add_far_side(cell, SCENE_DEGREES))


def _spans(step: Step) -> list[tuple[str, datetime | None, datetime | None]]:
    """The calendar months that a step touches: its name, first and last moment."""
    if step.start is None or step.end is None:
        return [("all", None, None)]
    first = step.start.year * 12 + step.start.month - 1
    last = step.end.year * 12 + step.end.month - 1
    if last - first >= LONGEST_BY_MONTH:
        start, end = _month(first)[1], _month(last)[2]
        return [(f"{start:%Y-%m}_{end:%Y-%m}", start, end)]
    return [_month(number) for number in range(first, last + 1)]


@lru_cache(_KEPT)
def _month(number: int) -> tuple[str, datetime, datetime]:
    year, month = divmod(number, 12)
    start = datetime(year, month + 1, 1, tzinfo=UTC)
    days = calendar.monthrange(year, month + 1)[1]
    return f"{start:%Y-%m}", start, start + timedelta(days=days, microseconds=-1)
