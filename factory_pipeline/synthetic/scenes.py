"""Small scenes of any known collection, stored as the real ones are: for datasets that are not of GEDI.

The ground is a function of longitude and latitude, so that scenes in different grids and zones show the same;
every scene has its own noise, clouds and gaps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import AssetDescription, RasterCollection
from factory_pipeline.open_raster import open_raster
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.synthetic.stac import COG_TYPE, Json, raster_item

_BLOCK = 256
Degrees = NDArray[np.float64]
Ground = Callable[[str, Degrees, Degrees], Degrees]
"""What an asset shows at longitudes and latitudes: 0, the darkest, to 1."""


@dataclass(frozen=True)
class ScenePlan:
    """One scene that is to be made."""

    collection: RasterCollection
    id: str
    grid: Grid
    """Of assets whose pixels have the size of the grid's; the others cover the same ground."""
    time: datetime
    cloud_cover: float = 0.0
    """Percent of the pixels under clouds."""
    platform: str = ""
    gap: float = 0.0
    """Share of the columns on the right that have no data."""
    nodata_tag: bool = False
    """Whether the files themselves say which value has no data."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """More properties of the item."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """What `raster:bands` says of every asset that is a measurement, such as scale and offset."""
    only: tuple[str, ...] = ()
    """The assets that are made; all where it is empty."""
    shift: float = 0.0
    """Added to every stored measurement, as an offset that `stated` or a baseline tells of."""
    ground: Ground | None = None
    """What measurements show; without it each shows waves of its own."""
    seed: int = 0
    """Another one gives other noise."""


def write_scene(folder: Path, plan: ScenePlan) -> Json:
    """Write the rasters of a scene below `folder` and return its item.

    Args:
        folder: of the archive; rasters go to `rasters/<collection>/<scene>/`.
        plan: the scene.
    """
    collection = plan.collection
    assets: dict[str, Json] = {}
    by_key: dict[str, list[str]] = {}
    for name, described in collection.assets.items():
        if plan.only and name not in plan.only:
            continue
        by_key.setdefault(described.key or name, []).append(name)
    for key, names in by_key.items():
        first = collection.assets[names[0]]
        grid = _grid_of(plan.grid, first.pixel_size)
        bands = [_pixels(plan, name, collection.assets[name], grid) for name in names]
        path = f"rasters/{collection.id}/{plan.id}/{key}.tif"
        _write(folder / path, grid, np.stack(bands), first, plan.nodata_tag)
        assets[key] = {
            "href": f"../../{path}",
            "type": COG_TYPE,
            "roles": ["data"],
            "proj:shape": list(grid.shape),
            "proj:transform": [float(value) for value in tuple(grid.transform)[:6]],
        }
        if plan.stated and not first.is_categorical:
            assets[key]["raster:bands"] = [dict(plan.stated) for _ in names]
    properties: Json = {
        "datetime": f"{plan.time:%Y-%m-%dT%H:%M:%S.%f}Z",
        "proj:epsg": plan.grid.epsg,
        **plan.properties,
    }
    if plan.platform:
        properties["platform"] = plan.platform
    if collection.cloud_cover is not None:
        properties[collection.cloud_cover] = plan.cloud_cover
    return raster_item(collection.id, plan.id, plan.grid, properties, assets)


def _grid_of(grid: Grid, pixel_size: float) -> Grid:
    """The ground of a grid in pixels of another size; in degrees they keep theirs."""
    if grid.epsg == 4326:
        return grid
    left, bottom, right, top = grid.bounds
    width, height = round((right - left) / pixel_size), round((top - bottom) / pixel_size)
    return Grid(grid.epsg, left, top, pixel_size, pixel_size, width, height)


@lru_cache(maxsize=8)
def _centres(grid: Grid) -> tuple[Degrees, Degrees]:
    """Longitude and latitude of the centre of each pixel."""
    columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    x, y = grid.left + columns * grid.x_size, grid.top - rows * grid.y_size
    return (x, y) if grid.epsg == 4326 else to_degrees(grid.epsg, x, y)


def _pixels(plan: ScenePlan, name: str, described: AssetDescription, grid: Grid) -> NDArray[np.generic]:
    """The stored pixels of one band."""
    longitude, latitude = _centres(grid)
    seed = sum(map(ord, f"{plan.id} {name}"))
    random = np.random.default_rng(seed + plan.seed)
    if plan.ground is not None and not described.is_categorical:
        wave = 4.4 * plan.ground(name, longitude, latitude) - 2.2
    else:
        wave = np.sin(longitude * 900 + seed) + np.cos(latitude * 700 - seed)
    wave = wave + random.normal(0, 0.05, grid.shape)
    clouds = _clouds(plan, longitude, latitude)
    dtype = np.dtype(described.dtype)
    if described.classes is not None:
        values = _classes(described, wave, clouds)
    elif described.bits is not None:
        values = _flags(described, clouds)
    else:
        values = _measurement(described, wave, clouds) + plan.shift
    if plan.gap and described.nodata is not None:
        values[:, round(grid.width * (1 - plan.gap)) :] = described.nodata
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _clouds(plan: ScenePlan, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> Any:
    """Where a scene is under clouds, the same for all of its assets."""
    if not plan.cloud_cover:
        return np.zeros(longitude.shape, np.bool_)
    seed = sum(map(ord, plan.id))
    wave = np.sin(longitude * 400 + seed) * np.cos(latitude * 500 + 2 * seed)
    # The wave is spread about evenly from -1 to 1.
    return wave > 1 - 2 * plan.cloud_cover / 100


def _measurement(described: AssetDescription, wave: Any, clouds: Any) -> Any:
    """A fifth to a half of what an unsigned byte or the usual reflectance holds; clouds are bright."""
    low, high = (20.0, 200.0) if described.dtype == "uint8" else (600.0, 5000.0)
    if np.dtype(described.dtype).kind == "f":
        low, high = 0.02, 0.6
        if described.unit == "m":
            low, high = 100.0, 400.0
    values = low + (high - low) * (wave + 2.2) / 4.4
    return np.where(clouds, high * 1.2, values) if np.dtype(described.dtype).kind != "f" else values


def _classes(described: AssetDescription, wave: Any, clouds: Any) -> Any:
    """Classes of the ground, those of clouds under clouds where there are some."""
    assert described.classes is not None
    cloudy = [code for code, name in described.classes.items() if "cloud, high" in name]
    ground = [
        code for code, name in described.classes.items() if "cloud" not in name and "no data" not in name
    ]
    index = np.clip(((wave + 2.2) / 4.4 * len(ground)).astype(int), 0, len(ground) - 1)
    values = np.asarray(ground, dtype=np.float64)[index]
    return np.where(clouds, cloudy[0], values) if cloudy else values


def _flags(described: AssetDescription, clouds: Any) -> Any:
    """The bit of clouds under clouds, that of clear ground elsewhere."""
    assert described.bits is not None
    cloud = next((bit for bit, name in described.bits.items() if name == "cloud"), 0)
    clear = next((bit for bit, name in described.bits.items() if name in ("clear", "water")), None)
    return np.where(clouds, float(1 << cloud), float(1 << clear) if clear is not None else 0.0)


def _write(
    path: Path, grid: Grid, bands: NDArray[Any], described: AssetDescription, nodata_tag: bool
) -> None:
    profile = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": len(bands),
        "dtype": bands.dtype,
        "crs": f"EPSG:{grid.epsg}",
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "predictor": 3 if bands.dtype.kind == "f" else 2,
        "interleave": "pixel",
        # Four bands of bytes would be taken for colours with transparency.
        "photometric": "MINISBLACK",
        "alpha": "NO",
    }
    if nodata_tag and described.nodata is not None:
        profile["nodata"] = described.nodata
    with atomic_write(path) as temporary, open_raster(temporary, "w", **profile) as dataset:
        dataset.write(bands)
