"""Burn scars by polygons: HLS at 30 m before and after fires, in overlapping tiles of two zones."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import shapely

from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.synthetic.samples.places import SIERRA, day
from factory_pipeline.synthetic.scenes import Degrees, ScenePlan, write_scene
from factory_pipeline.synthetic.stac import Json

BURNT = "2021-07-20"
SEVERITIES = ("Low", "High")
_OFFSETS = [(-2300, 1500), (-900, -1200), (300, 1600), (900, 1900), (2100, -1500), (-150, 200)]
"""Metres east and north of the place: the third and the fourth overlap, the last is across two zones."""
_BANDS = {"B04": (0.3, 0.15), "B8A": (0.7, -0.45), "B12": (0.3, 0.4)}
"""What a band shows of forest, and what fire adds."""
RECIPE = """\
# Burn scars by polygons: the scene of HLS after the fire, and the pixels that burnt.
name: burn-scars
labels:
  kind: polygons
  path: scars.geojson
  id: fire
  time: {column: burnt}
  target: {column: severity, classes: {1: Low, 2: High}}
  windows: cover
  min_share: 0.05
window: {size: 32, pixel_size: 30}
sources:
  hls:
    collection: hls2-s30
    assets: [B04, B8A, B12]
    time: {periods: 1, length: 30d, start: 1d}
    select: least_cloudy
    mask: {asset: Fmask, clear_bits: [1, 3]}
splits: {by: random, train: 60, test: 40}
"""


def write_labels(root: Path, seed: int) -> Path:
    """Write the outlines of the fires as GeoJSON; returns its path.

    Args:
        root: folder of the sample; gets `scars.geojson`.
        seed: of the random positions and sizes.
    """
    features = [
        {
            "type": "Feature",
            "properties": {"fire": f"fire{number}", "severity": SEVERITIES[number % 2], "burnt": BURNT},
            "geometry": {"type": "Polygon", "coordinates": [[list(corner) for corner in ring]]},
        }
        for number, ring in enumerate(_rings(seed))
    ]
    path = root / "scars.geojson"
    write_text(path, json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n")
    return path


def _rings(seed: int) -> list[list[tuple[float, float]]]:
    """Outlines in degrees: twelve corners around each place, closed."""
    random = np.random.default_rng(seed)
    rings = []
    for east, north in _OFFSETS:
        angles = np.arange(12) * 2 * np.pi / 12
        radii = random.uniform(350, 800, 12)
        corners = zip(east + radii * np.cos(angles), north + radii * np.sin(angles), strict=True)
        ring = [(round(x, 7), round(y, 7)) for x, y in SIERRA.degrees(list(corners))]
        rings.append([*ring, ring[0]])
    return rings


def write_scenes(root: Path, seed: int) -> list[Json]:
    """Write the rasters and return their items.

    Args:
        root: folder of the sample; the rasters are below it.
        seed: of the random positions and sizes.

    Returns:
        STAC items, one for each scene.
    """
    return [write_scene(root, plan) for plan in _plans(seed)]


def _plans(seed: int) -> Iterator[ScenePlan]:
    west, east = SIERRA.zones
    tiles = {
        "T10SGH": SIERRA.grid(west, -3900, 4200, 4500, 4500, 30),
        "T10SGG": SIERRA.grid(west, -3900, 300, 4500, 4500, 30),
        "T11SKB": SIERRA.grid(east, -600, 4200, 4500, 4500, 30),
        "T11SKA": SIERRA.grid(east, -600, 300, 4500, 4500, 30),
    }
    scars = shapely.union_all([shapely.Polygon(ring) for ring in _rings(seed)])
    shapely.prepare(scars)
    for date, cloud_cover in (("2021-07-08", 15.0), ("2021-08-02", 8.0)):
        is_burnt = date > BURNT
        for tile, grid in tiles.items():
            yield ScenePlan(
                known_collections()["hls2-s30"],
                f"HLS.S30.{tile}.{day(date):%Y%jT184919}.v2.0",
                grid,
                day(date, 18),
                cloud_cover=cloud_cover,
                platform="sentinel-2b",
                only=("B04", "B8A", "B12", "Fmask"),
                nodata_tag=True,
                gap=0.05,
                ground=partial(_show, scars if is_burnt else None),
                seed=seed,
            )


def _show(scars: shapely.Geometry | None, asset: str, longitude: Degrees, latitude: Degrees) -> Degrees:
    forest, fire = _BANDS[asset]
    if scars is None:
        return np.full(longitude.shape, forest)
    return forest + fire * shapely.contains_xy(scars, longitude, latitude)
