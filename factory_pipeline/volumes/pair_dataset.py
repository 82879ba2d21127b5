"""From a spec to a set of image pairs: a file of images, one of fields, a table of pairs, the spec."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.errors import SpecError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.redaction import display
from factory_pipeline.splits.names import VALIDATION
from factory_pipeline.volumes import pair_files
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.extraction import (
    Extraction,
    OnProgress,
    SectionRecord,
    cut_sections,
    plan_sections,
    read_moves,
)
from factory_pipeline.volumes.pair_forms import SIDES
from factory_pipeline.volumes.pair_order import HELD_OUT
from factory_pipeline.volumes.publication import PairPaths, publish_pairs
from factory_pipeline.volumes.sources import Sources, open_sources, refuse_outside
from factory_pipeline.volumes.spec import PairSpec, parse_spec
from factory_pipeline.volumes.volume import CACHE_BYTES, Retries, VolumeReader
from factory_pipeline.volumes.warp import Resampling
from factory_pipeline.volumes.work_files import WorkFiles

FORMAT = 1
"""Part of the hash of work: to be raised when the same spec gives other bytes."""


@dataclass(frozen=True)
class PairSettings:
    """How a spec becomes files; all of it but the last three decides the content."""

    normalise: bool = True
    resampling: Resampling = "bilinear"
    fill_missing: bool = False
    """Read what is outside a volume, and chunks that do not exist, as zeros."""
    parallel: int = 4
    """Sections that are cut at a time."""
    cache_bytes: int = CACHE_BYTES
    retries: Retries | None = None


@dataclass(frozen=True)
class PairDataset:
    """The files of a spec."""

    paths: PairPaths
    pairs: int
    """Pairs in the files."""
    rejected: Mapping[str, int]
    """Pairs that are only in the table, by reason."""
    remarks: tuple[str, ...]
    """What a user should know of the files, a sentence each."""

    def __str__(self) -> str:
        lines = [
            f"{count_noun(self.pairs, 'pair')}: {self.paths.images}",
            f"Fields: {self.paths.fields}",
            f"Table: {self.paths.table}",
        ]
        lines += [
            f"Rejected: {count_noun(count, 'pair')}, {reason}" for reason, count in self.rejected.items()
        ]
        return "\n".join([*lines, *self.remarks])


def make_dataset(
    document: Mapping[str, Any],
    folder: Path,
    settings: PairSettings | None = None,
    on_progress: OnProgress | None = None,
) -> PairDataset:
    """Cut the pairs of a spec out of its volumes and write them. Files of the same work are left as they are.

    Args:
        document: the spec as JSON; a copy without credentials is stored beside the files.
        folder: where the files are written.
        settings: how.
        on_progress: called with how many of how many steps are done: two a section if it has a field.

    Raises:
        SpecError: the spec has no pairs, or values that are not allowed.
        VolumeError: a volume can't be read, or a box is outside of it.
        PairFileError: files of the same name exist that are of other work, or every pair is rejected.
    """
    settings = settings or PairSettings()
    spec, sources = _open(document, settings)
    work = _hash_work(document, sources, settings)
    files = WorkFiles(_paths(spec, folder), work)
    with files.claim() as finished:
        if not finished:
            _extract(document, spec, sources, settings, files, on_progress or _ignore)
    return _describe(spec, _paths(spec, folder))


def _describe(spec: PairSpec, paths: PairPaths) -> PairDataset:
    """Return what the files of a spec contain, as their table says."""
    table = pl.read_parquet(paths.table)
    rejected = table.filter(pl.col("reason").is_not_null())["reason"].value_counts().sort("reason")
    remarks = [*pair_files.metroem_faults(first_place(spec), spec.dst_mip), *_describe_between_pixels(spec)]
    held_out = table.filter(pl.col("split") == VALIDATION).height
    if not held_out:
        remarks.append(
            "All pairs are of one location, and all are for training: the last two, which metroem validates"
            " on, share pixels with the others."
        )
    elif held_out > HELD_OUT:
        remarks.append(
            f"The last location has {held_out} pairs, and metroem validates on the last {HELD_OUT} alone:"
            f" it trains on the other {held_out - HELD_OUT}, which share pixels with them; the column 'split'"
            " of the table has all of them in validation."
        )
    return PairDataset(
        paths, table.height - sum(rejected["count"]), dict(rejected.iter_rows()), tuple(remarks)
    )


def _describe_between_pixels(spec: PairSpec) -> Iterator[str]:
    """Yield a sentence if boxes start between pixels of a mip that is read: `create-spec` makes none."""
    sources = (spec.image, spec.field, *spec.masks)
    mips = [spec.dst_mip, *(source.src_mip for source in sources if source is not None)]
    coarsest = max(mips)
    between = sum(box.x % 2**coarsest + box.y % 2**coarsest > 0 for pair in spec.boxes() for box in pair)
    if between:
        yield (
            f"{count_noun(between, 'place')} {'starts' if between == 1 else 'start'} between pixels of"
            f" MIP {coarsest}: a volume is read from its pixel"
            " before, so that image, field and masks are apart by less than a pixel."
        )


def _ignore(done: int, total: int) -> None:
    del done, total


def _paths(spec: PairSpec, folder: Path) -> PairPaths:
    place = first_place(spec)
    images = folder / pair_files.image_name(place, spec.dst_mip)
    fields = folder / pair_files.field_name(place, spec.dst_mip)
    return PairPaths(images, fields, pair_files.pairs_table(images), pair_files.spec_copy(images))


def dataset_paths(document: Mapping[str, Any], folder: Path) -> PairPaths:
    """Return the paths of the files of a spec in a folder.

    Args:
        document: the spec.
        folder: of the dataset.
    """
    return _paths(parse_spec(document), folder)


def first_place(spec: PairSpec) -> pair_files.Place:
    """Return the place of the first pair's src as it is written: it names the files."""
    src = spec.pairs[0].src
    return pair_files.Place(src.x, src.y, src.z)


def _hash_work(document: Mapping[str, Any], sources: Sources, settings: PairSettings) -> str:
    content = {
        "format": FORMAT,
        "spec": without_credentials(document),
        "volumes": sources.identity(),
        "normalise": settings.normalise,
        "resampling": settings.resampling,
        "fill_missing": settings.fill_missing,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def without_credentials(value: Any) -> Any:
    """Return a spec as JSON with the passwords and signatures removed from its addresses."""
    if isinstance(value, Mapping):
        return {key: without_credentials(member) for key, member in value.items()}
    if isinstance(value, list):
        return [without_credentials(member) for member in value]
    return display(value) if isinstance(value, str) else value


# Extraction


def _extract(
    document: Mapping[str, Any],
    spec: PairSpec,
    sources: Sources,
    settings: PairSettings,
    files: WorkFiles,
    on_progress: OnProgress,
) -> None:
    boxes = spec.boxes()
    strict = not settings.fill_missing
    if strict:
        _require_inside(spec, sources, boxes, None)
    work = _plan(spec, sources, settings)
    steps = 1 if sources.field is None else 2
    total = steps * len(work.tasks)
    moves = read_moves(work, files.parts, settings.parallel, lambda done, _: on_progress(done, total))
    if strict and sources.field is not None:
        moved = {task.box: move for task, move in zip(work.tasks, moves, strict=True)}
        _require_inside(spec, sources, boxes, moved)
    before = total - len(work.tasks)
    records = cut_sections(
        work, files.parts, settings.parallel, lambda done, _: on_progress(before + done, total)
    )
    paths = PairPaths(*files.paths)
    publish_pairs(paths, files.work, spec, without_credentials(document), work, records, files.parts)


def _plan(spec: PairSpec, sources: Sources, settings: PairSettings) -> Extraction:
    return Extraction(
        sources,
        plan_sections(spec.boxes(), sources),
        spec.dst_mip,
        spec.shape,
        settings.normalise,
        settings.resampling,
        lambda group, pairs: pair_files.create_images(group, pairs, spec.shape),
    )


# Batches: parts of an extraction that several processes cut at the same time


@dataclass(frozen=True)
class PairBatches:
    """The sections of a spec in batches."""

    work: str
    """Hash of all that decides the content."""
    sections: tuple[int, ...]
    """Of each batch: how many sections are cut."""


def plan_batches(document: Mapping[str, Any], settings: PairSettings) -> PairBatches:
    """Check a spec and its volumes, and divide the sections that are cut into batches.

    Args:
        document: the spec.
        settings: of the dataset.

    Raises:
        SpecError: see `make_dataset`.
        VolumeError: see `make_dataset`.
    """
    spec, sources = _open(document, settings)
    if not settings.fill_missing:
        _require_inside(spec, sources, spec.boxes(), None)
    parts = _plan(spec, sources, settings).parts()
    return PairBatches(_hash_work(document, sources, settings), tuple(map(len, parts)))


def cut_batch(
    document: Mapping[str, Any],
    folder: Path,
    settings: PairSettings,
    number: int,
    on_progress: OnProgress | None = None,
) -> list[SectionRecord]:
    """Cut one batch; `make_dataset` with the same folder does not cut its sections again.

    A batch that is cut is left as it is.

    Args:
        document: see `make_dataset`.
        folder: see `make_dataset`.
        settings: see `make_dataset`.
        number: of the batch, from 0 on.
        on_progress: see `make_dataset`.

    Returns:
        What is known of each section.

    Raises:
        SpecError: see `make_dataset`.
        VolumeError: see `make_dataset`.
    """
    spec, sources = _open(document, settings)
    files = WorkFiles(_paths(spec, folder), _hash_work(document, sources, settings))
    work = _plan(spec, sources, settings)
    part = work.parts()[number]
    tell = on_progress or _ignore
    moves = read_moves(work, files.parts, settings.parallel, _ignore, [part])
    if not settings.fill_missing and sources.field is not None:
        here = {work.tasks[index].box: move for index, move in zip(part, moves, strict=True)}
        moved = {task.box: here.get(task.box) for task in work.tasks}
        _require_inside(spec, sources, spec.boxes(), moved)
    return cut_sections(work, files.parts, settings.parallel, tell, [part])


def _open(document: Mapping[str, Any], settings: PairSettings) -> tuple[PairSpec, Sources]:
    spec = parse_spec(document)
    if not spec.pairs:
        raise SpecError("$.pairs: a spec without pairs makes no files.")
    reader = VolumeReader(
        fill_missing=settings.fill_missing, cache_bytes=settings.cache_bytes, retries=settings.retries
    )
    return spec, open_sources(spec, reader)


# What is outside of the volumes


def _require_inside(
    spec: PairSpec,
    sources: Sources,
    boxes: Sequence[tuple[Box, Box]],
    moves: Mapping[Box, tuple[int, int] | None] | None,
) -> None:
    """Raise VolumeError if a box is outside a volume; before the moves are known, of fields alone.

    Without fields nothing is moved, and all volumes are checked at once.
    """
    refuse_outside(
        f"{spec.place_path(number, side)}: {what}"
        for number, sides in enumerate(boxes)
        for side, box in zip(SIDES, sides, strict=True)
        for what in _describe_outside(sources, box, moves)
    )


def _describe_outside(
    sources: Sources, box: Box, moves: Mapping[Box, tuple[int, int] | None] | None
) -> Iterator[str]:
    if moves is not None:
        move = moves[box]
        if move is not None:
            yield from sources.outside_image(box.moved(*move))
    elif sources.field is not None:
        yield from sources.outside_field(box)
    else:
        yield from sources.outside_image(box)
