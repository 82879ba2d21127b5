"""Uploads as users make them, and as they should not: images, zips and tars, small and seemingly large."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from factory_pipeline.config.intake_policy import IntakePolicy

OPEN = IntakePolicy(private_addresses=True, retries=1, timeout_s=5)
"""A policy that lets the tests' own server in."""


def local(*folders: Path, **limits: Any) -> IntakePolicy:
    """A policy for files in folders."""
    return IntakePolicy(folders=folders, **limits)


def geotiff(
    values: NDArray[np.generic] | None = None,
    names: Sequence[str] = (),
    crs: Any = "EPSG:32632",
    left: float = 500_000,
    top: float = 5_000_000,
    tags: Mapping[str, str] = MappingProxyType({}),
    **profile: Any,
) -> bytes:
    """A GeoTIFF of (bands, rows, columns), 10 m pixels; without values two bands of 8x8."""
    if values is None:
        values = np.arange(128, dtype=np.uint16).reshape(2, 8, 8)
    bands, height, width = values.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=values.dtype,
            crs=crs,
            transform=from_origin(left, top, 10, 10) if crs else None,
            **profile,
        ) as image:
            # After the pixels, the directory of the file would lie behind them.
            if tags:
                image.update_tags(**tags)
            image.write(values)
            for band, name in enumerate(names, 1):
                image.set_band_description(band, name)
        return bytes(memory.getbuffer())


def mask(*values: int, **options: Any) -> bytes:
    """A label of 8x8 pixels that holds the values."""
    pixels = np.resize(np.array(values or (0, 1), dtype=np.uint8), (1, 8, 8))
    return geotiff(pixels, **options)


def png(size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    """A picture without place."""
    stored = io.BytesIO()
    Image.new(mode, size).save(stored, "PNG")
    return stored.getvalue()


def bare_png(width: int, height: int) -> bytes:
    """A grey PNG of 8 bits of which only the start is there."""
    size = struct.pack(">II", width, height) + bytes([8, 0, 0, 0, 0])
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(100)))]
    stored = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(stored)


def bare_jpeg(width: int, height: int) -> bytes:
    """A small JPEG of three bands whose header says that it is large."""
    stored = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stored, "JPEG")
    content = bytearray(stored.getvalue())
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def pairs(count: int) -> dict[str, bytes]:
    """Images and labels of different content that fit."""
    made: dict[str, bytes] = {}
    for number in range(count):
        values = np.random.default_rng(number).integers(1, 1000, (2, 8, 8)).astype(np.uint16)
        made[f"images/tile_{number}_merged.tif"] = geotiff(values, ("Blue", "Red"), nodata=0)
        made[f"labels/tile_{number}_mask.tif"] = mask(0, 1)
    return made


def zip_of(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip at `path`."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar at `path`, compressed if its name says so."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def bare_header(width: int, height: int, dtype: str = "uint8", codec: int = 1) -> bytes:
    """The first bytes of a TIFF of one strip, which would be followed by its pixels; codec 1 is none."""
    bits, kind = {"uint8": (8, 1), "uint16": (16, 1), "float64": (64, 3)}[dtype]
    size = width * height * bits // 8
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, codec),
        (262, 3, 1),
        (273, 4, 8 + 2 + 10 * 12 + 4),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, size % 2**32),
        (339, 3, kind),
    ]
    entries = b"".join(struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)


def hollow_zip(path: Path, heads: Mapping[str, tuple[bytes, int]]) -> Path:
    """A zip64 of stored members of which only the first bytes are written; the rest is a hole in the file.

    Args:
        path: where it goes.
        heads: first bytes and size of each member.
    """
    listed = []
    with path.open("wb") as file:
        for name, (head, size) in heads.items():
            offset = file.tell()
            sizes = struct.pack("<HHQQ", 1, 16, size, size)
            fixed = struct.pack(
                "<4s5H3L2H", b"PK\x03\x04", 45, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, len(name), 20
            )
            file.write(fixed + name.encode() + sizes + head)
            file.seek(offset + len(fixed) + len(name) + 20 + size)
            extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
            entry = struct.pack(
                "<4s6H3L5H2L",
                b"PK\x01\x02",
                45,
                45,
                0,
                0,
                0,
                33,
                0,
                2**32 - 1,
                2**32 - 1,
                len(name),
                28,
                0,
                0,
                0,
                0,
                2**32 - 1,
            )
            listed.append(entry + name.encode() + extra)
        start = file.tell()
        directory = b"".join(listed)
        file.write(directory)
        file.write(
            struct.pack(
                "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, len(listed), len(listed), len(directory), start
            )
        )
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(directory), 1))
        file.write(
            struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
        )
    return path


def written(folder: Path) -> set[str]:
    """Names of all files in a folder, also hidden ones."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
