"""Which searches find the scenes of a batch: by cell and month, each once."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.stac.providers import PLANETARY_COMPUTER, Catalog, SourceRequest
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.scene_search import Step, find_scenes

REQUEST = SourceRequest(known_collections()["sentinel-2-l2a"], ("B04",))


class _Asked(Catalog):
    """Has no items and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(PLANETARY_COMPUTER)
        self.asked: list[ItemQuery] = []

    def search(self, layer: str, query: ItemQuery) -> list[dict[str, Any]]:
        assert layer == "sentinel2"
        self.asked.append(query)
        return []


def searches(bounds: list[list[float]], steps: list[list[Step]]) -> list[ItemQuery]:
    catalog = _Asked()
    assert find_scenes(catalog, "sentinel2", REQUEST, np.array(bounds), steps) == ((), ())
    return sorted(catalog.asked, key=lambda query: (query.bbox, query.start or datetime.min))


def span(start: str, end: str) -> Step:
    return Step(*(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end)))


def test_windows_of_one_cell_and_month_are_one_search() -> None:
    bounds = [[10.1, 45.1, 10.2, 45.2], [10.7, 45.7, 10.8, 45.8]]
    [query] = searches(bounds, [[span("2021-06-03", "2021-06-09")], [span("2021-06-20", "2021-06-21")]])
    assert query.bbox == (10.0, 45.0, 11.0, 46.0)
    assert query.interval == "2021-06-01T00:00:00Z/2021-06-30T23:59:59.999999Z"


def test_a_step_touches_every_month_between_its_ends_and_a_window_every_cell() -> None:
    found = searches([[10.9, 45.5, 11.1, 45.6]], [[span("2020-12-31", "2021-02-01")]])
    assert {query.bbox[0] for query in found} == {10.0, 11.0}
    months = sorted({f"{query.start:%Y-%m}" for query in found})
    assert months == ["2020-12", "2021-01", "2021-02"]
    assert len(found) == 6


def test_a_long_span_is_searched_as_one_and_any_time_without_an_interval() -> None:
    [long] = searches([[10.1, 45.1, 10.2, 45.2]], [[span("2017-01-15", "2021-06-09")]])
    assert long.interval == "2017-01-01T00:00:00Z/2021-06-30T23:59:59.999999Z"
    [ever] = searches([[10.1, 45.1, 10.2, 45.2]], [[Step()]])
    assert ever.interval is None


@pytest.mark.parametrize("west", [179.5, -179.9])
def test_near_the_180th_meridian_both_sides_are_searched(west: float) -> None:
    found = searches([[west, 10.1, west + 0.01, 10.2]], [[Step()]])
    assert {query.bbox[0] for query in found} == {179.0, -180.0}
