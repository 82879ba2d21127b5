"""Items to products and tiles: those of the tests, and real ones of every catalog."""

import copy
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import S2_BANDS
from factory_pipeline.stac.items import (
    UnusableItemError,
    count_reasons,
    parse_product,
    parse_products,
    parse_tile,
    parse_tiles,
    trim_item,
)
from factory_pipeline.stac.providers import EARTH_SEARCH, PLANETARY_COMPUTER, LayerSource
from factory_pipeline_tests.stac.small_stac import Item, sentinel2_item, worldcover_item

GRID = Grid(32631, 300_000, 5_700_000, 10, 10, 10_980, 10_980)
SENTINEL2 = PLANETARY_COMPUTER.source("sentinel2")


@pytest.fixture
def item() -> Item:
    name = "S2A_MSIL2A_20200601T104031_N0500_R008_T31UCT_20200601T120000"
    return sentinel2_item(name, "2020-06-01T10:40:31.024000Z", 12.5, GRID, baseline="05.00")


def parse(item: Item, source: LayerSource = SENTINEL2) -> Any:
    return parse_product(trim_item(item, source), S2_BANDS)


def test_product(item: Item) -> None:
    product = parse(item)
    assert product.id == product.name == item["id"]
    assert product.time == datetime(2020, 6, 1, 10, 40, 31, 24000, tzinfo=UTC)
    assert (product.cloud_cover, product.baseline, product.grid) == (12.5, "05.00", GRID)
    assert set(product.hrefs) == {"SCL", *S2_BANDS}
    assert product.hrefs["B11"].endswith("/B11.tif")


def test_projection_may_stand_on_the_item_or_on_the_asset_in_either_spelling(item: Item) -> None:
    by_code = copy.deepcopy(item)
    del by_code["properties"]["proj:epsg"]
    for asset in by_code["assets"].values():
        asset["proj:code"] = "EPSG:32631"
    on_item = copy.deepcopy(item)
    for field in ("proj:shape", "proj:transform"):
        on_item["properties"][field] = item["assets"]["B02"][field]
        for asset in on_item["assets"].values():
            del asset[field]
    on_item["properties"]["proj:transform"] += [0.0, 0.0, 1.0]
    assert parse(by_code).grid == parse(on_item).grid == GRID


@pytest.mark.parametrize(
    ("baseline", "fields", "in_pixels"),
    [
        ("02.14", {}, False),
        ("03.01", {}, False),
        ("04.00", {}, True),
        ("05.11", {}, True),
        ("05.11", {"earthsearch:boa_offset_applied": True}, False),
        ("05.11", {"earthsearch:boa_offset_applied": False}, True),
        ("05.11", {"sentinel:boa_offset_applied": True}, False),
    ],
)
def test_offset_is_in_the_pixels_unless_it_was_removed(
    item: Item, baseline: str, fields: dict[str, bool], in_pixels: bool
) -> None:
    item["properties"] |= {"s2:processing_baseline": baseline, **fields}
    assert parse(item).offset == (1000 if in_pixels else 0)


def test_baseline_is_read_from_the_name_where_no_field_holds_it(item: Item) -> None:
    del item["properties"]["s2:processing_baseline"]
    assert parse(item).baseline == "05.00"


def _without(*path: str) -> Any:
    def change(item: Item) -> None:
        holder: Any = item
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]

    return change


def _with_property(name: str, value: Any) -> Any:
    return lambda item: item["properties"].update({name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without("assets", "B8A"), "no asset B8A"),
        (_without("assets", "SCL", "href"), "no asset SCL"),
        (_without("properties", "eo:cloud_cover"), "no eo:cloud_cover"),
        (_with_property("eo:cloud_cover", None), "no eo:cloud_cover"),
        (_without("properties", "datetime"), "no datetime"),
        (_with_property("datetime", "soon"), "no datetime"),
        (_without("properties", "proj:epsg"), "no projection fields for the 10 m grid"),
        (lambda item: item["assets"].update(B02=item["assets"]["SCL"]), None),
        (_with_property("s2:processing_baseline", "new"), "no processing baseline"),
        (_without("geometry"), "no geometry"),
    ],
)
def test_item_without_what_is_needed_is_unusable(item: Item, change: Any, reason: str | None) -> None:
    change(item)
    if reason is None:
        # Another 10 m band still gives the grid.
        assert parse(item).grid == GRID
        return
    with pytest.raises(UnusableItemError, match=f"^{reason}$"):
        parse(item)


def test_unusable_items_are_counted_by_reason_and_ids_come_once(item: Item) -> None:
    cloudless = copy.deepcopy(item) | {"id": "cloudless"}
    del cloudless["properties"]["eo:cloud_cover"]
    earlier = copy.deepcopy(item) | {"id": "A"}
    trimmed = [trim_item(each, SENTINEL2) for each in (item, earlier, cloudless, item, cloudless)]
    found = parse_products(trimmed, S2_BANDS)
    assert [product.id for product in found.products] == ["A", item["id"]]
    assert found.unusable == {"no eo:cloud_cover": 1}


def test_no_signature_is_kept(item: Item) -> None:
    item["assets"]["B02"]["href"] = "https://a.blob.core.windows.net/c/B02.tif?st=2020&se=2021&sig=secret"
    item["assets"]["B03"]["href"] = "https://s3.example/c/B03.tif?X-Amz-Signature=secret&X-Amz-Expires=3"
    item["assets"]["B04"]["href"] = "https://files.example/get?path=B04.tif"
    trimmed = trim_item(item, SENTINEL2)
    assert trimmed["assets"]["B02"]["href"] == "https://a.blob.core.windows.net/c/B02.tif"
    assert trimmed["assets"]["B03"]["href"] == "https://s3.example/c/B03.tif"
    assert trimmed["assets"]["B04"]["href"] == "https://files.example/get?path=B04.tif"
    assert "secret" not in json.dumps(trimmed)


def test_outline_across_the_antimeridian_is_one_piece(item: Item) -> None:
    ring = [[179.5, 50], [-179.5, 50], [-179.5, 51], [179.5, 51], [179.5, 50]]
    item["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    assert parse(item).outline.equals(shapely.box(179.5, 50, 180.5, 51))


def test_tile_is_as_large_as_its_raster_not_as_its_land() -> None:
    item = worldcover_item(0, 6, 2021)
    item["bbox"] = [6.2, 0.0, 9.0, 2.8]
    tile = parse_tile(trim_item(item, PLANETARY_COMPUTER.source("worldcover")))
    assert tile.bounds == pytest.approx((6, 0, 9, 3), abs=1e-9)
    assert (tile.name, tile.year) == ("ESA_WorldCover_10m_2021_v200_N00E006", 2021)


def test_tile_without_projection_fields_has_the_bounds_of_its_bbox() -> None:
    item = worldcover_item(0, 6, 2021)
    for field in ("proj:shape", "proj:transform"):
        del item["properties"][field]
    item["bbox"] = [6, 0, 10.0, 9, 3, 500.0]
    trimmed = trim_item(item, PLANETARY_COMPUTER.source("worldcover"))
    assert parse_tile(trimmed).bounds == (6, 0, 9, 3)
    tiles, unusable = parse_tiles([{**trimmed, "bbox": None}, {**trimmed, "id": "x", "assets": {}}])
    assert tiles == ()
    assert count_reasons(unusable) == {"neither projection fields nor a bbox": 1, "no raster asset": 1}


# Real items


@pytest.fixture(scope="session")
def real_items() -> Path:
    folder = os.environ.get("FACTORY_REALDATA")
    if not folder:
        pytest.skip("FACTORY_REALDATA is not set")
    return Path(folder) / "stac_items"


def _items_of(folder: Path, pattern: str, collection: str) -> Iterator[Item]:
    for path in sorted(folder.glob(pattern)):
        document = json.loads(path.read_text())
        if isinstance(document, dict):
            document = document.get("response", document)
            document = document.get("features", [document])
        yield from (item for item in document if item.get("collection") == collection)


def test_real_items_of_planetary_computer(real_items: Path) -> None:
    items = list(_items_of(real_items, "*pc*.json", "sentinel-2-l2a"))
    found = parse_products([trim_item(item, SENTINEL2) for item in items], S2_BANDS)
    assert found.unusable == {}
    assert len(found.products) == len({item["id"] for item in items}) >= 10
    by_id = {product.id: product for product in found.products}
    new = by_id["S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213"]
    assert new.name == "S2B_MSIL2A_20250312T014549_N0511_R074_T53NKG_20250312T041213"
    assert new.grid == Grid(32653, 199_980, 700_020, 10, 10, 10_980, 10_980)
    assert new.offset == 1000
    old = by_id["S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652"]
    assert (old.baseline, old.offset, old.cloud_cover) == ("02.12", 0, 56.297088)


def test_real_items_of_earth_search(real_items: Path) -> None:
    items = list(_items_of(real_items, "earth*search*.json", "sentinel-2-l2a"))
    found = parse_products([trim_item(item, EARTH_SEARCH.source("sentinel2")) for item in items], S2_BANDS)
    by_id = {product.id: product for product in found.products}
    product = by_id["S2A_13TDE_20231008_0_L2A"]
    assert product.name == "S2A_MSIL2A_20231008T175231_N0509_R141_T13TDE_20231008T233154"
    assert (product.baseline, product.offset) == ("05.09", 0)
    assert product.grid == Grid(32613, 399_960, 4_500_000, 10, 10, 10_980, 10_980)
    assert product.hrefs["B8A"].endswith("/B8A.tif")
    # One tool's extract of the catalog keeps next to no properties: nobody can tell its radiometry.
    assert found.unusable == {"no processing baseline": 14}


def test_real_item_of_the_older_earth_search(real_items: Path) -> None:
    (item,) = _items_of(real_items, "earth-search__sentinel-s2-*.json", "sentinel-s2-l2a-cogs")
    product = parse(item)
    assert product.name == "S2B_MSIL2A_20250731T131909_N0511_R095_T20EPT_20250731T143919"
    assert (product.baseline, product.offset) == ("05.11", 0)


def test_real_tiles(real_items: Path) -> None:
    dem, unusable = parse_tiles(
        trim_item(item, PLANETARY_COMPUTER.source("copdem"))
        for pattern in ("pc__*.json", "*pc.json", "stactools*item.json")
        for item in _items_of(real_items, pattern, "cop-dem-glo-30")
    )
    assert unusable == ()
    bounds = {tile.name: tile.bounds for tile in dem}
    assert bounds["Copernicus_DSM_COG_10_N53_00_W115_00_DEM"] == pytest.approx(
        (-115.00020833, 53.00013889, -114.00020833, 54.00013889)
    )
    maps, unusable = parse_tiles(
        trim_item(item, PLANETARY_COMPUTER.source("worldcover"))
        for pattern in ("pc__*.json", "ESA*.json")
        for item in _items_of(real_items, pattern, "esa-worldcover")
    )
    assert unusable == ()
    assert {(tile.name, tile.year): tile.bounds for tile in maps} == {
        ("ESA_WorldCover_10m_2020_v100_N00E006", 2020): pytest.approx((6, 0, 9, 3)),
        ("ESA_WorldCover_10m_2021_v200_N00E006", 2021): pytest.approx((6, 0, 9, 3)),
        ("ESA_WorldCover_10m_2021_v200_S60W030", 2021): pytest.approx((-30, -60, -27, -57)),
    }


def test_real_dem_of_earth_search_is_read_without_an_account(real_items: Path) -> None:
    (item,) = _items_of(real_items, "earth-search__cop*.json", "cop-dem-glo-30")
    tile = parse_tile(trim_item(item, EARTH_SEARCH.source("copdem")))
    assert tile.href == (
        "https://copernicus-dem-30m.s3.eu-central-1.amazonaws.com/"
        "Copernicus_DSM_COG_10_S90_00_W180_00_DEM/Copernicus_DSM_COG_10_S90_00_W180_00_DEM.tif"
    )
