"""All real items go through search, choice and planning with the file of their collection."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from factory_pipeline.builds.check_recipe import forecast
from factory_pipeline.builds.dataset_extraction import choose_for, requests_of
from factory_pipeline.builds.dataset_plan import read_labels, windows_of
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.builds.rasters.source_layer import layers_of
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.storage.atomic import write_text
from factory_pipeline_tests.stac.test_scenes import ASSETS, real, real_items

pytestmark = [pytest.mark.integration, real]
ALL_ASSETS = {**ASSETS, "sentinel-1-grd": ("vv", "vh"), "sentinel-2-l1c": ("B02", "B04")}


def write_catalog(folder: Path, collection: str, items: list[dict[str, Any]]) -> Path:
    """A static catalog of items as they are."""
    links = []
    for number, item in enumerate(items):
        write_text(folder / "items" / f"{number}.json", json.dumps(item))
        links.append({"rel": "item", "href": f"./items/{number}.json"})
    about = {"stac_version": "1.0.0", "id": collection, "description": "", "license": "other"}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    write_text(
        folder / "collection.json",
        json.dumps({**about, "type": "Collection", "extent": extent, "links": links}),
    )
    child = [{"rel": "child", "href": "./collection.json"}]
    write_text(folder / "catalog.json", json.dumps({**about, "type": "Catalog", "links": child}))
    return folder


def middle_of(item: dict[str, Any]) -> shapely.Point:
    outline = shape(item["geometry"]) if item.get("geometry") else shapely.box(*item["bbox"])
    west, _, east, _ = outline.bounds
    if east - west < 180:
        return outline.representative_point()
    # Real outlines across the antimeridian may be invalid: the mean of their corners is inside.
    longitude, latitude = shapely.get_coordinates(outline).T
    middle = float(np.mean(longitude % 360))
    return shapely.Point(middle if middle <= 180 else middle - 360, float(latitude.mean()))


def recipe_of(folder: Path, collection: str, items: list[dict[str, Any]]) -> DatasetRecipe:
    """A point in the middle of each item, at its time."""
    rows = ["id,lon,lat,at"]
    for number, item in enumerate(items):
        place, properties = middle_of(item), item["properties"]
        time = properties.get("datetime") or properties.get("start_datetime")
        rows.append(f"{number},{place.x},{place.y},{time[:10]}")
    write_text(folder / "labels.csv", "\n".join(rows) + "\n")
    source: dict[str, Any] = {"collection": collection, "assets": list(ALL_ASSETS[collection])}
    if known_collections()[collection].time == "instant":
        source["time"] = {"around": "20d"}
    if len({known_collections()[collection].assets[name].pixel_size for name in ALL_ASSETS[collection]}) > 1:
        source["resampling"] = {"default": "bilinear"}
    document = {
        "name": "real",
        "labels": {"kind": "points", "path": "labels.csv", "id": "id", "time": {"column": "at"}},
        "window": {"size": 4, "pixel_size": 30},
        "sources": {"source": source},
        "splits": {"train": 100},
    }
    return DatasetRecipe.parse(document, collection, folder)


def test_every_item_is_chosen_or_counted_with_its_reason(tmp_path: Path) -> None:
    by_collection: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in real_items():
        by_collection[str(item.get("collection"))].append(item)
    counts: Counter[str] = Counter()
    for collection, items in by_collection.items():
        if collection not in known_collections():
            counts[f"{collection}: not of a known collection"] += len(items)
            continue
        folder = tmp_path / collection
        catalog = write_catalog(folder, collection, items)
        recipe = recipe_of(folder, collection, items)
        ledger = RejectLedger()
        windows, _ = windows_of(read_labels(recipe, ledger), recipe, ledger)
        assert not ledger.counts
        (layer,) = layers_of(recipe)
        choices, unusable = choose_for(
            layer, windows, open_catalog(str(catalog), requests=requests_of(recipe))
        )
        reasons = {item.id: item.reason for item in unusable}
        for row, choice in zip(windows["id"], choices, strict=True):
            item = items[int(row)]
            taken = {scene.id for step in choice.steps for each in step for scene in each.scenes}
            if item["id"] in taken:
                counts[f"{collection}: taken"] += 1
            elif item["id"] in reasons:
                assert taken or item["id"] in {missed.id for missed in choice.missed}
                counts[f"{collection}: {reasons[item['id']]}"] += 1
            else:
                assert taken, f"{item['id']} is neither taken nor counted, and no other scene is"
                counts[f"{collection}: another scene is preferred"] += 1
        planned = forecast(recipe, str(catalog)).sources["source"]
        assert planned.scenes == len({s.id for c in choices for t in c.steps for a in t for s in a.scenes})
        assert planned.blocks >= planned.assets
        assert sum(planned.unusable.values()) == len(unusable)
    assert sum(counts.values()) == len(real_items()) >= 75
    taken_of = {name.partition(":")[0] for name in counts if name.endswith(": taken")}
    assert taken_of >= ASSETS.keys(), counts
