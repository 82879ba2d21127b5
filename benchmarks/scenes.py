"""Reading only the scene classification (8 bits): the layer that async-geotiff can decode too.

It refuses the bands, whose samples have 15 bits, and so does async-tiff below it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
from async_geotiff import GeoTIFF, Window
from obstore.store import HTTPStore

from factory_pipeline.builds.chips.windows import window_at
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadWindow, WindowRead
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.stac.select_products import choose_products

SCL_METRES = 20


def scenes_by_engine(stac_url: str, footprints: Path) -> Callable[[], int]:
    """The engine on the windows of the scene classification; gives how many it read."""
    reads = [WindowRead((href,), window) for href, window in _wanted(stac_url, footprints)]
    reader = BlockReader()
    return lambda: sum(isinstance(answer, ReadWindow) for answer in reader.read(reads))


def scenes_by_async_geotiff(stac_url: str, footprints: Path) -> Callable[[], int]:
    """async-geotiff on the same windows: each file is opened once, all windows are read at a time."""
    wanted = _wanted(stac_url, footprints)
    store = HTTPStore.from_url(stac_url.rpartition("/")[0], client_options={"allow_http": True})

    async def read_all() -> int:
        hrefs = dict.fromkeys(href for href, _ in wanted)
        opened = await asyncio.gather(
            *(GeoTIFF.open(urlsplit(href).path.lstrip("/"), store=store) for href in hrefs)
        )
        files = dict(zip(hrefs, opened, strict=True))
        arrays = await asyncio.gather(*(_read(files[href], window) for href, window in wanted))
        return len(arrays)

    return lambda: asyncio.run(read_all())


async def _read(file: GeoTIFF, window: Grid) -> Any:
    """The window's pixels of 20 m, doubled to pixels of 10 m."""
    left, top = file.transform.c, file.transform.f
    row, column = int((top - window.top) // SCL_METRES), int((window.left - left) // SCL_METRES)
    odd_row, odd_column = int((top - window.top) // 10) % 2, int((window.left - left) // 10) % 2
    size = window.height // 2 + 1
    read = await file.read(window=Window(column, row, size, size))
    doubled = read.data[0].repeat(2, axis=0).repeat(2, axis=1)
    return doubled[odd_row : odd_row + window.height, odd_column : odd_column + window.width]


def _wanted(stac_url: str, footprints: Path) -> list[tuple[str, Grid]]:
    recipe, table = Recipe(), pl.read_parquet(footprints)
    found = find_products(open_catalog(stac_url), table, recipe.sentinel2)
    choices = choose_products(table, found.products, recipe.sentinel2, recipe.window_size)
    return [
        (product.hrefs["SCL"], window_at(product.grid, row, column, recipe.window_size))
        for index, row, column in choices.frame.select("product", "row", "column").iter_rows()
        for product in [choices.products[index]]
    ]
