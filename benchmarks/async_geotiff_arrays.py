"""What a user of async-geotiff would write: every file opened once, many windows read at a time.

A script for an interpreter that has async-geotiff and pystac-client; it needs nothing of this project. It
prints a line when it is ready, waits for one, works, and prints the number of values that it has read. The
library does not resample: it reads the pixels of the file that a window covers.
"""

import asyncio
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from async_geotiff import GeoTIFF, Window
from obstore.store import HTTPStore
from pystac_client import Client

AT_A_TIME = 64
"""Windows of each file that are read at a time: all at once take several GB."""


def main(about_path: str) -> None:
    """Read the windows that a file tells."""
    about = json.loads(Path(about_path).read_text())
    client = Client.open(about["url"])
    hrefs = [
        item.assets[asset].href
        for source in about["sources"]
        for item in client.search(collections=[source["collection"]]).items()
        for asset in source["assets"]
    ]
    store = HTTPStore.from_url(about["url"].partition("/stac")[0], client_options={"allow_http": True})
    print("ready", flush=True)
    sys.stdin.readline()
    print(asyncio.run(read_all(about, hrefs, store)), flush=True)


async def read_all(about: dict[str, Any], hrefs: list[str], store: HTTPStore) -> int:
    """Read all windows of all files; the number of values."""
    files = await asyncio.gather(
        *(GeoTIFF.open(urlsplit(href).path.lstrip("/"), store=store) for href in hrefs)
    )
    count = 0
    for some in parted(about["corners"]):
        # Windows that lie beside each other are read together, from all files.
        arrays = await asyncio.gather(*(read(about, corner, file) for corner in some for file in files))
        count += sum(arrays)
    return count


def parted(corners: list[Any]) -> Iterator[list[Any]]:
    """Yield the windows in portions that fit into memory."""
    for first in range(0, len(corners), AT_A_TIME):
        yield corners[first : first + AT_A_TIME]


async def read(about: dict[str, Any], corner: tuple[float, float], file: GeoTIFF) -> int:
    """Read the pixels of one file that one window covers; the number of values."""
    left, top = corner
    metres = about["size"] * about["pixel_size"]
    transform = file.transform
    column = math.floor((left - transform.c) / transform.a)
    row = math.floor((top - transform.f) / transform.e)
    right = math.ceil((left + metres - transform.c) / transform.a)
    bottom = math.ceil((top - metres - transform.f) / transform.e)
    found = await file.read(window=Window(column, row, right - column, bottom - row))
    return int(found.data.size)


if __name__ == "__main__":
    main(*sys.argv[1:])
