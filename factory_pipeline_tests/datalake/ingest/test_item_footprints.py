"""Where images lie, as items say it."""

import polars as pl
import pytest
import shapely
from affine import Affine
from pyproj import Transformer

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns


def placed(*rows: dict[str, object]) -> pl.DataFrame:
    blank = {"epsg": None, "transform": None, "width": 100, "height": 50, "bounds": None}
    schema = {"epsg": pl.Int64, "transform": pl.List(pl.Float64), "bounds": pl.List(pl.Float64)}
    return pl.DataFrame([blank | row for row in rows], schema_overrides=schema)


def test_a_footprint_is_a_ring_through_the_corners_the_other_way_round() -> None:
    transform = list(Affine(0.1, 0, 10, 0, -0.1, 50))[:6]
    (row,) = footprint_columns(placed({"epsg": 4326, "transform": transform})).to_dicts()
    polygon = shapely.from_wkb(row["geometry"])
    assert polygon.equals(shapely.box(10, 45, 20, 50))
    assert polygon.exterior.is_ccw
    assert row["bbox"] == pytest.approx({"xmin": 10, "ymin": 45, "xmax": 20, "ymax": 50})


def test_a_footprint_across_180_degrees_is_in_two_parts() -> None:
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(180, -17)
    transform = list(Affine(10, 0, x - 500, 0, -10, y + 250))[:6]
    (row,) = footprint_columns(placed({"epsg": 32760, "transform": transform})).to_dicts()
    parts = shapely.from_wkb(row["geometry"])
    assert (parts.geom_type, len(parts.geoms)) == ("MultiPolygon", 2)
    assert list(row["bbox"].values()) == list(parts.bounds)
    assert parts.bounds[0::2] == (-180, 180)
    for longitude, inside in ((179.999, True), (-179.999, True), (0, False), (179.9, False)):
        assert parts.contains(shapely.Point(longitude, -17)) == inside


def test_an_image_without_a_place_has_none() -> None:
    bounds = [10.0, 50.0, 11.0, 51.0]
    nowhere, somewhere = footprint_columns(placed({}, {"bounds": bounds})).to_dicts()
    assert (nowhere["geometry"], nowhere["bbox"]) == (None, None)
    assert shapely.from_wkb(somewhere["geometry"]).equals(shapely.box(*bounds))


def test_no_images_have_the_columns_too() -> None:
    found = footprint_columns(placed({}).clear())
    assert (found.columns, found.height) == (["geometry", "bbox"], 0)
