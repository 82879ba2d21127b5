"""What a user of lazycogs would write: every window of every source opened and read as one array.

A script for an interpreter that has lazycogs and pystac-client; it needs nothing of this project. It prints a
line when it is ready, waits for one, works, and prints the number of values that it has read. It resamples by
nearest neighbour, its only way. Items are in memory, as those of the other contestants are: its own queries
would be counted, and need an extension that DuckDB downloads.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import lazycogs
from arro3.core import Array, DataType, Table
from obstore.store import HTTPStore
from pystac_client import Client


class ItemsInMemory:
    """Answers as `rustac.DuckdbClient` does of items that all show the same ground."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self._items = sorted(items, key=lambda item: item["properties"]["datetime"])

    def search(self, _: str, datetime: str | None = None, **options: Any) -> list[dict[str, Any]]:
        first, _, last = (datetime or "").partition("/")
        found = [
            item
            for item in self._items
            if not datetime or _day(first) <= _day(item["properties"]["datetime"]) <= _day(last or first)
        ]
        return found[: options.get("max_items")]

    def search_to_arrow(self, _: str, **options: Any) -> Table:
        times = [item["properties"]["datetime"] for item in self.search("", options.get("datetime"))]
        return Table.from_pydict({"datetime": Array(times, DataType.utf8())})


def _day(text: str) -> str:
    return datetime.fromisoformat(text).date().isoformat()


def main(about_path: str) -> None:
    """Read the windows that a file tells."""
    about = json.loads(Path(about_path).read_text())
    client = Client.open(about["url"])
    clients = {
        source["name"]: ItemsInMemory(
            list(client.search(collections=[source["collection"]]).items_as_dicts())
        )
        for source in about["sources"]
    }
    root = about["url"].partition("/stac")[0]
    store = HTTPStore.from_url(root, client_options={"allow_http": True})
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(read(about, corner, clients, store) for corner in about["corners"]), flush=True)


def read(
    about: dict[str, Any], corner: tuple[float, float], clients: dict[str, ItemsInMemory], store: HTTPStore
) -> int:
    """Read all sources of one window."""
    pixel, size = about["pixel_size"], about["size"]
    left, top = corner
    count = 0
    for source in about["sources"]:
        found = lazycogs.open(
            "items.parquet",
            bbox=(left, top - size * pixel, left + size * pixel, top),
            crs=f"EPSG:{about['epsg']}",
            resolution=pixel,
            bands=source["assets"],
            nodata=source["nodata"],
            dtype=source["dtype"],
            store=store,
            duckdb_client=clients[source["name"]],
        )
        count += found.values.size
    return count


if __name__ == "__main__":
    main(*sys.argv[1:])
