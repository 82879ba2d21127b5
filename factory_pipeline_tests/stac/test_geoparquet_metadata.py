"""The metadata of a table of STAC items."""

from datetime import UTC, datetime

import shapely

from factory_pipeline.stac.geoparquet_metadata import items_metadata

POLYGON, MULTI = shapely.GeometryType.POLYGON.value, shapely.GeometryType.MULTIPOLYGON.value


def test_bounds_and_times_are_those_of_the_items():
    times = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    found = items_metadata("forests", [MULTI, POLYGON, POLYGON], (1, 2, 3, 4), "Forests", times)
    column = found["geo"]["columns"]["geometry"]
    assert column["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert column["bbox"] == [1, 2, 3, 4]
    collection = found["stac-geoparquet"]["collections"]["forests"]
    assert collection["description"] == "Forests"
    assert collection["extent"]["spatial"]["bbox"] == [[1, 2, 3, 4]]
    assert collection["extent"]["temporal"]["interval"] == [[time.isoformat() for time in times]]


def test_without_places_and_times_items_may_be_anywhere_and_any_time():
    found = items_metadata("forests", [], None)
    assert "bbox" not in found["geo"]["columns"]["geometry"]
    extent = found["stac-geoparquet"]["collections"]["forests"]["extent"]
    assert extent == {
        "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
        "temporal": {"interval": [[None, None]]},
    }
