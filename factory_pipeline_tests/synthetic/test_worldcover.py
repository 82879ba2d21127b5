"""Names and grids of land cover tiles."""

import pytest

from factory_pipeline.synthetic.worldcover import worldcover_file, worldcover_grid, worldcover_tile_name


@pytest.mark.parametrize(
    ("tile", "name"), [((6, 0), "N00E006"), ((-9, -3), "S03W009"), ((177, 57), "N57E177")]
)
def test_names_are_those_of_the_real_product(tile: tuple[int, int], name: str):
    assert worldcover_tile_name(tile) == name
    assert worldcover_file(tile, 2020) == f"ESA_WorldCover_10m_2020_v100_{name}_Map.tif"
    assert worldcover_file(tile, 2021) == f"ESA_WorldCover_10m_2021_v200_{name}_Map.tif"


def test_a_tile_is_three_degrees():
    assert worldcover_grid((6, 48)).bounds == pytest.approx((6, 48, 9, 51))
