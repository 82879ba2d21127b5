"""Canopy height by rasters: Landsat at 30 m and aerial photographs at 0.6 m, in two zones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.open_raster import open_raster
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.synthetic.samples.places import SIERRA, day
from factory_pipeline.synthetic.scenes import Degrees, ScenePlan, write_scene
from factory_pipeline.synthetic.stac import Json

TALLEST_M = 40.0
LABEL_PIXEL_M = 10.0
NO_LABEL = -9999.0
_BANDS = {
    "red": (0.6, -0.4),
    "green": (0.5, -0.2),
    "blue": (0.4, -0.2),
    "nir": (0.2, 0.6),
    "nir08": (0.2, 0.6),
    "swir16": (0.6, -0.3),
}
"""What a band shows of bare ground, and what the tallest trees add."""
RECIPE = """\
# Canopy height by rasters: one summer scene of Landsat, and the aerial photographs of the year.
name: canopy
labels:
  kind: rasters
  path: heights
  unit: m
  between: [2021-06-01, 2021-08-31]
  max_nodata: 0.4
window: {size: 10, pixel_size: 30}
sources:
  landsat:
    collection: landsat-c2-l2
    assets: [red, nir08, swir16]
    time: {between: [2021-06-01, 2021-08-31]}
    mask: {asset: qa_pixel, clear_bits: [1, 2, 3, 4]}
  naip:
    collection: naip
    assets: [red, green, blue, nir]
    time: {between: [2021-01-01, 2021-12-31]}
    pixel_size: 0.6
splits: {by: random, train: 60, test: 40}
"""


def height_at(longitude: Degrees, latitude: Degrees) -> Degrees:
    """Return the height of the canopy in metres.

    Args:
        longitude: degrees.
        latitude: degrees, of the same shape.
    """
    wave = np.sin(np.asarray(longitude) * 1500) + np.cos(np.asarray(latitude) * 1200)
    return TALLEST_M * (wave + 2) / 4


def write_labels(root: Path, _seed: int) -> Path:
    """Write a raster of heights for each zone, without data beyond the zone; returns their folder."""
    folder = root / "heights"
    west, east = SIERRA.zones
    rasters = {
        "heights_10n.tif": (SIERRA.grid(west, -780, 300, 880, 600, LABEL_PIXEL_M), -1),
        "heights_11n.tif": (SIERRA.grid(east, -100, 300, 880, 600, LABEL_PIXEL_M), 1),
    }
    for name, (grid, side) in rasters.items():
        columns, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
        x, y = grid.left + columns * grid.x_size, grid.top - rows * grid.y_size
        longitude, latitude = to_degrees(grid.epsg, x, y)
        heights = np.where(
            side * (longitude - SIERRA.longitude) >= 0, height_at(longitude, latitude), NO_LABEL
        )
        _write(folder / name, grid, heights.astype(np.float32))
    return folder


def write_scenes(root: Path, seed: int) -> list[Json]:
    """Write the rasters and return their items.

    Args:
        root: folder of the sample; the rasters are below it.
        seed: of the random noise.

    Returns:
        STAC items, one for each scene.
    """
    return [write_scene(root, plan) for plan in _plans(seed)]


def _plans(seed: int) -> Iterator[ScenePlan]:
    collections, (west, east) = known_collections(), SIERRA.zones
    # The edges of Landsat's pixels are 15 m off the multiples of 30 m.
    passes = {
        "LC08_L2SP_043033_20210612_02_T1": (west, "2021-06-12", "landsat-8", 20.0),
        "LC09_L2SP_042033_20210613_02_T1": (east, "2021-07-05", "landsat-9", 10.0),
    }
    for name, (epsg, date, platform, cloud_cover) in passes.items():
        grid = SIERRA.grid(epsg, -2400, 1500, 4800, 3000, 30)
        yield ScenePlan(
            collections["landsat-c2-l2"],
            name,
            Grid(epsg, grid.left - 15, grid.top + 15, 30, 30, grid.width, grid.height),
            day(date, 18),
            cloud_cover=cloud_cover,
            platform=platform,
            only=("red", "nir08", "swir16", "qa_pixel"),
            nodata_tag=True,
            stated={"nodata": 0, "data_type": "uint16", "scale": 2.75e-05, "offset": -0.2},
            # Stored values of the reflectances that the other collections store in ten thousandths.
            shift=6672.0,
            ground=_show,
            seed=seed,
        )
    quads = {
        "ca_m_3812001_sw_10_060_20210502": (west, -840),
        "ca_m_3812001_se_10_060_20210502": (west, -420),
        "ca_m_3811908_sw_11_060_20210502": (east, -60),
        "ca_m_3811908_se_11_060_20210502": (east, 360),
    }
    for name, (epsg, left) in quads.items():
        yield ScenePlan(
            collections["naip"],
            name,
            SIERRA.grid(epsg, left, 330, 480, 660, 0.6),
            day("2021-05-02", 16),
            only=("red", "green", "blue", "nir"),
            properties={"naip:state": "ca", "gsd": 0.6},
            ground=_show,
            seed=seed,
        )


def _show(asset: str, longitude: Degrees, latitude: Degrees) -> Degrees:
    bare, gain = _BANDS[asset]
    return bare + gain * height_at(longitude, latitude) / TALLEST_M


def _write(path: Path, grid: Grid, heights: np.ndarray) -> None:
    profile = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": 1,
        "dtype": "float32",
        "nodata": NO_LABEL,
        "crs": f"EPSG:{grid.epsg}",
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
        "compress": "deflate",
    }
    with atomic_write(path) as temporary, open_raster(temporary, "w", **profile) as dataset:
        dataset.write(heights, 1)
