"""Crop type by points: a year of Sentinel-2 in two zones, and of Sentinel-1 in one of them."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.synthetic.samples.places import VENETO, day
from factory_pipeline.synthetic.scenes import Degrees, Ground, ScenePlan, write_scene
from factory_pipeline.synthetic.stac import Json

CROPS = ("Maize", "Wheat", "Vineyard")
COLUMNS, ROWS = 8, 3
"""Fields that are surveyed, from west to east and from south to north."""
SPACING_M = 385.0
FIELD_DEGREES = (0.0024, 0.0017)
"""Width and height of a field."""
MONTHS = 12
FIRST_DAY = day("2021-01-01")
WITHOUT_SENTINEL2 = 4
"""The month in which no scene of Sentinel-2 is in the archive."""
WITHOUT_SENTINEL1 = (2, 8)
REPROCESSED_FROM = 6
"""Month from which products have the baseline that adds 1000 to every value."""
_PEAK = {"Maize": 7.0, "Wheat": 4.0, "Vineyard": 6.0}
"""The month in which each crop is greenest."""
RECIPE = """\
# Crop type by points: twelve months of Sentinel-2 and Sentinel-1 around each field.
name: crops
labels:
  kind: points
  path: fields.csv
  id: field
  time: {column: surveyed}
  target: {column: crop, classes: {1: Maize, 2: Wheat, 3: Vineyard}}
  keep: ["confidence > 0.5"]
  extra: [region]
window: {size: 32, pixel_size: 10}
sources:
  sentinel2:
    collection: sentinel-2-l2a
    assets: [B04, B08, B11, SCL]
    time: {periods: 12, length: 30d, start: 2021-01-01}
    composite: best_clear
    mask: {asset: SCL, keep: [4, 5, 6, 7]}
    resampling: {default: bilinear}
    min_periods: 6
  sentinel1:
    collection: sentinel-1-rtc
    assets: [vv, vh]
    time: {periods: 12, length: 30d, start: 2021-01-01}
    composite: mean
    required: false
splits: {by: random, train: 60, test: 20, validation: 20}
"""


def crop_at(longitude: Degrees, latitude: Degrees) -> np.ndarray:
    """Return the index in CROPS of the crop at each position.

    Args:
        longitude: degrees.
        latitude: degrees, of the same shape.
    """
    column = np.floor(np.asarray(longitude) / FIELD_DEGREES[0]).astype(np.int64)
    row = np.floor(np.asarray(latitude) / FIELD_DEGREES[1]).astype(np.int64)
    mixed = (column * 73_856_093) ^ (row * 19_349_663)
    return (mixed >> 5) % len(CROPS)


def write_labels(root: Path, seed: int) -> Path:
    """Write the surveyed fields as a CSV; returns its path.

    Args:
        root: folder of the sample; gets `fields.csv`.
        seed: of the random dates and confidences.
    """
    random = np.random.default_rng(seed)
    rows = ["field,lon,lat,surveyed,crop,confidence,region"]
    offsets = [
        ((column - (COLUMNS - 1) / 2) * SPACING_M, (row - (ROWS - 1) / 2) * SPACING_M)
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    width, height = FIELD_DEGREES
    for number, (longitude, latitude) in enumerate(VENETO.degrees(offsets)):
        # The middle of the field that is there.
        longitude = (np.floor(longitude / width) + 0.5) * width
        latitude = (np.floor(latitude / height) + 0.5) * height
        crop = CROPS[int(crop_at(longitude, latitude))]
        surveyed = FIRST_DAY + timedelta(days=150 + int(random.integers(60)))
        confidence = 0.4 if number == 0 else 0.6 + 0.4 * random.random()
        region = "north" if number >= COLUMNS * ROWS // 2 else "south"
        rows.append(
            f"f{number:02d},{longitude:.6f},{latitude:.6f},{surveyed:%Y-%m-%d},{crop},{confidence:.2f},{region}"
        )
    path = root / "fields.csv"
    write_text(path, "\n".join(rows) + "\n")
    return path


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
    collections, (west, east) = known_collections(), VENETO.zones
    tiles = {
        "T32TQR": VENETO.grid(west, -1960, 1280, 2560, 2560, 20),
        "T33TUL": VENETO.grid(east, -600, 1280, 2560, 2560, 20),
    }
    pass_of_radar = VENETO.grid(east, -2200, 1400, 4400, 2800, 10)
    for month in range(MONTHS):
        for number, days in enumerate((4, 19)):
            time = FIRST_DAY + timedelta(days=30 * month + days)
            if month == WITHOUT_SENTINEL2:
                break
            new = month >= REPROCESSED_FROM
            platform = "AB"[number]
            for tile, grid in tiles.items():
                yield ScenePlan(
                    collections["sentinel-2-l2a"],
                    f"S2{platform}_MSIL2A_{time:%Y%m%dT%H%M%S}_R022_{tile}_{time:%Y%m%d}T200000",
                    grid,
                    time,
                    cloud_cover=5.0 + 35.0 * ((month + number) % 2),
                    platform=f"Sentinel-2{platform}",
                    only=("B04", "B08", "B11", "SCL"),
                    shift=1000.0 * new,
                    properties={"s2:processing_baseline": "05.09" if new else "02.14"},
                    ground=_reflectance(month),
                    seed=seed,
                )
        if month not in WITHOUT_SENTINEL1:
            for days in (7, 19):
                time = FIRST_DAY + timedelta(days=30 * month + days, hours=7)
                yield ScenePlan(
                    collections["sentinel-1-rtc"],
                    f"S1A_IW_GRDH_1SDV_{time:%Y%m%dT%H%M%S}_rtc",
                    pass_of_radar,
                    time,
                    platform="SENTINEL-1A",
                    only=("vv", "vh"),
                    nodata_tag=True,
                    properties={"sat:orbit_state": "ascending"},
                    stated={"nodata": -32768, "data_type": "float32"},
                    gap=0.2,
                    ground=_backscatter(month),
                    seed=seed,
                )


def _green(month: int, longitude: Degrees, latitude: Degrees) -> Degrees:
    """How green each crop is in a month, 0 to 1."""
    peaks = np.array([_PEAK[crop] for crop in CROPS])[crop_at(longitude, latitude)]
    return np.exp(-(((month - peaks) / 2.0) ** 2))


def _reflectance(month: int) -> Ground:
    return partial(_show, month, {"B04": (0.35, -0.25), "B08": (0.25, 0.6), "B11": (0.5, -0.2)})


def _backscatter(month: int) -> Ground:
    return partial(_show, month, {"vv": (0.4, 0.2), "vh": (0.2, 0.4)})


def _show(
    month: int,
    bands: dict[str, tuple[float, float]],
    asset: str,
    longitude: Degrees,
    latitude: Degrees,
) -> Degrees:
    """What a band shows of bare ground, and what greenness adds to it."""
    bare, gain = bands[asset]
    return bare + gain * _green(month, longitude, latitude)
