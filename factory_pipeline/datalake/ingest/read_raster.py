"""Reading values and nodata values of raster files that enter the data lake."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from rasterio.errors import RasterioError

from factory_pipeline.errors import LakeError, OnboardingError
from factory_pipeline.imagery.pixels import strips
from factory_pipeline.open_raster import open_raster
from factory_pipeline.thread_map import map_in_threads

WORKERS = 4
"""Number of files that are read concurrently."""

_Found = TypeVar("_Found")


def nodata_of(path: Path) -> float | None:
    """Return the nodata value that the first band of a raster declares.

    Raises:
        LakeError: the file can't be read.
    """
    try:
        with open_raster(path) as source:
            return None if source.nodata is None else float(source.nodata)
    except RasterioError as error:
        raise LakeError(f"{path.name} can't be read as a raster.") from error


def values_in(path: Path) -> list[float]:
    """Return the distinct values of a raster in ascending order, without no data; it is read in strips.

    Raises:
        LakeError: the file can't be read.
    """
    values: set[float] = set()
    try:
        for pixels, valid in strips(path):
            values.update(np.unique(pixels[valid]).tolist())
    except OnboardingError as error:
        raise LakeError(str(error)) from error
    return sorted(values)


def map_files(task: Callable[[Path], _Found], paths: Iterable[Path]) -> Iterator[_Found]:
    """Return the result of a task for each file, in their order; several files are read concurrently.

    Args:
        task: must be safe to run in several threads at once; what it raises is raised here.
        paths: of the files.
    """
    return map_in_threads(task, paths, WORKERS)
