"""Real items of every collection: parsed with their collection's file, or counted with the reason."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.stac.providers import SourceRequest, provider_named
from factory_pipeline.stac.scenes import PixelMeaning, Scene, parse_scenes, trim_scene

REALDATA = os.environ.get("FACTORY_REALDATA")
FOLDER = Path(REALDATA or "") / "stac_items"
real = pytest.mark.skipif(REALDATA is None, reason="FACTORY_REALDATA is not set")

ASSETS = {
    "sentinel-2-l2a": ("B02", "B04", "SCL"),
    "sentinel-1-rtc": ("vv", "vh"),
    "landsat-c2-l2": ("red", "qa_pixel"),
    "naip": ("red", "nir"),
    "modis-13Q1-061": ("NDVI",),
    "io-lulc-annual-v02": ("data",),
    "jrc-gsw": ("occurrence",),
    "alos-palsar-mosaic": ("HH", "HV"),
    "cop-dem-glo-30": ("data",),
    "esa-worldcover": ("map",),
}


def items_of(document: Any) -> list[dict[str, Any]]:
    """All items in a document, however deep."""
    if isinstance(document, list):
        return [item for each in document for item in items_of(each)]
    if isinstance(document, dict):
        if document.get("type") == "Feature" and "assets" in document:
            return [document]
        return [item for each in document.values() for item in items_of(each)]
    return []


def real_items() -> list[dict[str, Any]]:
    return [
        item
        for path in sorted(FOLDER.rglob("*.json"))
        for item in items_of(json.loads(path.read_text(encoding="utf-8")))
    ]


def parsed(collection: str, items: list[dict[str, Any]], provider: str = "planetary-computer") -> Any:
    request = SourceRequest(known_collections()[collection], ASSETS[collection])
    source = provider_named(provider, {"source": request}).source("source")
    return parse_scenes([trim_scene(item, source) for item in items], request, needs_clouds=False)


def one(collection: str) -> Scene:
    items = [item for item in real_items() if item.get("collection") == collection]
    scenes, unusable = parsed(collection, items)
    assert scenes, unusable
    return scenes[0]


@real
def test_every_real_item_is_a_scene_or_counted_with_its_reason() -> None:
    counts: Counter[str] = Counter()
    for item in real_items():
        collection = item.get("collection")
        if collection not in ASSETS:
            counts[f"{collection}: not of a known collection"] += 1
            continue
        scenes, unusable = parsed(collection, [item])
        assert len(scenes) + len(unusable) == 1
        counts[f"{collection}: {unusable[0].reason}" if unusable else collection] += 1
    assert sum(counts.values()) == len(real_items()) >= 75
    for collection in ASSETS:
        assert counts[collection], counts


@real
def test_meanings_are_those_that_items_state() -> None:
    landsat = one("landsat-c2-l2").assets
    assert landsat["red"].meaning == PixelMeaning(0, 2.75e-05, -0.2, 0)
    assert landsat["qa_pixel"].meaning == PixelMeaning(1, 1.0, 0.0, 1)
    assert one("sentinel-1-rtc").assets["vv"].meaning.nodata == -32768
    assert one("modis-13Q1-061").assets["NDVI"].meaning.scale == 0.0001
    naip = one("naip")
    assert (naip.assets["red"].band, naip.assets["nir"].band) == (1, 4)
    assert naip.assets["red"].href == naip.assets["nir"].href
    assert isinstance(naip.grid, Grid)
    assert naip.grid.x_size in (0.3, 0.6, 1.0)


@real
def test_times_are_moments_years_or_none() -> None:
    lulc = one("io-lulc-annual-v02")
    assert lulc.start.year < lulc.end.year
    assert one("jrc-gsw").start.year == 1970


ITEM = {
    "type": "Feature",
    "id": "S2A",
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
    "bbox": [0, 0, 1, 1],
    "properties": {
        "datetime": "2023-06-01T10:00:00Z",
        "s2:processing_baseline": "05.09",
        "eo:cloud_cover": 3,
    },
    "assets": {name: {"href": f"https://x.example/{name}.tif?sig=1"} for name in ("B02", "B04", "SCL")},
}


def test_an_offset_by_baseline_is_part_of_the_meaning() -> None:
    scenes, _ = parsed("sentinel-2-l2a", [ITEM])
    assert scenes[0].assets["B02"].meaning.offset == pytest.approx(-0.1)
    assert scenes[0].assets["SCL"].meaning.offset == 0
    assert scenes[0].assets["B02"].href == "https://x.example/B02.tif"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"assets": {}}, "no asset B02"),
        ({"geometry": None, "bbox": None}, "neither geometry nor bbox"),
        ({"properties": {"s2:processing_baseline": "02.00"}}, "no datetime"),
        ({"properties": {"datetime": "2023-06-01T10:00:00Z"}}, "no processing baseline"),
    ],
)
def test_an_item_that_can_not_be_used_is_counted(change: dict[str, Any], reason: str) -> None:
    scenes, unusable = parsed("sentinel-2-l2a", [{**ITEM, **change}])
    assert not scenes
    assert [item.reason for item in unusable] == [reason]


def test_bands_of_stac_1_1_state_scale_offset_and_no_data() -> None:
    asset = {"href": "a.tif", "bands": [{"name": "a"}, {"name": "b", "raster:scale": 0.5, "nodata": 9}]}
    stated = {**asset, "raster:offset": 3, "raster:scale": 2}
    item = {**ITEM, "assets": {"image": stated}, "properties": {"datetime": "2023-06-01T10:00:00Z"}}
    request = SourceRequest(known_collections()["naip"], ("red", "green"))
    source = provider_named("planetary-computer", {"naip": request}).source("naip")
    (scene,), _ = parse_scenes([trim_scene(item, source)], request, needs_clouds=False)
    assert scene.assets["red"].meaning == PixelMeaning(None, 2.0, 3.0, None)
    assert scene.assets["green"].meaning == PixelMeaning(9.0, 0.5, 3.0, None)
