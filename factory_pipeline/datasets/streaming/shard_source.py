"""Shards, runs of samples of them, and where they are: here in a folder, mapped into memory."""

import mmap
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.redaction import redact


@dataclass(frozen=True)
class Shard:
    """A chunk of a folder."""

    name: str
    samples: int
    bytes: int


@dataclass(frozen=True)
class Run:
    """Samples of a shard that follow each other."""

    first: int
    """Position in the shard of the first."""
    starts: NDArray[np.int64]
    """Where each sample begins in `content`."""
    content: memoryview


class ShardSource(Protocol):
    """Where shards are."""

    def read_index(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            DatasetFileError: it can't be read.
        """

    def request(self, shard: Shard, first: int, last: int) -> "Future[Run]":
        """Begin to read some samples of a shard.

        The result raises a DatasetFileError if they can't be read.

        Args:
            shard: of the index.
            first: position of the first sample in the shard.
            last: position of the last sample, included.
        """


class MappedShards:
    """Shards in a local folder; runs are views of the mapped files."""

    def __init__(self, folder: Path) -> None:
        """Map nothing yet."""
        self._folder = folder
        self._maps: dict[str, tuple[memoryview, NDArray[np.int64]]] = {}

    def read_index(self, name: str) -> bytes:
        """Return a small file."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise unreadable(self._folder / name, error.strerror) from error

    def request(self, shard: Shard, first: int, last: int) -> "Future[Run]":
        """As `ShardSource.request`: a future that is done."""
        done: Future[Run] = Future()
        try:
            content, offsets = self._maps.get(shard.name) or self._map(shard)
            done.set_result(Run(first, offsets[first : last + 1], content))
        except DatasetFileError as error:
            done.set_exception(error)
        return done

    def _map(self, shard: Shard) -> tuple[memoryview, NDArray[np.int64]]:
        path = self._folder / shard.name
        try:
            with path.open("rb") as file:
                content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise unreadable(path, getattr(error, "strerror", None) or "it is empty") from error
        self._maps[shard.name] = found = content, offsets_of(content, shard, path)
        return found


def offsets_of(content: memoryview, shard: Shard, place: Path | str) -> NDArray[np.int64]:
    """Return where each sample begins and where the last ends, as the chunk says.

    Args:
        content: of the chunk, from its start.
        shard: of the index.
        place: of the chunk, for the message.

    Returns:
        (samples + 1,) bytes from the start of the chunk.

    Raises:
        DatasetFileError: it is not the chunk that the index is of.
    """
    head = content[: 4 * (shard.samples + 2)]
    if len(head) < 4 * (shard.samples + 2):
        raise unreadable(place, "it is not the shard that its index is of")
    numbers = np.frombuffer(head, "<u4").astype(np.int64)
    if numbers[0] != shard.samples or numbers[-1] != shard.bytes:
        raise unreadable(place, "it is not the shard that its index is of")
    if (np.diff(numbers[1:]) < 0).any() or numbers[1] != 4 * len(numbers):
        raise unreadable(place, "what it says of where its samples are is damaged")
    return numbers[1:]


def unreadable(place: Path | str, reason: str | None) -> DatasetFileError:
    """Return the error of a file, without credentials of its address.

    Args:
        place: path or address of the file.
        reason: the end of the sentence.
    """
    return DatasetFileError(f"{redact(str(place))} can't be read: {reason}.")
