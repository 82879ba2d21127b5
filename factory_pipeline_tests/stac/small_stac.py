"""A small static catalog for tests; its items are shaped as Planetary Computer's."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import mapping

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.stac.providers import PLANETARY_COMPUTER

Item = dict[str, Any]


def outline_of(grid: Grid) -> shapely.Geometry:
    """The extent of a grid in degrees."""
    x, y = shapely.get_coordinates(shapely.segmentize(shapely.box(*grid.bounds), 10_000)).T
    return shapely.polygons(list(zip(*to_degrees(grid.epsg, x, y), strict=True)))


def sentinel2_item(
    name: str,
    time: str,
    cloud_cover: float,
    grid: Grid,
    baseline: str = "02.14",
    outline: shapely.Geometry | None = None,
) -> Item:
    """A product whose outline is all of its grid, if no other is given."""
    outline = outline_of(grid) if outline is None else outline
    twenty = Grid(grid.epsg, grid.left, grid.top, 20, 20, grid.width // 2, grid.height // 2)
    grids = {
        band: twenty if band in ("SCL", "B11") else grid
        for band in PLANETARY_COMPUTER.source("sentinel2").assets
    }
    assets = {
        band: {
            "href": f"../../../s2/{name}/{band}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "proj:shape": list(of_band.shape),
            "proj:transform": [float(value) for value in of_band.transform[:6]],
        }
        for band, of_band in grids.items()
    }
    properties = {
        "datetime": time,
        "eo:cloud_cover": cloud_cover,
        "proj:epsg": grid.epsg,
        "s2:processing_baseline": baseline,
        "s2:product_uri": f"{name}.SAFE",
    }
    return _item("sentinel-2-l2a", name, outline, properties, assets)


def copdem_item(south: int, west: int) -> Item:
    """A one-degree tile; as the real ones, it lies half a pixel to the north-west of the whole degree."""
    half = 0.5 / 3600
    name = (
        f"Copernicus_DSM_COG_10_{'NS'[south < 0]}{abs(south):02d}_00_{'EW'[west < 0]}{abs(west):03d}_00_DEM"
    )
    bounds = (west - half, south + half, west + 1 - half, south + 1 + half)
    return _tile("cop-dem-glo-30", name, bounds, 3600, {"datetime": "2021-04-22T00:00:00Z"}, "data")


def worldcover_item(south: int, west: int, year: int) -> Item:
    """A three-degree tile of the map of a year."""
    version = {2020: "v100", 2021: "v200"}[year]
    corner = f"{'NS'[south < 0]}{abs(south):02d}{'EW'[west < 0]}{abs(west):03d}"
    name = f"ESA_WorldCover_10m_{year}_{version}_{corner}"
    times = {
        "datetime": None,
        "start_datetime": f"{year}-01-01T00:00:00Z",
        "end_datetime": f"{year}-12-31T23:59:59Z",
    }
    return _tile("esa-worldcover", name, (west, south, west + 3, south + 3), 36_000, times, "map")


def _tile(
    collection: str,
    name: str,
    bounds: tuple[float, float, float, float],
    pixels: int,
    times: dict[str, Any],
    asset: str,
) -> Item:
    west, _, east, north = bounds
    size = (east - west) / pixels
    properties = {
        **times,
        "proj:epsg": 4326,
        "proj:shape": [pixels, pixels],
        "proj:transform": [size, 0, west, 0, -size, north],
    }
    assets = {asset: {"href": f"../../../{collection}/{name}.tif"}}
    return _item(collection, name, shapely.box(*bounds), properties, assets)


def _item(
    collection: str, name: str, outline: shapely.Geometry, properties: dict[str, Any], assets: dict[str, Any]
) -> Item:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": mapping(outline),
        "bbox": list(outline.bounds),
        "properties": properties,
        "assets": assets,
        "links": [],
    }


def write_catalog(root: Path, items: Iterable[Item]) -> Path:
    """Write `stac/catalog.json` with the three collections below `root`; gives `root` back."""
    items = list(items)
    sources = (
        PLANETARY_COMPUTER.source("sentinel2"),
        PLANETARY_COMPUTER.source("copdem"),
        PLANETARY_COMPUTER.source("worldcover"),
    )
    collections = [source.collection for source in sources]
    for collection in collections:
        own = [item for item in items if item["collection"] == collection]
        for item in own:
            _write(root / "stac" / collection / item["id"] / "item.json", item)
        document = {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": collection,
            "description": collection,
            "license": "proprietary",
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
            "links": [{"rel": "item", "href": f"./{item['id']}/item.json"} for item in own],
        }
        _write(root / "stac" / collection / "collection.json", document)
    catalog = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "small",
        "description": "a catalog for tests",
        "links": [{"rel": "child", "href": f"./{name}/collection.json"} for name in collections],
    }
    _write(root / "stac" / "catalog.json", catalog)
    return root


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
