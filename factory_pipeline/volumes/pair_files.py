"""Names and layouts of the HDF5 files of image pairs and fields.

They are those of metroem's `MultimipDataset`, which finds a field by the name of its images.
"""

import re
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from factory_pipeline.errors import PairFileError

MAIN = "main"
"""The dataset (n, 2, x, y): axis 1 of images is (src, tgt), of fields the two channels."""
STRETCH = "img"
"""The dataset of a stretch of sections (n, 2, x, y)."""
FIELD_STAGE = 0
"""Stage in the name of the fields that a spec's volume has."""
FIELD_TAG = "test"
"""Tag in the name of these fields: the one that metroem's reader looks for if it is told none."""
FIELD_DECIMALS = 2
"""Decimals of a stored field (scale-offset filter): steps of 0.01 pixels from the least value of a pair."""
LARGEST_CHUNK = 512
"""Pixels of a side of a stretch's chunk."""
WORK = "work"
"""Attribute of a file: the hash of all that decides its content."""


class Place(NamedTuple):
    """The place that names a set of pairs: that of the first pair's src, in MIP 0 pixels."""

    x: int
    y: int
    z: int

    def __str__(self) -> str:
        return f"x{self.x}_y{self.y}_z{self.z}"


def image_name(place: Place, mip: int, suffix: str | None = None) -> str:
    """Return the name of a file of image pairs; `suffix` is that of a stretch.

    Args:
        place: of the first pair.
        mip: of the images.
        suffix: that of a stretch.
    """
    return f"{place}_MIP{mip}{f'_{suffix}' if suffix else ''}.h5"


def field_name(place: Place, mip: int, stage: int = FIELD_STAGE, tag: str = FIELD_TAG) -> str:
    """Return the name of a file of fields.

    Args:
        place: of the first pair.
        mip: of the fields.
        stage: of the aligner.
        tag: of the fields.
    """
    return f"field_{stage}_{place}_MIP{mip}_{tag}.h5"


def pairs_table(images: Path) -> Path:
    """Return the path of the Parquet table of pairs beside a file of images."""
    return images.with_suffix(".pairs.parquet")


def spec_copy(images: Path) -> Path:
    """Return the path of the spec beside a file of images."""
    return images.with_suffix(".spec.json")


def metroem_faults(place: Place, mip: int) -> list[str]:
    """Return why metroem's `MultimipDataset` can't find files of this name, a sentence each.

    Args:
        place: of the first pair.
        mip: of the images.
    """
    faults = [
        f"metroem reads no file whose {axis} is negative, and this one's is {value}."
        for axis, value in place._asdict().items()
        if value < 0
    ]
    if not re.fullmatch(r"\d", str(mip)):
        faults.append(f"metroem reads no file whose MIP has more than one digit, and this one's is {mip}.")
    return faults


def create_images(file: h5py.File, pairs: int, shape: tuple[int, int]) -> h5py.Dataset:
    """Create the dataset of the images of `pairs` pairs, a chunk each.

    Args:
        file: open for writing.
        pairs: n.
        shape: (x, y).

    Returns:
        `main`, (n, 2, x, y) float32.
    """
    return file.create_dataset(
        MAIN, (pairs, 2, *shape), np.float32, chunks=(1, 1, *shape), compression="lzf", track_order=False
    )


def create_fields(file: h5py.File, pairs: int, shape: tuple[int, int]) -> h5py.Dataset:
    """Create the dataset of the fields of `pairs` pairs, a chunk each.

    Args:
        file: open for writing.
        pairs: n.
        shape: (x, y).

    Returns:
        `main`, (n, 2, x, y) float32 in steps of 0.01 pixels.
    """
    return file.create_dataset(
        MAIN,
        (pairs, 2, *shape),
        np.float32,
        chunks=(1, 2, *shape),
        compression="lzf",
        scaleoffset=FIELD_DECIMALS,
        track_order=False,
    )


def create_stretch(file: h5py.File, pairs: int, size: int) -> h5py.Dataset:
    """Create the dataset `img` of a stretch, (n, 2, size, size) float32 in chunks of at most 512 pixels.

    Args:
        file: is written to.
        pairs: how many.
        size: rows and columns.
    """
    chunk = min(size, LARGEST_CHUNK)
    return file.create_dataset(
        STRETCH,
        (pairs, 2, size, size),
        np.float32,
        chunks=(1, 1, chunk, chunk),
        compression="lzf",
        track_order=False,
    )


def images_of(file: h5py.File) -> h5py.Dataset:
    """Return the dataset of images of an open file: `main` of a spec's pairs or `img` of a stretch.

    Raises:
        PairFileError: it has neither, or not of the shape (n, 2, x, y).
    """
    for name in (MAIN, STRETCH):
        if isinstance(file.get(name), h5py.Dataset) and file[name].ndim == 4 and file[name].shape[1] == 2:
            return file[name]
    raise PairFileError(f"{file.filename} has no dataset {MAIN!r} or {STRETCH!r} of the shape (n, 2, x, y).")
