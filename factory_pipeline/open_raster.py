"""Opening rasters that need not be georeferenced, of which rasterio warns each time."""

import os
from functools import lru_cache
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.io import MemoryFile

from factory_pipeline.errors import InstallationError
from factory_pipeline.quiet_warnings import QuietWarnings

no_georeference = QuietWarnings(NotGeoreferencedWarning)
"""An image without a georeference is no reason for a warning; where one is needed, its lack is an error."""


def open_raster(*arguments: Any, **options: Any) -> Any:
    """Open a raster as `rasterio.open` does.

    Args:
        *arguments: as there.
        **options: as there.

    Raises:
        InstallationError: rasterio has no coordinate systems.
    """
    _check_coordinate_systems()
    with no_georeference.during():
        return rasterio.open(*arguments, **options)


def open_in_memory(memory: MemoryFile, **options: Any) -> Any:
    """Open a raster in memory as `MemoryFile.open` does.

    Args:
        memory: that has the raster, or is to have it.
        **options: as there.

    Raises:
        InstallationError: rasterio has no coordinate systems.
    """
    _check_coordinate_systems()
    with no_georeference.during():
        return memory.open(**options)


@lru_cache(maxsize=1)
def _check_coordinate_systems() -> None:
    """Check that rasterio knows codes of coordinate systems.

    It takes them from where the environment says, which other software that has PROJ may have set. Without
    them it opens rasters all the same, as if they had a coordinate system without a code.
    """
    try:
        with rasterio.Env():
            CRS.from_epsg(4326)
    except CRSError as error:
        named = [f"{name}={os.environ[name]}" for name in ("PROJ_DATA", "PROJ_LIB") if os.environ.get(name)]
        why = f"{' and '.join(named)} belongs to other software; unset it" if named else "install it again"
        raise InstallationError(f"rasterio can't read its table of coordinate systems: {why}.") from error
