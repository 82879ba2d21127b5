"""Geometries of one CRS in pixels of images in another."""

import numpy as np
import pytest
import shapely

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.datalake.ingest.match_items import Item
from factory_pipeline.datalake.ingest.reproject import degrees_of, geometry_to_pixels, padded_bounds

ITEM = Item("a", 100, 50, "EPSG:32633", (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0, 0.0, 0.0, 1.0))


def test_a_geometry_of_the_same_crs_is_scaled() -> None:
    box = shapely.box(500100, 4999800, 500300, 4999900)
    assert geometry_to_pixels(box, "EPSG:32633", ITEM).equals(shapely.box(10, 10, 30, 20))


def test_degrees_become_pixels() -> None:
    longitude, latitude = crs_transformer("EPSG:32633", "OGC:CRS84").transform(
        np.array([500100.0, 500400.0]), np.array([4999900.0, 4999700.0])
    )
    line = shapely.LineString(np.stack([longitude, latitude], axis=1))
    found = shapely.get_coordinates(geometry_to_pixels(line, "OGC:CRS84", ITEM))
    assert found[[0, -1]] == pytest.approx(np.array([[10, 10], [40, 30]]), abs=1e-5)


def test_a_straight_edge_gets_points_where_it_becomes_a_curve() -> None:
    wide = Item("b", 1000, 1000, "EPSG:3035", (1000.0, 0.0, 4000000.0, 0.0, -1000.0, 4000000.0))
    edge = shapely.LineString([(8, 50), (24, 50)])
    parts = geometry_to_pixels(edge, "OGC:CRS84", wide)
    assert shapely.get_num_coordinates(parts) > 4


def test_a_distant_geometry_is_empty() -> None:
    assert geometry_to_pixels(shapely.box(-100, 20, -99, 21), "OGC:CRS84", ITEM).is_empty


def test_bounds_across_180_degrees_are_two() -> None:
    fiji = shapely.box(750000, 8000000, 900000, 8100000)
    eastern, western = degrees_of(fiji, "EPSG:32760")
    assert eastern[2] == 180
    assert western[0] == -180
    assert eastern[0] > 179
    assert western[2] < -178
    assert len(degrees_of(shapely.box(500000, 8000000, 510000, 8010000), "EPSG:32760")) == 1


def test_bounds_are_padded_by_a_tenth() -> None:
    (padded,) = padded_bounds(np.array([shapely.box(0, 0, 10, 20)]))
    assert padded.bounds == (-1, -2, 11, 22)
