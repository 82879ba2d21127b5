"""What a filter asks, in CQL2 JSON, and what is said of one that is not allowed."""

from typing import Any

import pytest

from factory_pipeline.datalake.query.filters import validate_filter
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.errors import ArgumentError

POINT = {"type": "Point", "coordinates": [1, 2]}


@pytest.mark.parametrize(
    ("filter", "query"),
    [
        ({"annotation_types": ["human"]}, "annotation.source in ('human')"),
        ({"annotation_types": ("machine", "human")}, "annotation.source in ('human', 'machine')"),
        ({"annotation_types": ["raw"]}, "annotation.type is null"),
        ({"annotation_types": ["raw", "human"]}, "annotation.source in ('human') or annotation.type is null"),
        ({"from_date": "2024-01-01"}, "datetime >= 2024-01-01"),
        ({"to_date": "2024-01-01T10:00:00Z"}, "datetime <= 2024-01-01T10:00:00Z"),
        (
            {"from_date": "2024-01-01", "to_date": "2024-01-01"},
            "datetime >= 2024-01-01 and datetime <= 2024-01-01",
        ),
        ({"bbox": (170, -5, -170.5, 5)}, "s_intersects(geometry, BBOX(170, -5, -170.5, 5))"),
        ({"geometry": POINT}, "s_intersects(geometry, POINT(1 2))"),
        ({"geometry": POINT, "from_date": None}, "s_intersects(geometry, POINT(1 2))"),
        ({"from_date": None}, ""),
        ({}, ""),
    ],
)
def test_a_filter_is_a_query(filter: dict[str, Any], query: str) -> None:
    found = validate_filter(filter)
    assert parse_query(found) == found == parse_query(query)


@pytest.mark.parametrize(
    ("filter", "argument", "allowed"),
    [
        ("raw", "filter", "annotation_types, from_date, to_date, bbox, geometry"),
        (None, "filter", "a mapping"),
        ({"date": "2024-01-01"}, "filter.date", "annotation_types, from_date, to_date, bbox, geometry"),
        ({5: 5}, "filter.5", "from_date"),
        ({"annotation_types": "human"}, "filter.annotation_types", "a list of raw, human, machine"),
        ({"annotation_types": [""]}, "filter.annotation_types[0]", "raw, human, machine"),
        ({"annotation_types": ["raw", "people"]}, "filter.annotation_types[1]", "raw, human, machine"),
        ({"annotation_types": [["raw"]]}, "filter.annotation_types[0]", "raw, human, machine"),
        ({"from_date": "yesterday"}, "filter.from_date", "2024-01-31"),
        ({"from_date": "2024-02-30"}, "filter.from_date", "2024-01-31"),
        ({"to_date": 2024}, "filter.to_date", "2024-01-31"),
        ({"from_date": "2024-01-02", "to_date": "2024-01-01"}, "filter.to_date", "from_date, '2024-01-02'"),
        ({"bbox": [1, 2, 3]}, "filter.bbox", "[west, south, east, north]"),
        ({"bbox": "1,2,3,4"}, "filter.bbox", "[west, south, east, north]"),
        ({"bbox": [1, 2, 3, "4"]}, "filter.bbox", "numbers"),
        ({"bbox": [1, 4, 3, 2]}, "filter.bbox", "south not above north"),
        ({"bbox": [1, 2, 300, 4]}, "filter.bbox", "-180..180"),
        ({"geometry": "POINT(1 2)"}, "filter.geometry", "GeoJSON"),
        ({"geometry": {"type": "FeatureCollection", "features": []}}, "filter.geometry", "GeoJSON"),
        ({"geometry": {"type": "Point", "coordinates": [1]}}, "filter.geometry", "GeoJSON"),
        ({"geometry": {"type": "Point", "coordinates": [1, 100]}}, "filter.geometry", "-90..90"),
    ],
)
def test_what_is_not_allowed_is_named(filter: Any, argument: str, allowed: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        validate_filter(filter)
    assert raised.value.argument == argument
    assert allowed in str(raised.value)
