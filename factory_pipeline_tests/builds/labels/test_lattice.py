"""Windows of a grid over an area."""

import shapely

from factory_pipeline.builds.labels.label_windows import grids_of, windows_around
from factory_pipeline.builds.labels.lattice import covering_windows
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
