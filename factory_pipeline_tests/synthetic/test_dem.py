"""Tiles of elevation, in the grid of the Copernicus DEM."""

import numpy as np
import pytest

from factory_pipeline.synthetic.coverage import Sites
from factory_pipeline.synthetic.dem import DemTile, dem_file, dem_grid, dem_name, dem_tiles


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        ((6, 0), "Copernicus_DSM_COG_10_N00_00_E006_00_DEM"),
        ((-71, -13), "Copernicus_DSM_COG_10_S13_00_W071_00_DEM"),
    ],
)
def test_a_tile_is_named_by_its_south_west_corner(tile: DemTile, name: str) -> None:
    assert dem_name(tile) == name
    assert dem_file(tile) == f"{name}.tif"


@pytest.mark.parametrize(
    ("south", "columns"),
    [(0, 3600), (49, 3600), (50, 2400), (60, 1800), (-51, 2400), (-50, 3600), (85, 360)],
)
def test_columns_are_wider_towards_the_poles(south: int, columns: int) -> None:
    grid = dem_grid((10, south))
    assert grid.shape == (3600, columns)
    assert grid.width * grid.x_size == pytest.approx(1)


def test_the_centre_of_the_first_pixel_is_on_the_degree() -> None:
    grid = dem_grid((10, 45))
    assert grid.left + grid.x_size / 2 == pytest.approx(10, abs=1e-12)
    assert grid.top - grid.y_size / 2 == pytest.approx(46, abs=1e-12)


def test_a_site_near_a_corner_needs_the_tiles_around_it() -> None:
    corner = Sites(np.array([11.001]), np.array([46.001]))
    assert dem_tiles(corner) == [(10, 45), (10, 46), (11, 45), (11, 46)]
    assert dem_tiles(Sites(np.array([11.5]), np.array([46.5]))) == [(11, 46)]
