"""One round of searches and one of headers serve all layers of a batch."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.builds import batch_sources
from factory_pipeline.builds.batch_sources import BatchSources, headers_needed, search_sources
from factory_pipeline.builds.chips.windows import window_at
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.stac.providers import Catalog, open_catalog
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.stac.tiles import find_tiles
from factory_pipeline_tests.stac.footprints import footprints
from factory_pipeline_tests.stac.small_stac import (
    copdem_item,
    sentinel2_item,
    worldcover_item,
    write_catalog,
)

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
"""1.5 to 3.1 degrees east, 50.4 to 51.4 degrees north."""
IN_2020 = [("2020-06-10", 50.9, 2.5)] * 9
IN_2021 = [("2021-06-10", 50.9, 1.9999)]
"""Its window reaches into the next cell."""
BATCH = footprints(*IN_2020, *IN_2021)
RECIPE = Recipe(sentinel2=Sentinel2(candidates=2))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    scenes = [
        sentinel2_item("clear", "2020-06-09T10:00:00Z", 1, GRID),
        sentinel2_item("cloudier", "2020-06-11T10:00:00Z", 3, GRID),
        sentinel2_item("later", "2021-06-09T10:00:00Z", 1, GRID),
    ]
    dem = [copdem_item(50, west) for west in (1, 2, 3)]
    maps = [worldcover_item(48, 0, year) for year in (2020, 2021)]
    return open_catalog(str(write_catalog(tmp_path_factory.mktemp("sources"), [*scenes, *dem, *maps])))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def sources(catalog: Catalog, answers: Path) -> BatchSources:
    return search_sources(catalog, BATCH, RECIPE, answers)


def test_products_and_tiles_near_footprints_are_found(sources: BatchSources) -> None:
    assert [product.id for product in sources.products.products] == ["clear", "cloudier", "later"]
    assert [tile.name for tile in sources.tiles] == [
        "Copernicus_DSM_COG_10_N50_00_E001_00_DEM",
        "Copernicus_DSM_COG_10_N50_00_E002_00_DEM",
        "ESA_WorldCover_10m_2020_v100_N48E000",
        "ESA_WorldCover_10m_2021_v200_N48E000",
    ]


def test_the_other_layers_find_their_searches(catalog: Catalog, sources: BatchSources, answers: Path) -> None:
    kept = sorted(answers.iterdir())
    choices = choose_products(BATCH, sources.products.products, RECIPE.sentinel2, RECIPE.window_size)
    windows = [
        window_at(choices.products[product].grid, row, column, RECIPE.window_size)
        for product, row, column in choices.frame.select("product", "row", "column").iter_rows()
    ]
    years = [choices.products[product].time.year for product in choices.frame["product"]]
    assert all(find_tiles(catalog, "copdem", windows, None, answers).windows)
    assert all(find_tiles(catalog, "worldcover", windows, years, answers).windows)
    assert sorted(answers.iterdir()) == kept


def test_the_surest_headers_come_first(sources: BatchSources, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = choose_products(BATCH, sources.products.products, RECIPE.sentinel2, RECIPE.window_size)
    clear, later = (
        next(product for product in choices.products if product.id == name) for name in ("clear", "later")
    )
    assert {product.id for product in choices.products} == {"clear", "cloudier", "later"}
    expected = [
        clear.hrefs["SCL"],
        later.hrefs["SCL"],
        *(tile.href for tile in sources.tiles),
        *(clear.hrefs[band] for band in RECIPE.sentinel2.bands),
    ]
    assert headers_needed(choices, sources.tiles, RECIPE) == expected
    monkeypatch.setattr(batch_sources, "MOST_HEADERS", 3)
    assert headers_needed(choices, sources.tiles, RECIPE) == expected[:3]


def test_a_batch_without_footprints(catalog: Catalog, tmp_path: Path) -> None:
    nobody = BATCH.clear()
    assert search_sources(catalog, nobody, RECIPE, tmp_path).tiles == ()
    choices = choose_products(nobody, (), RECIPE.sentinel2, RECIPE.window_size)
    assert headers_needed(choices, (), RECIPE) == []
    assert isinstance(choices.frame, pl.DataFrame)
