"""What is read of a raster file on its way in: its values, what is no data in it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from factory_pipeline.errors import LakeError, OnboardingError
from factory_pipeline.imagery.pixels import strips

WORKERS = 4
"""Files read at once."""

_Found = TypeVar("_Found")


def nodata_of(path: Path) -> float | None:
    """What the first band of a raster declares as no data.

    Raises:
        LakeError: the file can't be read.
    """
    try:
        with rasterio.open(path) as source:
            return None if source.nodata is None else float(source.nodata)
    except RasterioError as error:
        raise LakeError(f"{path.name} can't be read as a raster: {error}.") from error


def values_in(path: Path) -> list[float]:
    """The different values of a raster in ascending order, no data left out; it is read in strips.

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


def of_each(task: Callable[[Path], _Found], paths: Iterable[Path]) -> Iterator[_Found]:
    """What a task finds in each file, in their order, several read at once."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(task, paths)
