"""Windows of a grid over an area, without labels or with those of rasters."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from factory_pipeline.builds.labels.label_table import LABEL_SCHEMA, LabelTable, RejectLedger
from factory_pipeline.builds.labels.lattice import area_of, covering_windows
from factory_pipeline.builds.labels.points import read_points
from factory_pipeline.builds.labels.read_table import read_rows
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, Resampling, WindowRead, WindowReader
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import GridLabels, RasterLabels, TableLabels
from factory_pipeline.config.raster_sources import Window
from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.errors import RecipeError
from factory_pipeline.hdf5.recipe_fields import label_nodata, label_type
from factory_pipeline.imagery.geometries import WORLD, wrap_longitudes
from factory_pipeline.open_raster import open_raster

ENDINGS = (".tif", ".tiff")


def read_grid(labels: GridLabels, window: Window) -> LabelTable:
    """Return the windows of a grid over an area.

    Args:
        labels: area and spacing.
        window: of the recipe.

    Raises:
        RecipeError: the file of the area can't be used.
    """
    if labels.area is not None:
        area = [area_of(labels.area)]
    else:
        assert labels.path is not None
        outlines = read_rows(TableLabels(path=labels.path)).geometries
        area = [outline for outline in outlines if outline is not None]
    return _table(covering_windows(area, window), labels)


def read_rasters(labels: RasterLabels, window: Window, ledger: RejectLedger) -> LabelTable:
    """Return the windows around points, or of a grid over rasters that hold labels or over an area.

    Args:
        labels: points, files or area.
        window: of the recipe.
        ledger: gets the points that are left out.

    Raises:
        RecipeError: there are no rasters, one can't be read, or states no coordinate reference system.
    """
    if labels.points is not None:
        return read_points(labels.points, ledger)
    if labels.source is not None:
        assert labels.area is not None
        return _table(covering_windows([area_of(labels.area)], window), labels)
    area = shapely.union_all([_extent(path) for path in raster_files(labels)])
    if labels.area is not None:
        area = shapely.intersection(area, area_of(labels.area))
    return _table(covering_windows([area], window), labels)


def raster_files(labels: RasterLabels) -> list[Path]:
    """Return the files that hold labels, in the order of their names; none for rasters of a collection.

    Raises:
        RecipeError: there are none.
    """
    if labels.path is None:
        return []
    path = Path(labels.path)
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise RecipeError(f"At labels.path: {path} is neither a GeoTIFF nor a folder of them.")
    return files


def content_digest(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the bytes of files, in hex: what a batch of their labels depends on."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def cut_labels(
    recipe: DatasetRecipe, grids: Sequence[Grid], reader: WindowReader
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Cut the rasters that hold labels on windows: classes by nearest, numbers bilinearly.

    Args:
        recipe: with labels of rasters.
        grids: of the windows.
        reader: reads the windows.

    Returns:
        (windows, 1, rows, columns), and the share of each window's pixels without a label.

    Raises:
        RecipeError: a raster can't be read.
    """
    labels = recipe.labels
    assert isinstance(labels, RasterLabels)
    resampling = Resampling.NEAREST if labels.classes is not None else Resampling.BILINEAR
    hrefs = tuple(str(path) for path in raster_files(labels))
    reads = [WindowRead(hrefs, grid, resampling, labels.band, labels.nodata) for grid in grids]
    shape = (len(grids), recipe.window.size, recipe.window.size)
    values, valid = np.zeros(shape), np.zeros(shape, np.bool_)
    for place, answer in enumerate(reader.read(reads)):
        if isinstance(answer, ReadFailure):
            raise RecipeError(f"At labels.path: {answer.reason}")
        values[place], valid[place] = answer.values, answer.valid
    return labels_in(recipe, values, valid)


def labels_in(
    recipe: DatasetRecipe, values: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the labels that rasters hold in windows; a value that is no class of the recipe is none.

    Args:
        recipe: with labels of rasters.
        values: (windows, rows, columns) as they were read.
        valid: the same shape; where they hold data.

    Returns:
        (windows, 1, rows, columns), and the share of each window's pixels without a label.
    """
    labels = recipe.labels
    assert isinstance(labels, RasterLabels)
    known = valid
    if labels.classes is not None:
        known = known & np.isin(values, list(labels.classes))
    cut = np.where(known, values, label_nodata(recipe)).astype(label_type(recipe))
    return cut[:, None], 1 - known.mean(axis=(1, 2))


def _table(cells: pl.DataFrame, labels: GridLabels | RasterLabels) -> LabelTable:
    span = labels.between
    table = cells.select(
        "id",
        "longitude",
        "latitude",
        pl.lit(span.start if span else None, dtype=LABEL_SCHEMA["start"]).alias("start"),
        pl.lit(span.end if span else None, dtype=LABEL_SCHEMA["end"]).alias("end"),
        pl.lit(None, dtype=pl.Float64).alias("value"),
    )
    return LabelTable(table, {})


def _extent(path: Path) -> shapely.Geometry:
    """Return the ground of a raster in degrees, in two parts where it crosses the antimeridian."""
    try:
        with open_raster(path) as dataset:
            crs, bounds = dataset.crs, dataset.bounds
    except RasterioError as error:
        raise RecipeError(f"At labels.path: {path} can't be read as a raster.") from error
    if crs is None:
        raise RecipeError(f"At labels.path: {path} does not state its coordinate reference system.")
    outline = shapely.segmentize(shapely.box(*bounds), max(bounds.right - bounds.left, 1e-9) / 20)
    longitude, latitude = crs_transformer(crs.to_wkt(), 4326).transform(*shapely.get_coordinates(outline).T)
    # Points of an edge are near each other: a jump is the antimeridian.
    ground = shapely.polygons(np.stack([np.unwrap(longitude, period=360), latitude], axis=1))
    return ground if shapely.covers(WORLD, ground) else wrap_longitudes(ground)
