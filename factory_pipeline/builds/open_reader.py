"""Where the rasters of a build are: its catalog, and the reader of what the catalog lists."""

from functools import cached_property, partial

from factory_pipeline.builds.progress import note_waiting
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.stac.providers import Catalog, open_catalog

KEPT_SHARE = 8
"""One of so many bytes in flight is kept for neighbouring batches, which share blocks."""


def open_reader(catalog: Catalog, bytes_in_flight: int, bytes_kept: int = 0) -> BlockReader:
    """Return what reads windows of the catalog's rasters: the block engine, and GDAL for what it can't read.

    Args:
        catalog: it signs addresses, and knows whether whoever reads pays for the transfer.
        bytes_in_flight: largest number of bytes that are fetched and decoded at a time.
        bytes_kept: how many of these are for fetched bytes that later calls may need.
    """
    pays = catalog.requester_pays
    return BlockReader(
        # Signing may have to wait for a token, so each request of the engine passes through a thread for it.
        catalog.signer if catalog.signs else None,
        RasterioReader(sign=catalog.signer, requester_pays=pays),
        bytes_in_flight=bytes_in_flight,
        requester_pays=pays,
        bytes_kept=bytes_kept,
    )


class BuildArchive:
    """The catalog and the reader of a build. Stages that share one share connections and headers."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings

    @cached_property
    def catalog(self) -> Catalog:
        """Where items are searched; opened when the first batch needs it."""
        return open_catalog(
            self._settings.catalog,
            self._settings.catalog_patience_s,
            partial(note_waiting, self._settings.files),
        )

    @cached_property
    def reader(self) -> BlockReader:
        """What reads the windows."""
        limit = self._settings.bytes_in_flight
        return open_reader(self.catalog, limit, limit // KEPT_SHARE)
