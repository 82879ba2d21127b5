"""Joining shards of fields into one file."""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.errors import PairFileError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.volumes.fields.shards import (
    CORRELATION,
    PAIRS,
    PairRange,
)
from factory_pipeline.volumes.fields.task import CENTRES, open_pairs
from factory_pipeline.volumes.pair_files import MAIN, WORK, create_fields

SHARD_NAME = re.compile(r"(\d+)_(\d+)\.h5")


def join_shards(folder: Path, output: Path) -> int:
    """Join the shards of a folder in the order of their pairs, atomically; return how many fields these are.

    An output that exists and was joined from the same shards is left as it is.

    Args:
        folder: with the shards of one task.
        output: the file of all fields (HDF5).

    Raises:
        PairFileError: the shards have gaps or overlaps, which the message names, are of different tasks or
            shapes, or can't be read; or the output exists and is another file.
    """
    ranges = sorted(_list_shards(folder))
    task, pairs, shape = _describe(folder, ranges)
    _check_coverage(folder, ranges, pairs)
    if output.exists():
        if not _is_joined(output, task, pairs):
            raise PairFileError(f"{output} exists and is not made of these shards; it is not overwritten.")
        return pairs
    with atomic_write(output) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        fields = create_fields(file, pairs, shape)
        file.attrs[WORK], file.attrs[PAIRS] = task, pairs
        scores = file.create_dataset(CORRELATION, (pairs, 2), np.float32, track_order=False)
        centres = []
        for shard_range in ranges:
            with open_pairs(folder / shard_range.file_name) as shard:
                for index in range(len(shard)):
                    # As they are stored: the rounding to 0.01 pixels is not done twice.
                    mask, chunk = shard.id.read_direct_chunk((index, 0, 0, 0))
                    position = (shard_range.start + index, 0, 0, 0)
                    fields.id.write_direct_chunk(position, chunk, filter_mask=mask)
                scores[shard_range.start : shard_range.stop] = shard.file[CORRELATION][:]
                if CENTRES in shard.file:
                    centres.append(shard.file[CENTRES][:])
        if centres:
            file.create_dataset(CENTRES, data=np.concatenate(centres), track_order=False)
    return pairs


def _list_shards(folder: Path) -> list[PairRange]:
    paths = sorted(folder.glob("[!.]*.h5"))
    if not paths:
        raise PairFileError(f"{folder} has no shards, files named START_STOP.h5.")
    ranges = []
    for path in paths:
        match = SHARD_NAME.fullmatch(path.name)
        if match is None or int(match[1]) >= int(match[2]):
            raise PairFileError(f"{path} is not a shard: shards are named START_STOP.h5, START before STOP.")
        ranges.append(PairRange(int(match[1]), int(match[2])))
    return ranges


def _describe(folder: Path, ranges: Sequence[PairRange]) -> tuple[str, int, tuple[int, int]]:
    """Task, number of pairs and shape of a field; the same of all shards."""
    found: tuple[str, int, tuple[int, int]] | None = None
    for shard_range in ranges:
        path = folder / shard_range.file_name
        with open_pairs(path) as shard:
            attributes = shard.file.attrs
            if (
                shard.name != f"/{MAIN}"
                or not {WORK, PAIRS} <= set(attributes)
                or CORRELATION not in shard.file
            ):
                raise PairFileError(f"{path} was not written by generate-fields.")
            length = shard_range.stop - shard_range.start
            if len(shard) != length:
                raise PairFileError(f"{path} has {count_noun(len(shard), 'field')}; its name says {length}.")
            one = str(attributes[WORK]), int(attributes[PAIRS]), tuple(shard.shape[2:])
        if found is not None and one != found:
            first = ranges[0].file_name
            raise PairFileError(f"The shards {first} and {path.name} in {folder} are of different tasks.")
        found = one
    assert found is not None
    return found


def _check_coverage(folder: Path, ranges: Sequence[PairRange], pairs: int) -> None:
    """Raise PairFileError unless each pair is in one shard."""
    stop = 0
    for shard in [*ranges, PairRange(pairs, pairs)]:
        if shard.start > stop:
            missing = PairRange(stop, shard.start)
            raise PairFileError(f"The shards in {folder} have a gap: the pairs {missing} are missing.")
        if shard.start < stop and shard.start < pairs:
            twice = PairRange(shard.start, min(stop, shard.stop))
            raise PairFileError(f"The shards in {folder} overlap: the pairs {twice} are in more than one.")
        stop = shard.stop
    if ranges[-1].stop > pairs:
        raise PairFileError(
            f"{folder / ranges[-1].file_name} goes beyond the {count_noun(pairs, 'pair')} of its images."
        )


def _is_joined(output: Path, task: str, pairs: int) -> bool:
    try:
        with open_pairs(output) as fields:
            return fields.file.attrs.get(WORK) == task and len(fields) == pairs
    except PairFileError:
        return False
