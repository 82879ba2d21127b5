"""The static STAC catalog of the sample archive, with the fields that Planetary Computer's items have."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.synthetic.dem import DemTile, dem_file, dem_grid, dem_name
from factory_pipeline.synthetic.mgrs import to_lonlat
from factory_pipeline.synthetic.sentinel2 import ASSET_RESOLUTIONS, ClassFractions, SyntheticProduct
from factory_pipeline.synthetic.world import SceneClass
from factory_pipeline.synthetic.worldcover import (
    WORLDCOVER_CLASSES,
    WORLDCOVER_VERSIONS,
    WorldCoverTile,
    worldcover_file,
    worldcover_grid,
    worldcover_id,
    worldcover_tile_name,
)

SENTINEL2 = "sentinel-2-l2a"
COPDEM = "cop-dem-glo-30"
WORLDCOVER = "esa-worldcover"

Json = dict[str, Any]

COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
_EXTENSIONS = "https://stac-extensions.github.io"
_EO, _SAT, _PROJECTION = (f"{_EXTENSIONS}/{name}/v1.0.0/schema.json" for name in ("eo", "sat", "projection"))
# Common name, centre wavelength and width at half maximum in micrometres.
_BANDS: dict[str, tuple[str | None, float, float]] = {
    "B01": ("coastal", 0.443, 0.027),
    "B02": ("blue", 0.49, 0.098),
    "B03": ("green", 0.56, 0.045),
    "B04": ("red", 0.665, 0.038),
    "B05": ("rededge", 0.704, 0.019),
    "B06": ("rededge", 0.74, 0.018),
    "B07": ("rededge", 0.783, 0.028),
    "B08": ("nir", 0.842, 0.145),
    "B8A": ("rededge", 0.865, 0.033),
    "B09": (None, 0.945, 0.026),
    "B11": ("swir16", 1.61, 0.143),
    "B12": ("swir22", 2.19, 0.242),
}
_CLASS_PERCENTAGES = {
    "s2:dark_features_percentage": SceneClass.DARK,
    "s2:cloud_shadow_percentage": SceneClass.CLOUD_SHADOW,
    "s2:vegetation_percentage": SceneClass.VEGETATION,
    "s2:not_vegetated_percentage": SceneClass.NOT_VEGETATED,
    "s2:water_percentage": SceneClass.WATER,
    "s2:unclassified_percentage": SceneClass.UNCLASSIFIED,
}
_CLOUD_SHARES = {
    "s2:medium_proba_clouds_percentage": 0.3,
    "s2:high_proba_clouds_percentage": 0.45,
    "s2:thin_cirrus_percentage": 0.25,
}


def sentinel2_item(product: SyntheticProduct, class_fractions: ClassFractions) -> Json:
    """Return the item of a product; `class_fractions` are the fractions of the SCL classes.

    Args:
        product: of the archive.
        class_fractions: of the SCL classes, 0 to 1.
    """
    corner = product.tile.grid(10)
    cloud_free = 100.0 - product.visit.cloud_cover
    clear_total = sum(class_fractions.get(code, 0.0) for code in _CLASS_PERCENTAGES.values())
    properties = {
        "datetime": _iso(product.time),
        "platform": f"Sentinel-{product.platform[1:]}",
        "proj:epsg": product.tile.epsg,
        "instruments": ["msi"],
        "constellation": "Sentinel 2",
        "eo:cloud_cover": product.visit.cloud_cover,
        "sat:orbit_state": "descending",
        "sat:relative_orbit": product.relative_orbit,
        "s2:mgrs_tile": product.tile.name,
        "s2:product_uri": product.product_uri,
        "s2:product_type": "S2MSI2A",
        "s2:datatake_type": "INS-NOBS",
        "s2:generation_time": _iso(product.generation_time),
        "s2:processing_baseline": product.visit.baseline,
        "s2:mean_solar_zenith": 35.0,
        "s2:mean_solar_azimuth": 155.0,
        "s2:nodata_pixel_percentage": 0.0,
        "s2:snow_ice_percentage": 0.0,
        "s2:degraded_msi_data_percentage": 0.0,
        "s2:saturated_defective_pixel_percentage": 0.0,
    }
    for name, code in _CLASS_PERCENTAGES.items():
        share = class_fractions.get(code, 0.0) / clear_total if clear_total else 0.0
        properties[name] = round(share * cloud_free, 6)
    for name, share in _CLOUD_SHARES.items():
        properties[name] = round(share * product.visit.cloud_cover, 6)
    assets = {asset: _sentinel2_asset(product, asset) for asset in sorted(product.assets)}
    return raster_item(SENTINEL2, product.item_id, corner, properties, assets, [_EO, _SAT, _PROJECTION])


def dem_item(tile: DemTile) -> Json:
    """Return the item of an elevation tile."""
    name, grid = dem_name(tile), dem_grid(tile)
    properties = {
        "gsd": 30,
        "datetime": "2021-04-22T00:00:00Z",
        "platform": "TanDEM-X",
        "proj:epsg": grid.epsg,
        "proj:shape": list(grid.shape),
        "proj:transform": _transform(grid),
    }
    asset = {
        "href": _href(COPDEM, dem_file(tile)),
        "type": COG_TYPE,
        "roles": ["data"],
        "title": name.removeprefix("Copernicus_DSM_COG_10_").removesuffix("_DEM"),
    }
    return raster_item(COPDEM, name, grid, properties, {"data": asset}, [_PROJECTION])


def worldcover_item(tile: WorldCoverTile, year: int) -> Json:
    """Return the item of a land cover tile; it has a range of dates instead of a date.

    Args:
        tile: of the map.
        year: of the map.
    """
    name, grid, square = worldcover_id(tile, year), worldcover_grid(tile), worldcover_tile_name(tile)
    properties = {
        "datetime": None,
        "start_datetime": f"{year}-01-01T00:00:00Z",
        "end_datetime": f"{year}-12-31T23:59:59Z",
        "created": f"{year + 1}-10-01T00:00:00Z",
        "mission": "sentinel-1, sentinel-2",
        "platform": "sentinel-1a, sentinel-1b, sentinel-2a, sentinel-2b",
        "instruments": ["c-sar", "msi"],
        "grid:code": f"ESAWORLDCOVER-{square}",
        "proj:epsg": grid.epsg,
        "description": "ESA WorldCover product at 10m resolution",
        "esa_worldcover:product_tile": square,
        "esa_worldcover:product_version": f"{WORLDCOVER_VERSIONS[year][1]}.0.0",
    }
    asset = {
        "href": _href(WORLDCOVER, worldcover_file(tile, year)),
        "type": COG_TYPE,
        "roles": ["data"],
        "title": "Land Cover Classes",
        "proj:shape": list(grid.shape),
        "proj:transform": _transform(grid),
        "raster:bands": [{"nodata": 0, "sampling": "area", "data_type": "uint8", "spatial_resolution": 10}],
        "classification:classes": [
            {"value": code, "description": label, "color-hint": color}
            for code, (label, color) in WORLDCOVER_CLASSES.items()
        ],
    }
    extensions = [
        f"{_EXTENSIONS}/{name}/schema.json"
        for name in ("projection/v1.1.0", "grid/v1.1.0", "raster/v1.1.0", "classification/v1.0.0")
    ]
    return raster_item(WORLDCOVER, name, grid, properties, {"map": asset}, extensions)


def write_catalog(folder: Path, items: Sequence[Json]) -> None:
    """Write items, their collections and, last, catalog.json.

    Args:
        folder: of the catalog.
        items: as JSON.
    """
    collections = sorted({item["collection"] for item in items})
    for collection in collections:
        members = sorted(
            (item for item in items if item["collection"] == collection), key=lambda item: str(item["id"])
        )
        for item in members:
            _write_json(folder / collection / f"{item['id']}.json", item)
        _write_json(folder / collection / "collection.json", _collection(collection, members))
    links = [
        {"rel": "root", "href": "./catalog.json", "type": "application/json"},
        *(
            {"rel": "child", "href": f"./{name}/collection.json", "type": "application/json"}
            for name in collections
        ),
    ]
    catalog = {
        "type": "Catalog",
        "id": "factory-sample",
        "title": "Sample archive",
        "description": "A generated landscape in the formats of the real archives.",
        "stac_version": "1.0.0",
        "links": links,
    }
    _write_json(folder / "catalog.json", catalog)


def _sentinel2_asset(product: SyntheticProduct, asset: str) -> Json:
    resolution = ASSET_RESOLUTIONS[asset]
    grid = product.tile.grid(resolution)
    left, bottom, right, top = grid.bounds
    fields: Json = {
        "href": _href(SENTINEL2, f"{product.item_id}/{product.asset_file(asset)}"),
        "proj:bbox": [left, bottom, right, top],
        "proj:shape": list(grid.shape),
        "proj:transform": _transform(grid),
        "gsd": float(resolution),
        "type": COG_TYPE,
        "roles": ["data"],
        "title": f"Band {asset[1:].lstrip('0')} - {resolution}m",
    }
    if asset == "SCL":
        return fields | {"title": "Scene classification map (SCL)"}
    common_name, wavelength, width = _BANDS[asset]
    band: Json = {"name": asset, "center_wavelength": wavelength, "full_width_half_max": width}
    if common_name is not None:
        band["common_name"] = common_name
    return fields | {"eo:bands": [band]}


def raster_item(
    collection: str,
    name: str,
    grid: Grid,
    properties: Json,
    assets: Json,
    extensions: Sequence[str] = (_PROJECTION,),
) -> Json:
    """Return an item whose outline is that of a grid.

    Args:
        collection: id of its collection.
        name: its id.
        grid: of its ground.
        properties: of the item.
        assets: by key.
        extensions: addresses of the schemas of STAC extensions.
    """
    ring = _outline(grid)
    lon, lat = [place[0] for place in ring], [place[1] for place in ring]
    links = [
        {"rel": rel, "href": href, "type": "application/json"}
        for rel, href in (
            ("root", "../catalog.json"),
            ("parent", "./collection.json"),
            ("collection", "./collection.json"),
        )
    ]
    return {
        "type": "Feature",
        "id": name,
        "collection": collection,
        "stac_version": "1.0.0",
        "stac_extensions": list(extensions),
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
        "assets": assets,
        "links": links,
    }


def _collection(name: str, items: Sequence[Json]) -> Json:
    boxes = np.array([item["bbox"] for item in items])
    times = sorted(_time_range(item) for item in items)
    links = [
        {"rel": "root", "href": "../catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
        *({"rel": "item", "href": f"./{item['id']}.json", "type": "application/geo+json"} for item in items),
    ]
    return {
        "type": "Collection",
        "id": name,
        "title": _title(name),
        "description": f"{_title(name)}: generated sample.",
        "license": "proprietary",
        "stac_version": "1.0.0",
        "extent": {
            "spatial": {"bbox": [[*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]]},
            "temporal": {"interval": [[times[0][0], max(end for _, end in times)]]},
        },
        "links": links,
    }


def _title(collection: str) -> str:
    """What a catalog calls a collection."""
    known = known_collections()
    return known[collection].title if collection in known else collection


def _time_range(item: Json) -> tuple[str, str]:
    properties = item["properties"]
    if properties["datetime"] is None:
        return properties["start_datetime"], properties["end_datetime"]
    return properties["datetime"], properties["datetime"]


def _outline(grid: Grid) -> list[list[float]]:
    """Return the grid's corners in degrees, counter-clockwise and closed."""
    left, bottom, right, top = grid.bounds
    x = np.array([left, right, right, left, left])
    y = np.array([bottom, bottom, top, top, bottom])
    lon, lat = (x, y) if grid.epsg == 4326 else to_lonlat(grid.epsg, x, y)
    return [[round(float(a), 8), round(float(b), 8)] for a, b in zip(lon, lat, strict=True)]


def _transform(grid: Grid) -> list[float]:
    return [float(value) for value in tuple(grid.transform)[:6]]


def _href(collection: str, path: str) -> str:
    return f"../../rasters/{collection}/{path}"


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def _write_json(path: Path, document: Json) -> None:
    write_text(path, json.dumps(document, indent=1) + "\n")
