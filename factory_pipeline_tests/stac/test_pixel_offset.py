"""The offset of the pixels is what is stated of them; the baseline tells only where nothing is stated."""

from typing import Any

import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import S2_BANDS
from factory_pipeline.stac.items import UNKNOWN_BASELINE, UnusableItemError, parse_product, trim_item
from factory_pipeline.stac.providers import EARTH_SEARCH, PLANETARY_COMPUTER
from factory_pipeline_tests.stac.small_stac import sentinel2_item

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
V1 = {"raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0}]}
V1_NONE = {"raster:bands": [{"scale": 0.0001, "offset": 0}]}
V2 = {"bands": [{"name": "x", "raster:scale": 0.0001, "raster:offset": -0.1}]}
V2_ON_ASSET = {"raster:scale": 0.0001, "raster:offset": -0.1}
IN_COUNTS = {"raster:bands": [{"offset": -1000}]}
UNSAID = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "spatial_resolution": 10}]}


def offset_of(baseline: str | None, stated: dict[str, Any], **properties: Any) -> int:
    item = sentinel2_item("product", "2020-06-01T10:40:31Z", 12.5, GRID)
    item["properties"] |= {"s2:processing_baseline": baseline, **properties}
    for asset in item["assets"].values():
        asset |= stated
    product = parse_product(trim_item(item, PLANETARY_COMPUTER.source("sentinel2")), S2_BANDS)
    assert product.baseline == (baseline or UNKNOWN_BASELINE)
    return product.offset


@pytest.mark.parametrize(
    ("baseline", "stated", "offset"),
    [
        ("99.99", V1_NONE, 0),
        ("99.99", V1, 1000),
        ("05.11", V1_NONE, 0),
        ("05.11", V2, 1000),
        ("02.14", V1, 1000),
        ("02.14", V2_ON_ASSET, 1000),
        ("02.14", IN_COUNTS, 1000),
        (None, V1_NONE, 0),
        (None, V2, 1000),
        ("05.11", UNSAID, 1000),
        ("02.14", UNSAID, 0),
    ],
)
def test_stated_offset_comes_before_the_baseline(
    baseline: str | None, stated: dict[str, Any], offset: int
) -> None:
    assert offset_of(baseline, stated) == offset


def test_offset_that_was_removed_comes_first() -> None:
    # Earth Search repeats the offset of ESA's product though it took it away.
    assert offset_of("05.11", V1, **{"earthsearch:boa_offset_applied": True}) == 0


@pytest.mark.parametrize(
    ("baseline", "stated", "says"),
    [
        ("99.99", {}, "no offset stated, and processing baseline 99.99 does not imply one"),
        (None, {}, "no processing baseline"),
        ("05.11", {"raster:bands": [{"offset": "much"}]}, "an offset that can't be read"),
        ("05.11", {"raster:bands": [{"offset": -0.1}]}, "an offset that is no whole number of counts"),
    ],
)
def test_offset_that_nobody_can_tell(baseline: str | None, stated: dict[str, Any], says: str) -> None:
    with pytest.raises(UnusableItemError, match=f"^{says}$"):
        offset_of(baseline, stated)


def test_bands_that_differ() -> None:
    item = sentinel2_item("product", "2020-06-01T10:40:31Z", 12.5, GRID)
    item["assets"]["B02"] |= V1
    item["assets"]["B03"] |= V1_NONE
    with pytest.raises(UnusableItemError, match="bands that state different offsets"):
        parse_product(trim_item(item, PLANETARY_COMPUTER.source("sentinel2")), S2_BANDS)


def test_bucket_whose_items_describe_the_original() -> None:
    item = sentinel2_item("product", "2020-06-01T10:40:31Z", 12.5, GRID, baseline="02.14")
    item["assets"] = {
        EARTH_SEARCH.source("sentinel2").assets[band]: asset for band, asset in item["assets"].items()
    }
    for key, asset in item["assets"].items():
        asset |= V1 | {"href": f"https://sentinel-cogs.s3.us-west-2.amazonaws.com/31/U/CT/{key}.tif"}
    assert parse_product(trim_item(item, EARTH_SEARCH.source("sentinel2")), S2_BANDS).offset == 0
