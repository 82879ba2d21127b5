"""Exporting a dataset version: written to a temporary folder, read back, listed with hashes, then renamed."""

import hashlib
import json
import os
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
from factory_pipeline.storage.folders import atomic_folder

OnSample = Callable[[int, int], None]
"""Called with the number of samples written or read back so far, and their total."""

SPLIT_RECORD = "splits.json"
"""How the splits were made and what was searched for leaks, in the folder of each export."""
CREDITS = "credits.json"
"""Licences and makers of the collections, in the folder of each export of a version that knows any."""
_BLOCK = 1 << 20


def export_version(
    version: VersionContent,
    export_type: str,
    folder: Path,
    on_sample: OnSample | None = None,
    split_record: Path | None = None,
) -> ExportedFiles:
    """Write a version in a format; the folder appears complete and checked, or not at all.

    Args:
        version: the version to write.
        export_type: name of the format.
        folder: must not exist.
        on_sample: called with the progress; a sample counts twice, when it is written and when it is read
            back.
        split_record: the `splits.json` of the version, which the export gets a copy of.

    Raises:
        ArgumentError: there is no such format.
        ExportError: the format can't represent the version, the disk is full or fails, or the files differ
            from the version when they are read back.
        LakeError: a file of the version is missing or was changed.
    """
    chosen = format_named(export_type)
    if folder.exists():
        raise ExportError(f"The path {folder} already exists; remove it or choose another folder.")
    title = f"The {chosen.name} export of {version.dataset} {version.number}"
    counter = _SampleCounter(version, on_sample)

    def counted(number: int, take: Callable[[Sample], None]) -> VersionContent:
        return _CountedVersion(version, lambda samples, split: counter.counted(samples, split, number, take))

    with user_errors(title, folder.parent), atomic_folder(folder) as temporary:
        with closing(NamesWriter(temporary)) as writer:
            chosen.write(counted(0, writer.take), temporary)
        with closing(NamesReader(temporary)) as reader:
            chosen.check(counted(1, reader.take), temporary)
        if split_record is not None:
            (temporary / SPLIT_RECORD).write_bytes(split_record.read_bytes())
        if version.credits:
            stated = json.dumps(list(version.credits), indent=1, ensure_ascii=False)
            (temporary / CREDITS).write_text(stated + "\n", encoding="utf-8")
        return _list_files(version, chosen, temporary)


class _SampleCounter:
    """Reports the progress of the passes over the samples of a version."""

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
        """Yield the samples of a split, each reported after it was used, in the pass of this number.

        A format may iterate over a split a second time: a sample is reported once per pass.

        Args:
            samples: all of the split.
            split: its name; the splits come in the order of SPLITS.
            number: of the pass, from 0.
            take: called with each sample that is reported.
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
    """A version in one pass of a format: its samples are counted as they are used."""

    def __init__(
        self, version: VersionContent, counted: Callable[[Iterator[Sample], str], Iterator[Sample]]
    ) -> None:
        self.dataset, self.number, self.dated = version.dataset, version.number, version.dated
        self.labels, self.values, self.modalities = version.labels, version.values, version.modalities
        self.counts, self.credits = version.counts, version.credits
        self._samples = version.samples
        self._counted = counted

    def samples(self, split: str) -> Iterator[Sample]:
        """Yield the samples of a split, counted."""
        return self._counted(self._samples(split), split)


@contextmanager
def user_errors(title: str, path: Path) -> Iterator[None]:
    """Turn errors of a disk or a raster library into a sentence for the user.

    Args:
        title: of the export; begins the message.
        path: where the export is written.

    Raises:
        ExportError: the disk is full, or reading or writing failed.
    """
    try:
        yield
    except (OSError, RasterioError) as error:
        if disk_is_full(error):
            raise ExportError(
                f"{title} found no space left on the disk of {path}, so nothing of it was stored; "
                "free some space and export again."
            ) from error
        raise ExportError(f"{title} failed, so nothing of it was stored: {error}.") from error


def _list_files(version: VersionContent, chosen: Format, folder: Path) -> ExportedFiles:
    """Sync and hash every file, and write the listing."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = tuple(_describe_file(name, paths[name], chosen) for name in sorted(paths))
    listed = ExportedFiles(chosen.name, version.dataset, version.number, files_hash(files), files)
    with (folder / LISTING).open("w", encoding="utf-8") as out:
        json.dump(asdict(listed), out, indent=1)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    return listed


def _describe_file(name: str, path: Path, chosen: Format) -> ExportedFile:
    digest, length = hashlib.sha256(), 0
    with path.open("rb+") as written:
        while block := written.read(_BLOCK):
            digest.update(block)
            length += len(block)
        os.fsync(written.fileno())
    return ExportedFile(name, length, digest.hexdigest(), chosen.is_media(PurePosixPath(name)))
