"""Archives for recipes: one piece of ground, and three sensors that show it once in each period.

Every date of a sensor is a file of its own, but a hard link to the first one's pixels: as many files are read
as in a real archive, and a year of it is made in seconds.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.synthetic.scenes import ScenePlan, write_scene
from factory_pipeline.synthetic.stac import Json, write_catalog

UTM = 32633
LEFT, TOP = 499_980.0, 5_300_040.0
PIXEL_M = 10
PERIOD = timedelta(days=30)
START = datetime(2021, 1, 1, tzinfo=UTC)
EDGE_M = 60.0
"""Metres at the edge of the ground in which no window is."""
SIDE = 4096
"""Pixels of 10 m along a side of the ground, at full scale."""


@dataclass(frozen=True)
class Sensor:
    """A source of a recipe."""

    name: str
    collection: str
    assets: tuple[str, ...]

    def scene(self, period: int) -> str:
        """Return the id of its scene of a period."""
        return f"{self.name}_{period:03d}"


SENTINEL2 = Sensor("sentinel2", "sentinel-2-l2a", ("B04", "B08"))
SENTINEL2_BANDS = Sensor("sentinel2", "sentinel-2-l2a", ("B02", "B03", "B04", "B08"))
SENTINEL1 = Sensor("sentinel1", "sentinel-1-rtc", ("vv", "vh"))
LANDSAT = Sensor("landsat", "landsat-c2-l2", ("red", "nir08"))


@dataclass(frozen=True)
class Case:
    """Windows of one size, and what they show."""

    name: str
    windows: int
    size: int
    """Pixels of 10 m along a side of a window."""
    periods: int
    sensors: tuple[Sensor, ...]
    composite: str = "none"
    """`none`: a step for each period; any other: all periods are one step."""
    scale_factor: float = 1
    """Times the scale of the others, 1 at most: of few small windows the start of a build would be most."""

    def scaled(self, scale: float) -> "Case":
        """Return the case with fewer windows; its ground shrinks with them, so that they lie as densely."""
        return Case(
            self.name,
            max(4, round(self.windows * scale)),
            self.size,
            self.periods,
            self.sensors,
            self.composite,
        )


def side_of(scale: float) -> int:
    """Return the pixels along a side of the ground, a multiple of a block of 256."""
    return max(2, round(SIDE * scale**0.5 / 256)) * 256


def make_recipe_archive(root: Path, case: Case, side: int) -> DatasetRecipe:
    """Write rasters, catalog and labels below `root`; give the recipe of the case."""
    write_catalog(
        root / "stac", [item for sensor in case.sensors for item in _items(root, case, sensor, side)]
    )
    span = side * PIXEL_M - 2 * EDGE_M - case.size * PIXEL_M
    along = np.random.default_rng(0).uniform(0, span, (2, case.windows)) + EDGE_M + case.size * PIXEL_M / 2
    longitude, latitude = to_degrees(UTM, LEFT + along[0], TOP - along[1])
    rows = [
        f"{number},{x!r},{y!r}"
        for number, (x, y) in enumerate(zip(longitude.tolist(), latitude.tolist(), strict=True))
    ]
    (root / "places.csv").write_text("\n".join(["id,lon,lat", *rows]) + "\n")
    return DatasetRecipe.parse(_document(case), "of the benchmark", root)


def _document(case: Case) -> dict[str, Any]:
    if case.composite == "none":
        time: dict[str, Any] = {"periods": case.periods, "length": "30d", "start": f"{START:%Y-%m-%d}"}
    else:
        end = START + case.periods * PERIOD
        time = {"between": [f"{START:%Y-%m-%d}", f"{end:%Y-%m-%d}"]}
    return {
        "name": "windows",
        "labels": {"kind": "points", "path": "places.csv", "id": "id"},
        "window": {"size": case.size, "pixel_size": PIXEL_M, "crs": UTM},
        "sources": {
            sensor.name: {
                "collection": sensor.collection,
                "assets": list(sensor.assets),
                "time": time,
                "composite": case.composite,
                "resampling": {"default": "bilinear"},
            }
            for sensor in case.sensors
        },
        "splits": {"by": "random", "train": 100},
    }


def _items(root: Path, case: Case, sensor: Sensor, side: int) -> Iterator[Json]:
    """Write the first date of a sensor, link the others to it, and give the items of all."""
    first = write_scene(root, _plan(sensor, side))
    folder = root / "rasters" / sensor.collection
    for period in range(case.periods):
        name = sensor.scene(period)
        if period:
            (folder / name).mkdir()
            for path in (folder / sensor.scene(0)).iterdir():
                os.link(path, folder / name / path.name)
        item = json.loads(json.dumps(first).replace(sensor.scene(0), name))
        item["properties"]["datetime"] = f"{START + period * PERIOD + timedelta(days=10):%Y-%m-%dT%H:%M:%SZ}"
        yield item


def _plan(sensor: Sensor, side: int) -> ScenePlan:
    grid = Grid(UTM, LEFT, TOP, PIXEL_M, PIXEL_M, side, side)
    if sensor is LANDSAT:
        # Its pixels are half a pixel away from those of the others, as in the real collection.
        across = side * PIXEL_M // 30 + 15
        grid = Grid(UTM, LEFT - 195, TOP + 165, 30, 30, across, across)
    properties = {"s2:processing_baseline": "02.14"} if sensor.collection == "sentinel-2-l2a" else {}
    return ScenePlan(
        known_collections()[sensor.collection],
        sensor.scene(0),
        grid,
        START,
        only=sensor.assets,
        nodata_tag=True,
        properties=properties,
    )


def windows_for_peers(
    path: Path, url: str, case: Case, corners: Sequence[tuple[float, float]], recipe: DatasetRecipe
) -> Path:
    """Write what a script of another interpreter needs: windows, sources, and where to search."""
    collections = recipe.collections
    sources = [
        {
            "name": sensor.name,
            "collection": sensor.collection,
            "assets": list(sensor.assets),
            "dtype": collections[sensor.collection].assets[sensor.assets[0]].dtype,
            "nodata": collections[sensor.collection].assets[sensor.assets[0]].nodata,
        }
        for sensor in case.sensors
    ]
    about = {
        "url": url,
        "epsg": UTM,
        "size": case.size,
        "pixel_size": PIXEL_M,
        "corners": corners,
        "start": START.isoformat(),
        "end": (START + case.periods * PERIOD).isoformat(),
        "periods": case.periods,
        "period_days": PERIOD.days,
        "sources": sources,
    }
    path.write_text(json.dumps(about))
    return path
