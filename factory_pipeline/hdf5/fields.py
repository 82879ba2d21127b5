"""A dataset of a dataset file as data: its name, type and shape, and how its content is made of samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Protocol

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.errors import DatasetFileError

DATA = "data"
"""The group with what a model is trained on."""
PROVENANCE = "provenance"
"""The group with the exact provenance of each sample."""


class _WithTable(Protocol):
    """Samples of any dataset."""

    @property
    def table(self) -> pl.DataFrame:
        """A row per sample."""


@dataclass(frozen=True)
class Field:
    """One dataset of the file."""

    group: str
    """DATA, PROVENANCE, or that of the columns that a recipe carries along."""
    name: str
    dtype: np.dtype[np.generic]
    """As stored; fixed-length UTF-8 for text."""
    shape: tuple[int, ...]
    """Of one sample; the dataset is (N, *shape)."""
    description: str
    values: Callable[[Any], NDArray[np.generic]]
    """Makes the dataset's content from samples."""
    units: tuple[str, ...] = ()
    """One for the dataset, or one per band."""
    band_names: tuple[str, ...] = ()
    """Names along the first axis of a sample."""
    nodata: float | None = None
    attributes: Mapping[str, Any] = dataclass_field(default_factory=dict)
    """More attributes of the dataset."""

    @property
    def path(self) -> str:
        """The dataset's path in the file."""
        return f"{self.group}/{self.name}"

    @property
    def is_raster(self) -> bool:
        """True for (..., h, w) of numbers per sample: stored with one sample per chunk."""
        return len(self.shape) >= 2 and not self.is_text

    @property
    def is_text(self) -> bool:
        """True for fixed-length UTF-8."""
        return self.dtype.kind == "S"


def text_dtype(length: int) -> np.dtype[np.generic]:
    """Return fixed-length UTF-8 of so many bytes."""
    return h5py.string_dtype("utf-8", length)


def text_field(group: str, name: str, length: int, description: str, column: str) -> Field:
    """Return a (N, 1) text dataset made from a column of the table.

    Args:
        group: of the file.
        name: of the dataset.
        length: bytes in UTF-8.
        description: an attribute of the dataset.
        column: of the table.
    """

    def values(samples: _WithTable) -> NDArray[np.generic]:
        return encode_text(name, samples.table[column].to_list(), length).reshape(-1, 1)

    return Field(group, name, text_dtype(length), (1,), description, values)


def number_field(
    group: str,
    name: str,
    dtype: str,
    description: str,
    columns: tuple[str, ...],
    units: tuple[str, ...] = (),
) -> Field:
    """Return a (N, columns) dataset of numbers made from columns of the table.

    Args:
        group: of the file.
        name: of the dataset.
        dtype: as stored.
        description: an attribute of the dataset.
        columns: of the table, one per column of the dataset.
        units: of the columns; none if they have none.
    """

    def values(samples: _WithTable) -> NDArray[np.generic]:
        return np.stack([samples.table[column].to_numpy() for column in columns], axis=1)

    names = columns if len(columns) > 1 else ()
    return Field(group, name, np.dtype(dtype), (len(columns),), description, values, units, names)


def encode_text(name: str, texts: Iterable[str], length: int) -> NDArray[np.bytes_]:
    """Return UTF-8 of fixed length.

    Args:
        name: of the dataset, for the message.
        texts: one per sample.
        length: bytes in UTF-8.

    Raises:
        DatasetFileError: a text needs more bytes; it is never cut.
    """
    encoded = [text.encode() for text in texts]
    for text in encoded:
        if len(text) > length:
            raise DatasetFileError(
                f"The value {text.decode()!r} of {name} has {len(text)} bytes; the file stores up to"
                f" {length}."
            )
    return np.array(encoded, dtype=f"S{length}")
