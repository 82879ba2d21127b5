"""Archives of releases made by hand, as tests of the import need them."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

SIZE = 16
WEST, NORTH = 20.0, 50.0
"""Corner of the first image, in degrees."""
STEP = 0.001
"""Degrees of a pixel."""


def tiff(
    number: int = 0,
    *,
    bands: int = 3,
    size: int = SIZE,
    dtype: str = "uint8",
    crs: str | None = None,
    transform: Affine | None = None,
) -> bytes:
    """An image whose pixels tell its number; plain unless a CRS is given."""
    values = np.random.default_rng(number).integers(0, 200, (bands, size, size)).astype(dtype)
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=bands, width=size, height=size, dtype=dtype, crs=crs,
            transform=transform or rasterio.Affine.identity(),
        ) as out:  # fmt: skip
            out.write(values)
        return bytes(memory.getbuffer())


def outline(number: int = 0, size: int = SIZE) -> dict[str, Any]:
    """The outline of an image, each image so many pixels east of the one before."""
    west, side = WEST + number * size * STEP, size * STEP
    return box(west, NORTH - side, west + side, NORTH)


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A rectangle as GeoJSON."""
    ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    return {"type": "Polygon", "coordinates": [ring]}


def polygon(*rings: Sequence[Any]) -> dict[str, Any]:
    """A polygon as GeoJSON; the rings are closed here."""
    return {"type": "Polygon", "coordinates": [[list(point) for point in (*ring, ring[0])] for ring in rings]}


def feature(label: Any, geometry: Any = None, **properties: Any) -> dict[str, Any]:
    """A label file."""
    return {"type": "Feature", "geometry": geometry or {}, "properties": {"label": label, **properties}}


def pairs(labels: Mapping[str, Any], **facts: Any) -> dict[str, bytes]:
    """Files of a release: an image and a label file of each name."""
    found = {}
    for number, (name, document) in enumerate(labels.items()):
        found[f"images/{name}.tif"] = tiff(number, **facts)
        found[f"labels/{name}.json"] = json.dumps(document).encode()
    return found


def tar_gz(path: Path, files: Mapping[str, bytes | Any], root: str = "ts_104-1.0.1/") -> Path:
    """Pack files; what is not bytes is written as JSON."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            info = tarfile.TarInfo(root + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, files: Mapping[str, bytes | Any]) -> Path:
    """Pack files as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path
