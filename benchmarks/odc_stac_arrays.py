"""What a user of odc-stac would write: every window of every source loaded as one array.

A script for an interpreter that has odc-stac and pystac-client; it needs nothing of this project. It prints a
line when it is ready, waits for one, works, and prints the number of values that it has read.
"""

import json
import sys
from pathlib import Path
from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox
from odc.stac import configure_rio, load
from pystac_client import Client


def main(about_path: str) -> None:
    """Load the windows that a file tells."""
    about = json.loads(Path(about_path).read_text())
    # Its own defaults for COGs in a cloud.
    configure_rio(cloud_defaults=True)
    client = Client.open(about["url"])
    searched = {
        source["name"]: list(client.search(collections=[source["collection"]]).items())
        for source in about["sources"]
    }
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(read(about, corner, searched) for corner in about["corners"]), flush=True)


def read(about: dict[str, Any], corner: tuple[float, float], searched: dict[str, list[Any]]) -> int:
    """Load all sources of one window."""
    pixel, size = about["pixel_size"], about["size"]
    box = GeoBox((size, size), Affine(pixel, 0, corner[0], 0, -pixel, corner[1]), f"EPSG:{about['epsg']}")
    count = 0
    for source in about["sources"]:
        stored = {"data_type": source["dtype"], "nodata": source["nodata"]}
        loaded = load(
            searched[source["name"]],
            bands=source["assets"],
            geobox=box,
            resampling="bilinear",
            groupby="time",
            stac_cfg={source["collection"]: {"assets": {"*": stored}}},
        )
        count += sum(loaded[name].values.size for name in source["assets"])
    return count


if __name__ == "__main__":
    main(*sys.argv[1:])
