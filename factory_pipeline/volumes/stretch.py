"""A stretch of sections without a spec: the pairs (z, z - 1) of one box, as they are in the volume."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.errors import ArgumentError
from factory_pipeline.volumes import pair_files
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.extraction import Extraction, OnProgress, cut_sections, plan_sections
from factory_pipeline.volumes.pair_order import order_pairs
from factory_pipeline.volumes.publication import copy_images, write_table
from factory_pipeline.volumes.sources import Sources, mip0_resolution, refuse_outside
from factory_pipeline.volumes.volume import CACHE_BYTES, Retries, VolumeMip, VolumeReader
from factory_pipeline.volumes.work_files import WorkFiles

FORMAT = 1
"""Part of the hash of work: to be raised when the same stretch gives other bytes."""


@dataclass(frozen=True)
class Stretch:
    """What is cut: pairs of the sections z and z - 1, for z_start <= z < z_end."""

    address: str
    x: int
    """Start of the box in MIP 0 pixels."""
    y: int
    z_start: int
    z_end: int
    defects: str | None = None
    """Address of a mask: where it is `mask_value` or more, images are 0."""
    mask_value: float = 1
    suffix: str | None = None
    """Appended to the names of the files."""

    def check(self, mip: int) -> None:
        """Raise ArgumentError if this is not a stretch that exists at a mip."""
        if self.z_end <= self.z_start:
            raise ArgumentError("z_end", self.z_end, f"it must be greater than z_start, {self.z_start}")
        for name, start in (("x_offset", self.x), ("y_offset", self.y)):
            if start % 2**mip:
                raise ArgumentError(name, start, f"it must be a multiple of {2**mip}, a pixel of MIP {mip}")


def download_image(
    stretch: Stretch,
    mip: int,
    size: int,
    folder: Path,
    *,
    fill_missing: bool = False,
    parallel: int = 4,
    cache_bytes: int = CACHE_BYTES,
    retries: Retries | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Write the images of a stretch at one mip, and a table of its pairs; leave finished files as they are.

    Args:
        stretch: what is cut.
        mip: of the image and the mask.
        size: pixels of a side.
        folder: where the files are written.
        fill_missing: read what is outside a volume, and chunks that do not exist, as zeros.
        parallel: sections that are read at a time.
        cache_bytes: size of the cache of decoded chunks.
        retries: of requests that failed for a transient reason.
        on_progress: called with how many of how many sections are read.

    Returns:
        The file of images: `img`, (pairs, 2, size, size).

    Raises:
        ArgumentError: the stretch is empty, or is not of whole pixels at `mip`.
        VolumeError: a volume can't be read, or the box is outside of it.
        PairFileError: a file of the same name exists that is of another stretch.
    """
    stretch.check(mip)
    reader = VolumeReader(fill_missing=fill_missing, cache_bytes=cache_bytes, retries=retries)
    mip0 = mip0_resolution(stretch.address, reader)
    masks: tuple[tuple[VolumeMip, float], ...] = ()
    if stretch.defects is not None:
        masks = ((reader.open(stretch.defects).at(mip, mip0), stretch.mask_value),)
    sources = Sources(reader.open(stretch.address).at(mip, mip0), None, None, None, masks)
    boxes = [_pair(stretch, z, size * 2**mip) for z in range(stretch.z_start, stretch.z_end)]
    if not fill_missing:
        refuse_outside(
            f"z {box.z}: {what}"
            for box in sorted({box for pair in boxes for box in pair})
            for what in sources.outside_image(box)
        )
    place = pair_files.Place(stretch.x, stretch.y, stretch.z_start)
    images = folder / pair_files.image_name(place, mip, stretch.suffix)
    files = WorkFiles(
        (images, pair_files.pairs_table(images)), _hash_work(stretch, sources, size, fill_missing)
    )
    with files.claim() as finished:
        if not finished:
            _extract(sources, boxes, mip, size, files, parallel, on_progress or _ignore)
    return images


def _ignore(done: int, total: int) -> None:
    del done, total


def _pair(stretch: Stretch, z: int, extent: int) -> tuple[Box, Box]:
    src = Box(z, stretch.y, stretch.x, extent, extent)
    return src, Box(z - 1, stretch.y, stretch.x, extent, extent)


def _hash_work(stretch: Stretch, sources: Sources, size: int, fill_missing: bool) -> str:
    # The addresses are in the identity, without credentials.
    sections = [stretch.x, stretch.y, stretch.z_start, stretch.z_end]
    content = [FORMAT, sections, stretch.mask_value, sources.identity(), size, fill_missing]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _extract(
    sources: Sources,
    boxes: list[tuple[Box, Box]],
    mip: int,
    size: int,
    files: WorkFiles,
    parallel: int,
    on_progress: OnProgress,
) -> None:
    work = Extraction(
        sources,
        plan_sections(boxes, sources),
        mip,
        (size, size),
        normalise=False,
        resampling="bilinear",
        create_images=lambda group, pairs: pair_files.create_stretch(group, pairs, size),
    )
    records = cut_sections(work, files.parts, parallel, on_progress)
    task_of = {task.box: index for index, task in enumerate(work.tasks)}
    rows = [(task_of[src], task_of[tgt]) for src, tgt in boxes]
    images, table = files.paths
    # No pair of a stretch is rejected: a black section is stored as it is.
    write_table(table, files.work, boxes, rows, records, [None] * len(boxes), order_pairs(boxes))
    copy_images(images, files.work, work, rows, files.parts)
