"""The reader of a catalog's rasters, set up as every build reads them."""

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.stac.providers import Catalog


def open_reader(catalog: Catalog, bytes_in_flight: int) -> BlockReader:
    """Return what reads windows of the catalog's rasters: the block engine, and GDAL for what it can't read.

    Args:
        catalog: it signs addresses, and knows whether whoever reads pays for the transfer.
        bytes_in_flight: largest number of bytes that are fetched and decoded at a time.
    """
    pays = catalog.requester_pays
    return BlockReader(
        catalog.signer,
        RasterioReader(sign=catalog.signer, requester_pays=pays),
        bytes_in_flight=bytes_in_flight,
        requester_pays=pays,
    )
