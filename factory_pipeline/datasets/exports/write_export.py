"""Writing a dataset version out: in a temporary folder, read back, listed with hashes, put in its place."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from rasterio.errors import RasterioError

from factory_pipeline.datasets.exports.formats import Format, format_named
from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, ExportedFiles, files_hash
from factory_pipeline.datasets.exports.original_names import NamesReader, NamesWriter
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.atomic import disk_is_full

OnSample = Callable[[int, int], None]
"""Is called with how many samples were written or read back so far, and of how many."""

_BLOCK = 1 << 20


def export_version(
    version: VersionContent, export_type: str, folder: Path, on_sample: OnSample | None = None
) -> ExportedFiles:
    """Write a version in a format; the folder is there whole and checked, or isn't there.

    Args:
        version: what is written.
        export_type: name of the format.
        folder: must not be there yet.
        on_sample: is told of the progress; a sample counts twice, as it is written and as it is read back.

    Raises:
        ArgumentError: no such format.
        ExportError: the format can't hold the version, the disk is full or fails, or the files read back
            differ from the version.
        LakeError: a file of the version is missing or was changed.
    """
    chosen = format_named(export_type)
    if folder.exists():
        raise ExportError(f"There is something at {folder} already; remove it or name another folder.")
    title = f"The {chosen.name} export of {version.dataset} {version.number}"
    counter = _SampleCounter(version, on_sample)

    def counted(number: int, take: Callable[[Sample], None]) -> VersionContent:
        return _CountedVersion(version, lambda samples, split: counter.counted(samples, split, number, take))

    with _told_plainly(title, folder.parent), _written_folder(folder) as temporary:
        with closing(NamesWriter(temporary)) as writer:
            chosen.write(counted(0, writer.take), temporary)
        with closing(NamesReader(temporary)) as reader:
            chosen.check(counted(1, reader.take), temporary)
        return _list_files(version, chosen, temporary)


class _SampleCounter:
    """Reports how far the passes over the samples of a version have come."""

    def __init__(self, version: VersionContent, on_sample: OnSample | None) -> None:
        self._on_sample = on_sample
        self._starts, start = {}, 0
        for split in SPLITS:
            self._starts[split] = start
            start += version.counts.get(split, 0)
        self._samples = start
        self._furthest = 0

    def counted(
        self, samples: Iterator[Sample], split: str, number: int, take: Callable[[Sample], None]
    ) -> Iterator[Sample]:
        """The samples of a split, each reported once it was used, in the pass of this number.

        A format may go over a split a second time: what was reported in this pass isn't again.

        Args:
            samples: all of the split.
            split: which one; the splits come in the order of SPLITS.
            number: of the pass, from 0.
            take: is given each sample that is reported.
        """
        before = number * self._samples + self._starts[split]
        for done, sample in enumerate(samples, start=before + 1):
            yield sample
            if done > self._furthest:
                self._furthest = done
                if self._on_sample is not None:
                    self._on_sample(done, 2 * self._samples)
                take(sample)


class _CountedVersion:
    """A version as a format sees it in one pass: its samples are counted as they are taken."""

    def __init__(
        self, version: VersionContent, counted: Callable[[Iterator[Sample], str], Iterator[Sample]]
    ) -> None:
        self.dataset, self.number, self.dated = version.dataset, version.number, version.dated
        self.labels, self.values, self.modalities = version.labels, version.values, version.modalities
        self.counts = version.counts
        self._samples = version.samples
        self._counted = counted

    def samples(self, split: str) -> Iterator[Sample]:
        """The samples of a split, counted."""
        return self._counted(self._samples(split), split)


@contextmanager
def _told_plainly(title: str, place: Path) -> Iterator[None]:
    """Turn what a disk or a raster library says into a sentence for the user."""
    try:
        yield
    except (OSError, RasterioError) as error:
        if disk_is_full(error):
            raise ExportError(
                f"{title} found no space left on the disk of {place}, so nothing of it was kept; "
                "make room and export again."
            ) from error
        raise ExportError(f"{title} failed, so nothing of it was kept: {error}.") from error


@contextmanager
def _written_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; rename it once the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        temporary.mkdir()
        yield temporary
        for each in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
            _sync_folder(each)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list_files(version: VersionContent, chosen: Format, folder: Path) -> ExportedFiles:
    """Sync and hash every file, and write the listing."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = tuple(_listed(name, paths[name], chosen) for name in sorted(paths))
    listed = ExportedFiles(chosen.name, version.dataset, version.number, files_hash(files), files)
    with (folder / LISTING).open("w", encoding="utf-8") as out:
        json.dump(asdict(listed), out, indent=1)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    return listed


def _listed(name: str, path: Path, chosen: Format) -> ExportedFile:
    digest, length = hashlib.sha256(), 0
    with path.open("rb+") as written:
        while block := written.read(_BLOCK):
            digest.update(block)
            length += len(block)
        os.fsync(written.fileno())
    return ExportedFile(name, length, digest.hexdigest(), chosen.is_media(PurePosixPath(name)))
