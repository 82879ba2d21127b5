"""Footprints around and beside the poles and across 180 degrees."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shapely
from pyproj import Transformer

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.imagery.footprints import at_pole, footprints
from factory_pipeline.imagery.geometries import bounds_of, geometries
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.onboarding.page.charts import footprint_map
from factory_pipeline.onboarding.products.stac_items import write_items
from factory_pipeline.splits.assign import spatial_split, together_by_location
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline_tests.onboarding.curated import items_frame, square

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
NORTH, SOUTH = 3413, 3031
KM = 1000.0
PLACES = [(-50, -50), (-100, 0), (0, -100), (-10, 5), (0, 0), (37, 64), (-300, 200), (900, -900), (-2000, 10)]
"""South-western corners in km of squares of 100 km, with the pole inside, in a side, in a corner, outside."""


def polar(epsg: int) -> pl.DataFrame:
    return items_frame([square(x * KM, y * KM, 100 * KM, epsg) for x, y in PLACES])


@pytest.mark.parametrize("epsg", [NORTH, SOUTH])
def test_geometries_at_poles_hold_what_lies_in_the_image_and_nothing_else(epsg: int) -> None:
    items = polar(epsg)
    shapes = geometries(footprints(items))
    assert shapely.is_valid(shapes).all()
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    rng = np.random.default_rng(0)
    for (x, y), shape in zip(PLACES, shapes, strict=True):
        points = rng.uniform(-150, 250, (400, 2)) + np.array([x, y])
        inside = ((points > (x, y)) & (points < (x + 100, y + 100))).all(axis=1)
        # An edge is bent by less than a kilometre between two of its points.
        edges = np.abs(points[:, None] - np.array([(x, y), (x + 100, y + 100)]))
        near_edge = (edges < 1.5).any(axis=(1, 2))
        lon, lat = to_degrees.transform(*(points[~near_edge].T * KM))
        found = shapely.contains_xy(shape, lon, lat)
        np.testing.assert_array_equal(found, inside[~near_edge], f"{x}, {y}")


@pytest.mark.parametrize(("epsg", "pole"), [(NORTH, 90.0), (SOUTH, -90.0)])
def test_bounds_around_a_pole_reach_all_around_and_to_the_pole(epsg: int, pole: float) -> None:
    corners = footprints(polar(epsg))
    west, south, east, north = bounds_of(geometries(corners))[0]
    assert (west, east) == (-180, 180)
    assert pole in (south, north)
    assert 89 < max(abs(south), abs(north)) == 90
    assert at_pole(corners)[0]
    assert not at_pole(corners)[-1]


@pytest.mark.parametrize("epsg", [NORTH, SOUTH])
def test_overlap_at_poles_is_that_of_the_squares(epsg: int) -> None:
    squares = [shapely.box(x, y, x + 100, y + 100) for x, y in PLACES]
    expected = [
        (one, other)
        for one in range(len(PLACES))
        for other in range(one + 1, len(PLACES))
        if shapely.area(shapely.intersection(squares[one], squares[other])) > 20
    ]
    assert len(expected) == 8
    ground = Ground.of(polar(epsg))
    assert ground.number.tolist() == list(range(len(PLACES)))
    assert sorted(tuple(pair) for part in ground.pairs() for pair in part.tolist()) == expected


@pytest.mark.parametrize("epsg", [NORTH, SOUTH])
def test_datasets_at_poles_are_split_checked_drawn_and_written(tmp_path: Path, epsg: int) -> None:
    items = items_frame(
        [square(x * KM, y * KM, 100 * KM, epsg) for x in (-250, -50, 150) for y in (-250, -50, 150)]
    )
    split = spatial_split(items, SHARES, 0, together_by_location("mgrs"))
    assert (
        leak_report(items, spatial_split(items, SHARES, 0, together_by_location("block", block_m=1e5))).pairs
        == 0
    )
    drawn = footprint_map(items.lazy(), split)
    assert drawn is not None
    assert len(drawn.footprints) == 9
    frame = items.with_columns(crs=pl.lit(f"EPSG:{epsg}"), label=pl.lit(None, pl.String))
    write_items(tmp_path / "items.parquet", frame.lazy(), split, "poles", "")
    written = pl.read_parquet(tmp_path / "items.parquet")
    assert shapely.is_valid(shapely.from_wkb(written["geometry"].to_list())).all()
    assert written["bbox"].struct.field("xmin").min() >= -180
    columns = footprint_columns(items)
    assert shapely.is_valid(shapely.from_wkb(columns["geometry"].to_list())).all()


def test_bounds_alone_around_a_pole_are_a_footprint() -> None:
    items = items_frame([{"bounds": [-180.0, 85.0, 180.0, 90.0]}, {"bounds": [-180.0, -90.0, 180.0, -85.0]}])
    corners = footprints(items)
    shapes = geometries(corners)
    assert shapely.contains_xy(shapes, [10, 10], [89.5, -89.5]).all()
    assert not sum(map(len, Ground.of(items).pairs()))


def test_a_footprint_across_180_degrees_is_in_two_parts_and_its_bounds_go_from_west_to_east() -> None:
    # UTM zone 60: its eastern edge is the antimeridian.
    items = items_frame([square(820 * KM, 0, 50 * KM, 32660), square(500 * KM, 0, 50 * KM, 32660)])
    shapes = geometries(footprints(items))
    assert shapely.is_valid(shapes).all()
    assert [shape.geom_type for shape in shapes] == ["MultiPolygon", "Polygon"]
    (west, _, east, _), (usual_west, _, usual_east, _) = bounds_of(shapes)
    assert 179 < west <= 180
    assert -180 <= east < -179
    assert usual_west < usual_east
    lake = footprint_columns(items)["bbox"][0]
    assert (lake["xmin"], lake["xmax"]) == (-180, 180)


def test_the_map_of_images_on_both_sides_of_180_degrees_shows_them_side_by_side() -> None:
    items = items_frame([square(700 * KM, 0, 20 * KM, 32660), square(300 * KM, 0, 20 * KM, 32601)])
    split = items.select("stem", split=pl.lit("train"))
    drawn = footprint_map(items.lazy(), split)
    assert drawn is not None
    first, second = drawn.footprints
    assert first.path is not None, "large enough to have a shape"
    assert first.x < second.x
