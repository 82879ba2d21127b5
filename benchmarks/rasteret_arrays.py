"""What a user of rasteret would write: a collection with the headers of all files, then array by array.

A script for an interpreter that has rasteret; it needs nothing of this project. It prints a line when it is
ready, waits for one, works, and prints the number of values that it has read. The collections are built
before, as rasteret builds them once for many readings: their headers are known where the others read them.
The library does not resample: it reads the pixels of the file that a window covers.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasteret
import shapely
from pyproj import Transformer
from rasteret.fetch import cog

# Its own store takes HTTPS alone, and the archive here is served without.
cog._OBSTORE_CLIENT_OPTIONS["allow_http"] = "true"


def main(about_path: str) -> None:
    """Read the windows that a file tells."""
    about = json.loads(Path(about_path).read_text())
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        collections = [(build(about, source, folder), source["assets"]) for source in about["sources"]]
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(read(about, corner, collections) for corner in about["corners"]), flush=True)


def build(about: dict[str, Any], source: dict[str, Any], folder: str) -> rasteret.Collection:
    """Return the collection of a source, of all of its items that show a window."""
    x, y = np.array(about["corners"]).T
    metres = about["size"] * about["pixel_size"]
    to_degrees = Transformer.from_crs(about["epsg"], 4326, always_xy=True)
    return rasteret.build_from_stac(
        name=source["name"],
        stac_api=about["url"],
        collection=source["collection"],
        band_map={asset: asset for asset in source["assets"]},
        bbox=to_degrees.transform_bounds(x.min(), y.min() - metres, x.max() + metres, y.max()),
        date_range=(about["start"][:10], about["end"][:10]),
        workspace_dir=folder,
    )


def read(
    about: dict[str, Any],
    corner: tuple[float, float],
    collections: list[tuple[rasteret.Collection, list[str]]],
) -> int:
    """Read all sources of one window."""
    left, top = corner
    metres = about["size"] * about["pixel_size"]
    window = shapely.box(left, top - metres, left + metres, top)
    return sum(
        collection.get_numpy(window, assets, geometry_crs=about["epsg"], progress=False).size
        for collection, assets in collections
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
