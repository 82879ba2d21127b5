"""Small archives of several collections, and builds of recipes from them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pyproj import Transformer

from factory_pipeline.builds.dataset_extraction import DatasetExtraction
from factory_pipeline.builds.dataset_page import write_dataset_page
from factory_pipeline.builds.dataset_plan import plan_dataset
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary, fuse_dataset
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.synthetic.scenes import ScenePlan, write_scene
from factory_pipeline.synthetic.stac import write_catalog

UTM = 32633
LEFT, TOP = 499_980.0, 5_300_040.0
"""The corner of the archive, in UTM zone 33."""


def grid(
    size_m: float = 6000, pixel: float = 10, left: float = LEFT, top: float = TOP, epsg: int = UTM
) -> Grid:
    """A scene's grid of so many metres a side."""
    pixels = round(size_m / pixel)
    return Grid(epsg, left, top, pixel, pixel, pixels, pixels)


def scene(collection: str, name: str, time: str, of: Grid | None = None, **options: Any) -> ScenePlan:
    """A scene of a known collection; `time` as 2021-06-10."""
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC)
    if collection.startswith("sentinel-2"):
        options.setdefault("properties", {"s2:processing_baseline": "02.14"})
    return ScenePlan(known_collections()[collection], name, of or grid(), moment, **options)


def make_archive(root: Path, scenes: Sequence[ScenePlan]) -> Path:
    """Write an archive of scenes; returns `root`."""
    write_catalog(root / "stac", [write_scene(root, plan) for plan in scenes])
    return root


def degrees(x: float, y: float, epsg: int = UTM) -> tuple[float, float]:
    """Longitude and latitude of a place so many metres right of and below the corner."""
    return Transformer.from_crs(epsg, 4326, always_xy=True).transform(LEFT + x, TOP - y)


def points_csv(path: Path, places: Sequence[tuple[float, float]], **columns: Sequence[Any]) -> Path:
    """A CSV of points so many metres right of and below the corner, with more columns."""
    names = ["lon", "lat", *columns]
    rows = [
        [*map(repr, degrees(*place)), *(str(column[row]) for column in columns.values())]
        for row, place in enumerate(places)
    ]
    path.write_text("\n".join([",".join(names), *map(",".join, rows)]) + "\n", encoding="utf-8")
    return path


def recipe_of(folder: Path, text: str) -> DatasetRecipe:
    """A recipe that lies in a folder."""
    return DatasetRecipe.parse(yaml.safe_load(text), "of the test", folder)


def build(
    recipe: DatasetRecipe, output: Path, catalog: str, **options: Any
) -> tuple[DatasetSettings, DatasetBuildSummary]:
    """Build without Dagster."""
    settings = DatasetSettings(recipe=recipe, output=output, catalog=catalog, **options)
    extraction = DatasetExtraction(settings)
    plan = plan_dataset(settings, extraction.catalog.provider.digest())
    for batch in plan.keys:
        extraction.extract(batch)
    summary = fuse_dataset(settings)
    write_dataset_page(settings)
    return settings, summary


def window_at(x: float, y: float, size: int, pixel: float) -> Grid:
    """The window that a label so many metres right of and below the corner has."""
    column, row = np.floor((LEFT + x) / pixel), np.floor((TOP - y) / pixel)
    left, top = (column - size // 2) * pixel, (row + 1 + size // 2) * pixel
    return Grid(UTM, float(left), float(top), pixel, pixel, size, size)
