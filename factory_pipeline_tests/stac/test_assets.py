"""Assets are recognised whatever a catalog calls them, and their grid is found wherever it stands."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import S2_BANDS, Sentinel2
from factory_pipeline.stac.items import parse_product, parse_tile, trim_item
from factory_pipeline.stac.providers import EARTH_SEARCH, PLANETARY_COMPUTER, open_catalog
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.stac.footprints import IN_JUNE
from factory_pipeline_tests.stac.small_stac import Item, sentinel2_item, worldcover_item, write_catalog

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
ANY = open_catalog("https://stac.example").provider


@pytest.fixture
def item() -> Item:
    name = "S2A_MSIL2A_20200601T104031_N0214_R008_T31UDT_20200601T120000"
    return sentinel2_item(name, "2020-06-01T10:40:31Z", 12.5, GRID)


def rename(item: Item, rename_key: Callable[[str], str]) -> Item:
    renamed = copy.deepcopy(item)
    renamed["assets"] = {rename_key(band): asset for band, asset in item["assets"].items()}
    return renamed


def as_earth_search(item: Item) -> Item:
    """The same item with Earth Search's asset keys and the assets that it has beside."""
    renamed = rename(item, EARTH_SEARCH.source("sentinel2").assets.__getitem__)
    jp2 = {
        f"{key}-jp2": {**asset, "href": asset["href"].replace(".tif", ".jp2"), "type": "image/jp2"}
        for key, asset in renamed["assets"].items()
    }
    bands = [{"name": band, "common_name": color} for band, color in (("B04", "red"), ("B03", "green"))]
    visual = {"href": "TCI.tif", "type": "image/tiff", "eo:bands": bands}
    thumbnail = {"href": "preview.jpg", "type": "image/jpeg", "eo:bands": bands[:1]}
    renamed["assets"] = {**jp2, "thumbnail": thumbnail, **renamed["assets"], "visual": visual}
    return renamed


def by_band_names(item: Item) -> Item:
    renamed = rename(
        item, lambda band: band if band == "SCL" else f"asset{sorted(item['assets']).index(band)}"
    )
    for band, asset in zip(item["assets"], renamed["assets"].values(), strict=True):
        asset["eo:bands"] = [{"name": band, "common_name": "rededge"}]
    return renamed


def by_common_names(item: Item) -> Item:
    """As the extension's version 2 and STAC 1.1 write them."""
    renamed = rename(
        item, lambda band: band if band == "SCL" else f"asset{sorted(item['assets']).index(band)}"
    )
    names = EARTH_SEARCH.source("sentinel2").assets | {
        "B05": "rededge071",
        "B06": "rededge075",
        "B07": "rededge078",
    }
    for band, asset in zip(item["assets"], renamed["assets"].values(), strict=True):
        asset["bands"] = [{"name": "1", "eo:common_name": names[band]}]
    return renamed


def by_resolution(item: Item) -> Item:
    """Every band at every resolution, as the Copernicus Data Space has them."""
    renamed = copy.deepcopy(item)
    renamed["assets"] = {}
    for band, asset in item["assets"].items():
        own = int(asset["proj:transform"][0])
        for metres in (60, 20, 10):
            if metres >= own:
                href = asset["href"] if metres == own else f"{band}_{metres}m.tif"
                renamed["assets"][f"{band}_{metres}m"] = {**asset, "href": href, "gsd": metres}
                renamed["assets"][f"{band}_{metres}m"]["proj:transform"] = [
                    metres,
                    0,
                    399_960,
                    0,
                    -metres,
                    5.7e6,
                ]
    return renamed


@pytest.mark.parametrize("change", [as_earth_search, by_band_names, by_common_names, by_resolution])
def test_bands_are_recognised(item: Item, change: Callable[[Item], Item]) -> None:
    product = parse_product(trim_item(change(item), ANY.source("sentinel2")), S2_BANDS)
    assert {band: Path(href).name for band, href in product.hrefs.items()} == {
        band: f"{band}.tif" for band in ("SCL", *S2_BANDS)
    }
    assert product.grid == GRID


def test_common_name_of_three_bands_is_not_enough(item: Item) -> None:
    renamed = by_band_names(item)
    for asset in renamed["assets"].values():
        asset.pop("eo:bands")
        asset["bands"] = [{"name": "x", "eo:common_name": "rededge"}]
    assert list(trim_item(renamed, ANY.source("sentinel2"))["assets"]) == ["SCL"]


def test_provider_of_ones_own_names_its_assets_itself(item: Item) -> None:
    trimmed = trim_item(as_earth_search(item), PLANETARY_COMPUTER.source("sentinel2"))
    assert trimmed["assets"] == {}


def test_the_one_raster_of_a_tile_is_recognised() -> None:
    item = worldcover_item(0, 6, 2021)
    (asset,) = item["assets"].values()
    raster = {**asset, "type": "image/tiff; application=geotiff", "roles": ["data"]}
    item["assets"] = {
        "ESA_WorldCover_10m_2021_v200_N00E006_Map": raster,
        "quality": {"href": "quality.tif", "type": "image/tiff", "roles": ["metadata"]},
        "preview": {"href": "preview.png", "type": "image/png"},
    }
    assert (
        parse_tile(trim_item(item, ANY.source("worldcover"))).name == "ESA_WorldCover_10m_2021_v200_N00E006"
    )


def test_public_buckets_are_read_without_an_account() -> None:
    item = worldcover_item(0, 6, 2021)
    item["assets"]["map"]["href"] = "s3://esa-worldcover/v200/2021/map/N00E006_Map.tif"
    tile = parse_tile(trim_item(item, ANY.source("worldcover")))
    assert tile.href == "https://esa-worldcover.s3.eu-central-1.amazonaws.com/v200/2021/map/N00E006_Map.tif"


@pytest.mark.parametrize("on_item", [False, True])
@pytest.mark.parametrize(
    "epsg", [{"proj:epsg": 32631}, {"proj:code": "EPSG:32631"}, {"proj:code": "epsg:32631"}]
)
def test_grid_from_bbox_and_shape(item: Item, on_item: bool, epsg: dict[str, Any]) -> None:
    del item["properties"]["proj:epsg"]
    item["properties"] |= epsg
    for asset in item["assets"].values():
        del asset["proj:transform"]
        shape = asset.pop("proj:shape")
        (item["properties"] if on_item else asset).update(
            {"proj:bbox": list(GRID.bounds), "proj:shape": [10_980, 10_980] if on_item else shape}
        )
    assert parse_product(trim_item(item, ANY.source("sentinel2")), S2_BANDS).grid == GRID


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://earth-search.aws.element84.com/v1", EARTH_SEARCH),
        ("https://earth-search.aws.element84.com/v1/", EARTH_SEARCH),
        ("http://Earth-Search.aws.element84.com/v1?x=1", EARTH_SEARCH),
        ("https://planetarycomputer.microsoft.com/api/stac/v1", PLANETARY_COMPUTER),
        ("https://user:secret@planetarycomputer.microsoft.com/api/stac/v1/", PLANETARY_COMPUTER),
    ],
)
def test_address_of_a_known_provider_is_that_provider(url: str, provider: object) -> None:
    assert open_catalog(url).provider == provider


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["folder", "api"])
def test_earth_searchs_keys_in_a_folder_and_behind_an_api(tmp_path: Path, item: Item, kind: str) -> None:
    write_catalog(tmp_path, [as_earth_search(item)])
    with SampleServer(tmp_path) as server:
        address = server.stac_url if kind == "api" else str(tmp_path)
        found = find_products(open_catalog(address), IN_JUNE, Sentinel2())
    assert [product.id for product in found.products] == [item["id"]]
    assert found.unusable == {}


def real_items() -> Iterator[Item]:
    folder = os.environ.get("FACTORY_REALDATA")
    if not folder:
        pytest.skip("FACTORY_REALDATA is not set")
    for path in sorted(Path(folder, "stac_items").glob("*sentinel-*.json")):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and document.get("type") == "Feature":
            yield document


def test_real_items_are_recognised_as_their_providers_keys_say() -> None:
    count = 0
    for item in real_items():
        own = EARTH_SEARCH if "blue" in item["assets"] else PLANETARY_COMPUTER
        by_key = parse_product(trim_item(item, own.source("sentinel2")), S2_BANDS)
        recognised = parse_product(trim_item(item, ANY.source("sentinel2")), S2_BANDS)
        assert recognised == by_key
        count += 1
    assert count >= 10
