"""The parameters of a STAC search."""

from datetime import UTC, datetime
from typing import Any

import pytest

from factory_pipeline.stac.item_search import DEFAULT_LIMIT, BadSearchError, ItemSearch

ITEM = {"id": "a", "properties": {"eo:cloud_cover": 20}}
TIME = datetime(2024, 6, 1, tzinfo=UTC)


def test_an_empty_search_allows_everything():
    search = ItemSearch.parse({})
    assert search.limit == DEFAULT_LIMIT
    assert search.allows("s2", ITEM, TIME, TIME)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"datetime": "2024-05-01T00:00:00Z/2024-06-01T00:00:00Z"}, True),
        ({"datetime": "../2024-05-31T00:00:00Z"}, False),
        ({"ids": ["b"]}, False),
        ({"collections": ["s2", "dem"]}, True),
        ({"query": {"eo:cloud_cover": {"lt": 20}}}, False),
        ({"query": {"eo:cloud_cover": {"lte": 20}}}, True),
        ({"query": {"gsd": {"lt": 20}}}, False),
    ],
)
def test_each_parameter_is_tested(given: dict[str, Any], allowed: bool):
    assert ItemSearch.parse(given).allows("s2", ITEM, TIME, TIME) is allowed


def test_a_box_across_180_degrees_has_two_parts():
    area = ItemSearch.parse({"bbox": [170, -10, -170, 10]}).area
    assert area is not None
    assert area.geom_type == "MultiPolygon"
    assert area.area == pytest.approx(400)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sortby": "id"}, "sortby is not supported"),
        ({"bbox": [1, 2, 3]}, "bbox must hold 4 or 6 numbers"),
        ({"bbox": [0, 2, 1, 1]}, "the south lies above the north"),
        ({"bbox": [0, 0, 1, 1], "intersects": {}}, "exclude each other"),
        ({"intersects": {"type": "Polygon", "coordinates": []}}, "not empty"),
        ({"datetime": "2024"}, "RFC 3339"),
        ({"datetime": "../.."}, "one may be"),
        ({"datetime": "2024-06-02T00:00:00Z/2024-06-01T00:00:00Z"}, "the start lies after the end"),
        ({"limit": 0}, "limit must be an integer"),
        ({"ids": "a"}, "ids must be a list of names"),
        ({"query": {"gsd": {"like": 1}}}, "may be compared with a number"),
    ],
)
def test_what_is_not_allowed_is_said(given: dict[str, Any], told: str):
    with pytest.raises(BadSearchError, match=told):
        ItemSearch.parse(given)
