"""Opening rasters that need not be georeferenced, of which rasterio warns each time."""

from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from factory_pipeline.quiet_warnings import QuietWarnings

no_georeference = QuietWarnings(NotGeoreferencedWarning)
"""An image without a georeference is no reason for a warning; where one is needed, its lack is an error."""


def open_raster(*arguments: Any, **options: Any) -> Any:
    """Open a raster as `rasterio.open` does.

    Args:
        *arguments: as there.
        **options: as there.
    """
    with no_georeference.during():
        return rasterio.open(*arguments, **options)


def open_in_memory(memory: MemoryFile, **options: Any) -> Any:
    """Open a raster in memory as `MemoryFile.open` does.

    Args:
        memory: that has the raster, or is to have it.
        **options: as there.
    """
    with no_georeference.during():
        return memory.open(**options)
