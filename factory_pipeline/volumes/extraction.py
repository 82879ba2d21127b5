"""Cutting sections: each once for all pairs that have it, in threads, part by part.

Parts are files in a folder of work. A killed run finds those that are complete and goes on behind them; what
is in a part depends on the work alone, not on how many sections are cut at a time.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.thread_map import map_in_threads
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.pair_files import create_fields
from factory_pipeline.volumes.sections import (
    NO_VECTOR,
    SectionField,
    SectionImage,
    read_field,
    read_image,
)
from factory_pipeline.volumes.sources import Sources
from factory_pipeline.volumes.volume import Pixels
from factory_pipeline.volumes.warp import Resampling, resample_field, warp

PART_BYTES = 64 << 20
"""Bytes of images of a part, uncompressed: what is done again after a kill, and what is in memory."""
IMAGES, FIELDS = "images", "fields"
"""Groups of a part."""
AS_SRC, AS_TGT = 0, 1
"""Second axis of a part's images: as it is read, and warped by its own field."""
RECORDS = "records"
OnProgress = Callable[[int, int], None]
"""Called with how many of how many sections are cut."""


@dataclass(frozen=True, slots=True)
class SectionTask:
    """A box that is cut, for all pairs that have it."""

    box: Box
    as_src: bool
    as_tgt: bool


@dataclass(frozen=True, slots=True)
class SectionRecord:
    """What is known of a section after it was cut."""

    fault: str | None = None
    """Why its pairs are rejected."""
    moved: tuple[int, int] = (0, 0)
    """x and y, in MIP 0 pixels, that the box was moved by before it was read."""
    missing: float = 0.0
    """Share of vectors of the field that are not finite."""
    masked: float = 0.0
    black: float = 0.0


@dataclass(frozen=True)
class Extraction:
    """What is cut and how: all that decides the content of the parts."""

    sources: Sources
    tasks: Sequence[SectionTask]
    mip: int
    shape: tuple[int, int]
    normalise: bool
    resampling: Resampling
    create_images: Callable[[h5py.Group, int], h5py.Dataset]
    """Creates the dataset of the images of a number of pairs."""

    @property
    def part_size(self) -> int:
        """Sections of a part."""
        products = 1 if self.sources.field is None else 4
        return max(1, PART_BYTES // (self.shape[0] * self.shape[1] * 4 * products))

    def parts(self) -> list[range]:
        """Return the indexes of the tasks of each part."""
        total = len(self.tasks)
        return [range(start, min(start + self.part_size, total)) for start in range(0, total, self.part_size)]


@dataclass(frozen=True)
class _Section:
    """A section that is cut, before it is in a part."""

    record: SectionRecord
    image: Pixels | None = None
    warped: Pixels | None = None
    field: Pixels | None = None


def plan_sections(boxes: Iterable[tuple[Box, Box]], sources: Sources) -> list[SectionTask]:
    """Return each box once, in an order in which boxes that share chunks follow one another.

    Args:
        boxes: src and tgt of each pair.
        sources: whose chunks decide the order.
    """
    as_src: set[Box] = set()
    as_tgt: set[Box] = set()
    for src, tgt in boxes:
        as_src.add(src)
        as_tgt.add(tgt)
    across, down, deep = sources.image.scale.chunk
    scale = 2**sources.image.mip

    def by_chunk(box: Box) -> tuple[int, int, int, Box]:
        return box.z // deep, box.y // (down * scale), box.x // (across * scale), box

    return [SectionTask(box, box in as_src, box in as_tgt) for box in sorted(as_src | as_tgt, key=by_chunk)]


# The field goes first: only its translation says where an image is read


def read_moves(
    work: Extraction,
    folder: Path,
    parallel: int,
    on_progress: OnProgress,
    parts: Sequence[range] | None = None,
) -> list[tuple[int, int] | None]:
    """Read the fields of sections into parts; return by how much each box is moved.

    Args:
        work: what is cut.
        folder: where the parts are, or are written.
        parallel: sections that are read at a time.
        on_progress: called after each section.
        parts: those whose sections are read; all by default.

    Returns:
        By task of these parts: x and y in MIP 0 pixels; None if the field has no finite vector.
    """
    parts = work.parts() if parts is None else parts
    total = sum(map(len, parts))
    if work.sources.field is None:
        return [(0, 0)] * total
    missing = [part for part in parts if not _fields_path(folder, part).exists()]
    boxes = (work.tasks[index].box for part in missing for index in part)
    fields = map_in_threads(lambda box: read_field(work.sources, box), boxes, parallel)
    done = total - sum(map(len, missing))
    for part in missing:
        found = []
        for _ in part:
            found.append(next(fields))
            done += 1
            on_progress(done, total)
        with atomic_write(_fields_path(folder, part)) as temporary, temporary.open("wb") as file:
            np.savez(file, **_to_arrays(found))
    return [
        field.moved if field is not None else None
        for part in parts
        for field in _load_fields(_fields_path(folder, part))
    ]


def _fields_path(folder: Path, part: range) -> Path:
    return folder / f"fields-{part.start:07d}.npz"


def _to_arrays(fields: Sequence[SectionField | None]) -> dict[str, Any]:
    present = [field for field in fields if field is not None]
    return {
        "present": np.array([field is not None for field in fields]),
        "moved": np.array([field.moved for field in present], np.int64),
        "missing": np.array([field.missing for field in present]),
        "residual": np.array([field.residual for field in present], np.float32),
    }


def _load_fields(path: Path) -> Iterator[SectionField | None]:
    with np.load(path, allow_pickle=False) as arrays:
        present, moved, missing, residual = (
            arrays[name] for name in ("present", "moved", "missing", "residual")
        )
    row = 0
    for exists in present:
        if not exists:
            yield None
            continue
        yield SectionField((int(moved[row, 0]), int(moved[row, 1])), residual[row], float(missing[row]))
        row += 1


# Then the images


def cut_sections(
    work: Extraction,
    folder: Path,
    parallel: int,
    on_progress: OnProgress,
    parts: Sequence[range] | None = None,
) -> list[SectionRecord]:
    """Cut sections into parts; return what is known of each.

    Args:
        work: what is cut; `read_moves` has finished on the same folder.
        folder: where the parts are, or are written.
        parallel: sections that are cut at a time.
        on_progress: called after each section.
        parts: those whose sections are cut; all by default.
    """
    parts = work.parts() if parts is None else parts
    total = sum(map(len, parts))
    missing = [part for part in parts if not part_path(folder, part).exists()]
    cut = map_in_threads(lambda given: _cut(work, *given), _read_fields(work, folder, missing), parallel)
    done = total - sum(map(len, missing))
    for part in missing:
        with (
            atomic_write(part_path(folder, part)) as temporary,
            h5py.File(temporary, "w", track_order=False) as file,
        ):
            images = work.create_images(file.create_group(IMAGES, track_order=False), len(part))
            fields = None
            if work.sources.field is not None:
                fields = create_fields(file.create_group(FIELDS, track_order=False), len(part), work.shape)
            records = []
            for row in range(len(part)):
                section = next(cut)
                records.append(section.record)
                if section.image is not None:
                    images[row, AS_SRC] = section.image
                if section.warped is not None:
                    images[row, AS_TGT] = section.warped
                if section.field is not None and fields is not None:
                    fields[row] = section.field
                done += 1
                on_progress(done, total)
            file[RECORDS] = json.dumps([asdict(record) for record in records])
    return [record for part in parts for record in _load_records(part_path(folder, part))]


def part_path(folder: Path, part: range) -> Path:
    """Return the path of a part.

    Args:
        folder: of the work.
        part: indices of sections.
    """
    return folder / f"sections-{part.start:07d}.h5"


def _load_records(path: Path) -> Iterator[SectionRecord]:
    with h5py.File(path) as file:
        for record in json.loads(file[RECORDS].asstr()[()]):
            yield SectionRecord(**{**record, "moved": tuple(record["moved"])})


def _read_fields(
    work: Extraction, folder: Path, parts: Iterable[range]
) -> Iterator[tuple[SectionTask, SectionField | None]]:
    for part in parts:
        tasks = [work.tasks[index] for index in part]
        if work.sources.field is None:
            yield from ((task, None) for task in tasks)
        else:
            yield from zip(tasks, _load_fields(_fields_path(folder, part)), strict=True)


def _cut(work: Extraction, task: SectionTask, field: SectionField | None) -> _Section:
    if work.sources.field is None:
        image = _read(work, task.box)
        return _Section(_record(image), image=image.pixels)
    if field is None:
        return _Section(SectionRecord(NO_VECTOR))
    image = _read(work, task.box.moved(*field.moved))
    record = replace(_record(image), moved=field.moved, missing=field.missing)
    if image.fault is not None:
        return _Section(record)
    # Vectors are in pixels of the mip that they are at while they are resampled.
    mip = work.sources.field.mip
    vectors = resample_field(field.residual / np.float32(2**mip), mip, work.mip, work.shape)
    return _Section(
        record,
        image=image.pixels if task.as_src else None,
        warped=warp(image.pixels, vectors) if task.as_tgt else None,
        field=vectors if task.as_src else None,
    )


def _read(work: Extraction, box: Box) -> SectionImage:
    return read_image(work.sources, box, work.mip, normalise=work.normalise, resampling=work.resampling)


def _record(image: SectionImage) -> SectionRecord:
    return SectionRecord(image.fault, masked=image.masked, black=image.black)
