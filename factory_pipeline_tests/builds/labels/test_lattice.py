"""Windows of a grid over an area."""

import shapely

from factory_pipeline.builds.labels.label_windows import grids_of, windows_around
from factory_pipeline.builds.labels.lattice import area_of, covering_windows
from factory_pipeline.config.raster_sources import Window

WINDOW = Window(size=32, pixel_size=10)
AREA = shapely.box(14.99, 48.60, 15.02, 48.62)


def test_windows_do_not_overlap_and_cover_the_area_within_its_zone():
    table = covering_windows([AREA], WINDOW)
    grids = grids_of(windows_around(table, WINDOW), 32, 10)
    boxes = [shapely.box(*grid.bounds) for grid in grids]
    assert len({grid.epsg for grid in grids}) == 1
    assert shapely.union_all(boxes).area == sum(box.area for box in boxes)
    assert [f"{grid.epsg}_{int(grid.left)}_{int(grid.top)}" for grid in grids] == table["id"].to_list()


def test_shares_are_of_the_area():
    table = covering_windows([AREA], WINDOW)
    assert (table["share"] > 0).all()
    assert table["share"].max() == 1
    assert covering_windows([], WINDOW).is_empty()


def test_two_zones_have_windows_of_their_own():
    table = covering_windows([shapely.box(11.98, 48.60, 12.02, 48.61)], WINDOW)
    assert {text.partition("_")[0] for text in table["id"].to_list()} == {"32632", "32633"}


def test_fields_on_two_continents_have_the_windows_that_each_has_alone():
    fields = [shapely.box(-60, -10, -59.99, -9.99), shapely.box(120, -10, 120.01, -9.99)]
    alone = [covering_windows([field], WINDOW)["id"].to_list() for field in fields]
    assert covering_windows(fields, WINDOW)["id"].to_list() == [*alone[0], *alone[1]]


def test_an_area_may_cross_the_antimeridian():
    table = covering_windows([area_of((179.99, 10.0, -179.99, 10.01))], WINDOW)
    assert {text.partition("_")[0] for text in table["id"].to_list()} == {"32601", "32660"}
    assert table["longitude"].abs().min() > 179.98
    assert area_of((5.0, 10.0, 6.0, 11.0)).equals(shapely.box(5, 10, 6, 11))


def test_the_zones_of_a_wide_area_have_windows_of_their_own():
    wide = covering_windows([shapely.box(3, 50, 59, 50.1)], Window(size=512, pixel_size=60))
    zones = {int(text.partition("_")[0]) for text in wide["id"].to_list()}
    assert zones == set(range(32631, 32641))
    assert (wide["share"] <= 1).all()


def test_windows_in_degrees_have_ids_of_their_own():
    window = Window(size=32, pixel_size=0.0001, crs=4326)
    table = covering_windows([shapely.box(-0.005, 45.0, 0.02, 45.01)], window)
    assert table.height > 20
    assert table["id"].is_unique().all()
