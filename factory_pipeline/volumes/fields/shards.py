"""Fields of a range of pairs, in a file of their own: a shard."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import AlignerError, PairFileError
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.volumes.aligners.aligner import Aligner, Field, Image
from factory_pipeline.volumes.fields.task import CENTRES, FieldTask, open_pairs
from factory_pipeline.volumes.pair_files import WORK, create_fields
from factory_pipeline.volumes.warp import resample_field, warp

SHARDS = 16
"""How many shards a small dataset is divided into, so that all processes have work."""
MOST_PAIRS = 64
"""Of a shard: what a killed run loses at most, for each process."""
CORRELATION = "correlation"
"""Dataset of a shard beside the fields, shape (n, 2): correlation of the target with the source warped by the
previous field, and with the source warped by the new one."""
PAIRS = "pairs"
"""Attribute of a shard: how many pairs its task has."""


@dataclass(frozen=True, order=True)
class PairRange:
    """Pairs start to stop - 1 of a dataset."""

    start: int
    stop: int

    @property
    def file_name(self) -> str:
        """The name of the shard."""
        return f"{self.start}_{self.stop}.h5"

    def __str__(self) -> str:
        return f"{self.start} to {self.stop - 1}"


def divide(pairs: int) -> list[PairRange]:
    """Divide pairs into shards, each pair in one; how many processes work on them changes nothing."""
    length = min(max(-(-pairs // SHARDS), 1), MOST_PAIRS)
    return [PairRange(start, min(start + length, pairs)) for start in range(0, pairs, length)]


def is_finished(task: FieldTask, path: Path) -> bool:
    """Return whether a shard exists.

    Args:
        task: of the shard.
        path: of the shard.

    Raises:
        PairFileError: there is a file of its name that is of another task.
    """
    if not path.exists():
        return False
    with open_pairs(path) as shard:
        if shard.file.attrs.get(WORK) != task.digest:
            raise PairFileError(
                f"{path} is of other images, fields or aligners, and is not overwritten; name another folder"
                " by --temp_dir, or remove the file."
            )
    return True


def write_shard(task: FieldTask, aligner: Aligner, pairs: PairRange, path: Path) -> None:
    """Align the pairs of a shard one by one, and write the shard atomically.

    A pair of which a section is all 0 keeps the previous field: there is nothing to align.

    Args:
        task: images, mip and settings.
        aligner: makes the fields.
        pairs: of the shard.
        path: of the shard (HDF5).

    Raises:
        AlignerError: the aligner returns something else than a field; the message names the pair.
        PairFileError: an image or a previous field is not finite.
    """
    with atomic_write(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        fields = create_fields(file, pairs.stop - pairs.start, task.shape)
        file.attrs[WORK], file.attrs[PAIRS] = task.digest, task.pairs
        scores = np.zeros((fields.shape[0], 2), np.float32)
        for index, (src, tgt, previous) in enumerate(_read(task, pairs)):
            found = _align(task, aligner, src, tgt, previous, pairs.start + index)
            scores[index] = [correlation(warp(src, field), tgt) for field in (previous, found)]
            fields[index] = resample_field(found, task.src_mip, task.dst_mip, task.shape)
        file.create_dataset(CORRELATION, data=scores, track_order=False)
        if task.centres is not None:
            file.create_dataset(
                CENTRES, data=np.array(task.centres[pairs.start : pairs.stop], np.int64), track_order=False
            )


def correlation(first: Image, second: Image) -> float:
    """Return the correlation of two images over the pixels in which neither is 0; 0 if there is none.

    Args:
        first: (x, y).
        second: the same shape.
    """
    both = (first != 0) & (second != 0)
    if both.sum() < 2:
        return 0.0
    values = [image[both].astype(np.float64) for image in (first, second)]
    centred = [value - value.mean() for value in values]
    scale = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float((centred[0] * centred[1]).sum() / scale) if scale else 0.0


def _read(task: FieldTask, pairs: PairRange) -> Iterator[tuple[Image, Image, Field]]:
    """Source, target and previous field of each pair; one pair is in memory at a time."""
    with ExitStack() as files:
        images = files.enter_context(open_pairs(task.images))
        previous = files.enter_context(open_pairs(task.previous)) if task.previous else None
        for pair in range(pairs.start, pairs.stop):
            src, tgt = _finite(task.images, pair, images[pair])
            if task.previous is None or previous is None:
                yield src, tgt, np.zeros((2, *src.shape), np.float32)
            else:
                row = pair if task.previous_rows is None else task.previous_rows[pair]
                yield src, tgt, _finite(task.previous, row, previous[row])


def _align(task: FieldTask, aligner: Aligner, src: Image, tgt: Image, previous: Field, pair: int) -> Field:
    if not src.any() or not tgt.any():
        return previous
    found = aligner(src, tgt, previous, task.src_mip)
    if found.shape != previous.shape or not np.isfinite(found).all():
        what = "a field that is not finite" if found.shape == previous.shape else f"the shape {found.shape}"
        raise AlignerError(
            f"The aligner returned {what} for pair {pair} of {task.images};"
            f" finite values of shape {previous.shape} are needed."
        )
    return found


def _finite(path: Path, pair: int, values: NDArray[np.generic]) -> NDArray[np.float32]:
    finite = values.astype(np.float32)
    if not np.isfinite(finite).all():
        raise PairFileError(f"Pair {pair} of {path} has values that are not finite.")
    return finite
