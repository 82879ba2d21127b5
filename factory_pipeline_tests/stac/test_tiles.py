"""Which tiles a window touches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely
from rasterio.warp import transform_bounds
from shapely.geometry import mapping

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.providers import Catalog, open_catalog
from factory_pipeline.stac.search_cache import search_all
from factory_pipeline.stac.tiles import (
    MARGIN_DEGREES,
    bounds_around,
    bounds_in_degrees,
    find_tiles,
    map_year,
    tile_searches,
    tiles_at,
)
from factory_pipeline_tests.stac.small_stac import copdem_item, worldcover_item, write_catalog

DEM_CORNERS = [(-1, 5), (-1, 6), (0, 5), (0, 6)]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    dem = [copdem_item(*corner) for corner in DEM_CORNERS]
    dem += [copdem_item(0, 179), copdem_item(0, -180)]
    maps = [worldcover_item(0, west, year) for west in (3, 6) for year in (2020, 2021)]
    return open_catalog(str(write_catalog(tmp_path_factory.mktemp("tiles"), [*dem, *maps])))


def window_at(latitude: float, longitude: float, size: int = 32) -> Grid:
    """A window whose centre lies at a place, in the UTM zone of the place."""
    zone = int((longitude + 180) // 6) % 60 + 1
    epsg = (32600 if latitude >= 0 else 32700) + zone
    x, y, _, _ = transform_bounds(4326, epsg, longitude, latitude, longitude, latitude)
    return Grid(epsg, x - size * 5, y + size * 5, 10, 10, size, size)


def corners(catalog: Catalog, layer: str, grids: Sequence[Grid]) -> list[list[str]]:
    return [
        [tile.name[22:].removesuffix("_00_DEM") for tile in tiles]
        for tiles in find_tiles(catalog, layer, grids).windows
    ]


def test_one_two_and_four_tiles(catalog: Catalog) -> None:
    windows = [window_at(0.5, 6.5), window_at(0.5, 6.0), window_at(1e-4, 6.0)]
    assert corners(catalog, "copdem", windows) == [
        ["N00_00_E006"],
        ["N00_00_E005", "N00_00_E006"],
        ["N00_00_E005", "N00_00_E006", "S01_00_E005", "S01_00_E006"],
    ]


def test_neighbours_for_resampling_count(catalog: Catalog) -> None:
    # The window ends 20 m before the edge: less than a DEM pixel, two WorldCover pixels.
    metre = 1 / 111_320
    window = window_at(0.5, 6 + (160 + 20) * metre)
    assert corners(catalog, "copdem", [window]) == [["N00_00_E005", "N00_00_E006"]]
    assert [len(tiles) for tiles in find_tiles(catalog, "worldcover", [window], [2020]).windows] == [1]
    assert corners(catalog, "copdem", [window_at(0.5, 6 + (160 + 200) * metre)]) == [["N00_00_E006"]]


def test_open_sea_has_no_tile(catalog: Catalog) -> None:
    assert find_tiles(catalog, "copdem", [window_at(20.5, -40.5)]).windows == [()]


@pytest.mark.parametrize("longitude", [179.9995, -179.9995, 180.0])
def test_window_across_the_antimeridian(catalog: Catalog, longitude: float) -> None:
    assert corners(catalog, "copdem", [window_at(0.5, longitude)]) == [["N00_00_E179", "N00_00_W180"]]


def test_map_is_that_of_the_year(catalog: Catalog) -> None:
    windows = [window_at(0.5, 6.0)] * 4
    found = find_tiles(catalog, "worldcover", windows, [2019, 2020, 2021, 2024]).windows
    assert [{tile.year for tile in tiles} for tiles in found] == [{2020}, {2020}, {2021}, {2021}]
    assert [tile.name for tile in found[3]] == [
        "ESA_WorldCover_10m_2021_v200_N00E003",
        "ESA_WorldCover_10m_2021_v200_N00E006",
    ]
    assert [map_year(year) for year in (2018, 2020, 2021, 2025)] == [2020, 2020, 2021, 2021]


def test_searches_are_kept_per_cell_and_year(catalog: Catalog, tmp_path: Path) -> None:
    windows = [window_at(0.5, 6.0), window_at(0.6, 6.0)]
    first = find_tiles(catalog, "worldcover", windows, [2020, 2021], tmp_path).windows
    assert sorted(path.name[:23] for path in tmp_path.iterdir()) == [
        "worldcover_N00E005_2020",
        "worldcover_N00E005_2021",
        "worldcover_N00E006_2020",
        "worldcover_N00E006_2021",
    ]
    assert find_tiles(catalog, "worldcover", windows, [2020, 2021], tmp_path).windows == first


def test_tile_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    broken = {**copdem_item(0, 6), "assets": {}}
    catalog = open_catalog(str(write_catalog(tmp_path, [broken, copdem_item(0, 7)])))
    windows = [window_at(0.5, 6.5), window_at(0.5, 7.5), window_at(0.5, 7.0)]
    found = find_tiles(catalog, "copdem", windows)
    assert [len(tiles) for tiles in found.windows] == [0, 1, 1]
    lost = "Of the items that the catalog has for the window 1 can't be used (no raster asset: 1)."
    assert found.gaps == [lost, "", lost]
    assert [(item.id, item.reason) for item in found.unusable] == [(broken["id"], "no raster asset")]


def test_broken_item_of_a_tile_that_is_there_twice_costs_nothing(tmp_path: Path) -> None:
    broken = {**copdem_item(0, 6), "assets": {}, "id": "the same tile once more"}
    catalog = open_catalog(str(write_catalog(tmp_path, [broken, copdem_item(0, 6)])))
    found = find_tiles(catalog, "copdem", [window_at(0.5, 6.5)])
    assert found.gaps == [""]


@pytest.mark.parametrize("west", [-181, 179, 539])
def test_tile_whose_longitudes_run_beyond_180(tmp_path: Path, west: float) -> None:
    """The bbox is all that tells where the tile lies."""
    item = copdem_item(0, 179)
    half = 0.5 / 3600
    bounds = (west - half, half, west + 1 - half, 1 + half)
    item |= {"geometry": mapping(shapely.box(*bounds)), "bbox": list(bounds)}
    del item["properties"]["proj:transform"]
    catalog = open_catalog(str(write_catalog(tmp_path, [item])))
    for longitude, count in ((179.5, 1), (-179.5, 0), (179.9999, 1), (-179.99999, 1)):
        found = find_tiles(catalog, "copdem", [window_at(0.5, longitude)])
        assert [len(tiles) for tiles in found.windows] == [count]


def test_no_windows(catalog: Catalog) -> None:
    assert find_tiles(catalog, "copdem", []).windows == []


def test_every_tile_that_holds_a_part_of_the_window_is_found(catalog: Catalog) -> None:
    generator = np.random.default_rng(0)
    places = generator.uniform((-0.02, 5.98), (0.02, 6.02), (60, 2))
    windows = [window_at(latitude, longitude, 64) for latitude, longitude in places]
    tiles = {item["id"]: item["bbox"] for item in (copdem_item(*corner) for corner in DEM_CORNERS)}
    for window, found in zip(windows, find_tiles(catalog, "copdem", windows).windows, strict=True):
        west, south, east, north = transform_bounds(window.epsg, 4326, *window.bounds)
        touched = {
            name
            for name, (left, bottom, right, top) in tiles.items()
            if left < east and right > west and bottom < north and top > south
        }
        assert touched <= {tile.id for tile in found}
        assert [tile.id for tile in found] == sorted(tile.id for tile in found)


def test_squares_around_places_contain_windows_in_any_direction() -> None:
    generator = np.random.default_rng(0)
    places = generator.uniform((-80, -180), (80, 180), (200, 2))
    margin = MARGIN_DEGREES["copdem"]
    windows = bounds_in_degrees([window_at(*place) for place in places], margin)
    squares = bounds_around(places[:, 0], places[:, 1], 160 * np.sqrt(2), margin)
    turned = np.round((squares[:, 0] - windows[:, 0]) / 360) * 360
    assert (squares[:, 0] - turned <= windows[:, 0]).all()
    assert (squares[:, 2] - turned >= windows[:, 2]).all()
    assert (squares[:, 1] <= windows[:, 1]).all()
    assert (squares[:, 3] >= windows[:, 3]).all()


def test_squares_at_the_poles_stay_on_the_globe() -> None:
    poles = bounds_around(np.array([90.0, -90.0]), np.zeros(2), 160, 1e-3)
    assert {search.cell.south for search in tile_searches("copdem", poles)} == {-90, 89}


def test_tiles_at_squares(catalog: Catalog) -> None:
    squares = bounds_around(np.array([0.5, 0.5]), np.array([6.5, 6.5]), 100, MARGIN_DEGREES["copdem"])
    items = search_all(catalog, tile_searches("copdem", squares), None)
    assert [tile.name for tile in tiles_at(items, squares)] == ["Copernicus_DSM_COG_10_N00_00_E006_00_DEM"]
