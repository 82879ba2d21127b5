"""From the parts of an extraction to the files of pairs: chunks are copied as they are stored."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import polars as pl

from factory_pipeline.errors import PairFileError
from factory_pipeline.imagery.row_frames import frames_of
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.extraction import (
    AS_SRC,
    AS_TGT,
    FIELDS,
    IMAGES,
    Extraction,
    SectionRecord,
    part_path,
)
from factory_pipeline.volumes.pair_files import WORK, create_fields
from factory_pipeline.volumes.pair_forms import SIDES
from factory_pipeline.volumes.pair_order import PairOrder, order_pairs
from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.work_files import create_hdf5

OPEN_PARTS = 16
"""Parts that are open at a time while their chunks are copied."""
TABLE_SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "pair": pl.Int64,
    "row": pl.Int64,
    "split": pl.String,
    "location": pl.Int64,
    "reason": pl.String,
    **{
        f"{side}_{name}": kind
        for side in SIDES
        for name, kind in (
            ("x", pl.Int64),
            ("y", pl.Int64),
            ("z", pl.Int64),
            ("trans_x", pl.Int64),
            ("trans_y", pl.Int64),
            ("masked", pl.Float64),
            ("black", pl.Float64),
            ("missing_vectors", pl.Float64),
        )
    },
}
"""Columns of the table of pairs: a row for each pair of the spec, in its order.

`row` is that of the files, null for a rejected pair, whose `reason` is not null; x, y and z are the start of
the box in MIP 0 pixels, trans_x and trans_y what it was moved by; masked, black and missing_vectors are
shares of its pixels.
"""


class PairPaths(NamedTuple):
    """The files of a set of pairs."""

    images: Path
    fields: Path
    table: Path
    spec: Path


def publish_pairs(
    paths: PairPaths,
    work_hash: str,
    spec: PairSpec,
    document: Mapping[str, Any],
    work: Extraction,
    records: Sequence[SectionRecord],
    parts_folder: Path,
) -> None:
    """Write the files of a spec, each atomically, the images last.

    Args:
        paths: the files.
        work_hash: stored in each file.
        spec: the pairs.
        document: the spec as JSON, as it is stored.
        work: the sections that were cut.
        records: what is known of each of them.
        parts_folder: where the parts are.

    Raises:
        PairFileError: every pair is rejected.
    """
    boxes = spec.boxes()
    task_of = {task.box: index for index, task in enumerate(work.tasks)}
    sections = [(task_of[src], task_of[tgt]) for src, tgt in boxes]
    reasons = [_reason(*(records[index] for index in pair)) for pair in sections]
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    if not kept:
        counts = Counter(reason for reason in reasons if reason is not None)
        why = "; ".join(f"{count_noun(count, 'pair')}, {reason}" for reason, count in sorted(counts.items()))
        raise PairFileError(f"Every pair is rejected, so that nothing is written: {why}.")
    order = order_pairs([boxes[number] for number in kept])
    rows = [sections[kept[position]] for position in order.order]
    parts = _Parts(work, parts_folder)
    with parts, create_hdf5(paths.fields, work_hash) as file:
        fields = create_fields(file, len(rows), work.shape)
        if work.sources.field is not None:
            for row, (src, _) in enumerate(rows):
                parts.copy(FIELDS, src, 0, fields, (row, 0))
    write_table(paths.table, work_hash, boxes, sections, records, reasons, order)
    with atomic_write(paths.spec) as temporary, temporary.open("w", encoding="utf-8") as text:
        json.dump(document, text, indent=2)
        text.write("\n")
    copy_images(paths.images, work_hash, work, rows, parts_folder)


def copy_images(
    path: Path, work_hash: str, work: Extraction, rows: Sequence[tuple[int, int]], parts_folder: Path
) -> None:
    """Write the images of pairs.

    Args:
        path: the file.
        work_hash: stored in it.
        work: the sections that were cut.
        rows: of each pair, the indexes of the tasks of src and tgt.
        parts_folder: where the parts are.
    """
    as_tgt = AS_SRC if work.sources.field is None else AS_TGT
    parts = _Parts(work, parts_folder)
    with parts, create_hdf5(path, work_hash) as file:
        images = work.create_images(file, len(rows))
        for row, (src, tgt) in enumerate(rows):
            parts.copy(IMAGES, src, AS_SRC, images, (row, 0))
            parts.copy(IMAGES, tgt, as_tgt, images, (row, 1))


def _reason(src: SectionRecord, tgt: SectionRecord) -> str | None:
    """Return why a pair is rejected."""
    faults = [
        f"{side}: {record.fault}" for side, record in zip(SIDES, (src, tgt), strict=True) if record.fault
    ]
    return "; ".join(faults) or None


class _Parts:
    """The parts of an extraction, of which a few are open at a time."""

    def __init__(self, work: Extraction, folder: Path) -> None:
        self._folder = folder
        self._parts = work.parts()
        self._size = work.part_size
        self._open: dict[int, h5py.File] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def copy(self, group: str, task: int, side: int, target: h5py.Dataset, to: tuple[int, int]) -> None:
        """Copy the chunks of an image or a field to a row of `target`, which has chunks of the same size."""
        number, row = divmod(task, self._size)
        source = next(iter(self._file(number)[group].values()))
        across, down = source.chunks[2:]
        for x in range(0, source.shape[2], across):
            for y in range(0, source.shape[3], down):
                filters, chunk = source.id.read_direct_chunk((row, side, x, y))
                target.id.write_direct_chunk((*to, x, y), chunk, filters)

    def _file(self, number: int) -> h5py.File:
        if number not in self._open:
            while len(self._open) >= OPEN_PARTS:
                self._open.pop(next(iter(self._open))).close()
            self._open[number] = h5py.File(part_path(self._folder, self._parts[number]))
        return self._open[number]


def write_table(
    path: Path,
    work_hash: str,
    boxes: Sequence[tuple[Box, Box]],
    sections: Sequence[tuple[int, int]],
    records: Sequence[SectionRecord],
    reasons: Sequence[str | None],
    order: PairOrder,
) -> None:
    """Write the table of pairs.

    Args:
        path: the file.
        work_hash: stored in it.
        boxes: of src and tgt of each pair, also of those that are rejected.
        sections: of each pair, the indexes of the tasks of src and tgt.
        records: what is known of each task.
        reasons: of each pair, why it is rejected; None if it is not.
        order: of the pairs that are not rejected.
    """
    rows = _table_rows(boxes, sections, records, reasons, order)
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        for frame in frames_of(rows, TABLE_SCHEMA):
            file.append(frame)
        file.describe({WORK: work_hash})


def _table_rows(
    boxes: Sequence[tuple[Box, Box]],
    sections: Sequence[tuple[int, int]],
    records: Sequence[SectionRecord],
    reasons: Sequence[str | None],
    order: PairOrder,
) -> Iterator[dict[str, Any]]:
    row_of = {position: row for row, position in enumerate(order.order)}
    position = 0
    for number, (sides, pair) in enumerate(zip(boxes, sections, strict=True)):
        row: dict[str, Any] = {"pair": number, "reason": reasons[number]}
        if reasons[number] is None:
            row |= {
                "row": row_of[position],
                "split": order.split(position),
                "location": order.location[position],
            }
            position += 1
        for side, box, index in zip(SIDES, sides, pair, strict=True):
            record = records[index]
            row |= {
                f"{side}_x": box.x,
                f"{side}_y": box.y,
                f"{side}_z": box.z,
                f"{side}_trans_x": record.moved[0],
                f"{side}_trans_y": record.moved[1],
                f"{side}_masked": record.masked,
                f"{side}_black": record.black,
                f"{side}_missing_vectors": record.missing,
            }
        yield row
