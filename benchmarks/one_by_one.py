"""What a user would write: for each footprint a search and 14 opened rasters, in a pool of 16 processes."""

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pystac_client import Client
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from factory_pipeline.builds.chips.terrain import slope_percent
from factory_pipeline.builds.gedi.granules import exact_time
from factory_pipeline.config.recipe import S2_BANDS

PROCESSES = 16
SIZE = 32
TUNED_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 5_000_000,
    "GDAL_CACHEMAX": 64 * 2**20,
}
"""As the documentation of GDAL and of rio-tiler advise for COGs over HTTP."""

Place = tuple[float, float, float]
"""delta_time (s), longitude, latitude (degrees)."""

_client: Client


def pool_of_processes(stac_url: str, footprints: Path, count: int) -> Callable[[], int]:
    """Prepare the processes, each warmed up with a footprint of its own; the work is `count` others."""
    columns = pl.read_parquet(footprints).select("delta_time", "lon_lowestmode", "lat_lowestmode")
    places: list[Place] = columns.sample(fraction=1, shuffle=True, seed=0).rows()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = context.Pool(PROCESSES, _connect, (stac_url,))
    pool.map(_is_sample, places[-PROCESSES:], chunksize=1)

    def work() -> int:
        samples = sum(pool.map(_is_sample, places[:count], chunksize=1))
        pool.close()
        pool.join()
        return samples

    return work


def _connect(stac_url: str) -> None:
    global _client
    _client = Client.open(stac_url)


def _is_sample(place: Place) -> bool:
    with rasterio.Env(**TUNED_GDAL):
        return read_footprint(_client, place) is not None


def read_footprint(client: Client, place: Place) -> dict[str, NDArray[Any]] | None:
    """The rasters of one footprint; None where the scene or the slope fails."""
    delta_time, longitude, latitude = place
    time = exact_time(delta_time)
    search = client.search(
        collections=["sentinel-2-l2a"],
        bbox=(longitude, latitude, longitude, latitude),
        datetime=(time - timedelta(days=10), time + timedelta(days=10)),
        query={"eo:cloud_cover": {"lt": 25}},
    )
    product = min(search.items(), key=lambda item: item.properties["eo:cloud_cover"])
    with rasterio.open(product.assets["B02"].href) as dataset:
        crs, grid = dataset.crs, dataset.transform
        x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
        row, column = dataset.index(x, y)
        window = Window(column - SIZE // 2, row - SIZE // 2, SIZE, SIZE)
        bands = [dataset.read(1, window=window)]
    transform = grid * Affine.translation(window.col_off, window.row_off)
    scl = _warped(product.assets["SCL"].href, crs, transform, SIZE, Resampling.nearest)
    if not np.isin(scl[14:18, 14:18], (4, 5)).all():
        return None
    bands += [
        _warped(product.assets[band].href, crs, transform, SIZE, Resampling.bilinear) for band in S2_BANDS[1:]
    ]
    tiles = client.search(
        collections=["cop-dem-glo-30", "esa-worldcover"], bbox=(longitude, latitude, longitude, latitude)
    )
    items = list(tiles.items())
    dem = next(item for item in items if item.collection_id == "cop-dem-glo-30")
    map_year = str(min(max(time.year, 2020), 2021))
    landcover = next(item for item in items if item.properties.get("start_datetime", "").startswith(map_year))
    wider = transform * Affine.translation(-1, -1)
    altitude = _warped(dem.assets["data"].href, crs, wider, SIZE + 2, Resampling.bilinear)
    slope = slope_percent(altitude, 10.0)
    if slope[14:18, 14:18].max() > 15:
        return None
    return {
        "sentinel2": np.stack([scl, *bands]),
        "copdem": np.stack([altitude[1:-1, 1:-1], slope]),
        "worldcover": _warped(landcover.assets["map"].href, crs, transform, SIZE, Resampling.nearest),
    }


def _warped(href: str, crs: Any, transform: Affine, size: int, resampling: Resampling) -> NDArray[Any]:
    with (
        rasterio.open(href) as dataset,
        WarpedVRT(
            dataset, crs=crs, transform=transform, width=size, height=size, resampling=resampling
        ) as warped,
    ):
        return warped.read(1)
