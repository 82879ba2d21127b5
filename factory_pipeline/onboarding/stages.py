"""The way of an upload from its archive to a finished dataset: one method per stage, from files to files.

`STAGES` is the table of the stages: the Dagster assets, the progress line and the benchmark follow it.

A stage whose files are there is not done again, and a file is there whole or not at all; so a stage that was
killed is simply started again. The dataset grows beside its place and is moved there as a whole.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.archives.download import fetch, open_source
from factory_pipeline.archives.extract import (
    archive_identity,
    archive_kind,
    content_digest,
    extract,
    is_known_by_content,
)
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.config.lenient_keys import normalized
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.overlap import FOOTPRINT_COLUMNS
from factory_pipeline.imagery.parallel_map import frames_of, slices, write_frames
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, names_in, scan_contents
from factory_pipeline.onboarding.checks.file_roles import IMAGE, Suffixes, last_place
from factory_pipeline.onboarding.checks.manifest_checks import (
    manifest_checks,
    manifest_notes,
    nodata_is_no_category,
)
from factory_pipeline.onboarding.checks.outstanding_values import no_value_stands_out
from factory_pipeline.onboarding.checks.pairing import Check, header_checks, pixel_checks, require
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prefill, prescan, prescan_source
from factory_pipeline.onboarding.checks.prescan_files import load_report, save_report
from factory_pipeline.onboarding.file_changes import FileChanges, nodata_by_suffix
from factory_pipeline.onboarding.file_names import arrange, dataset_index, targets
from factory_pipeline.onboarding.manifest.model import TRAINED, Purpose, UploadManifest
from factory_pipeline.onboarding.products.training_params import TrainingParameters, training_parameters
from factory_pipeline.onboarding.products.write import Products, products_manifest, write_products
from factory_pipeline.onboarding.received_upload import ReceivedUpload, current_address, kept_manifest
from factory_pipeline.onboarding.split_notes import SplitNotes, split_notes
from factory_pipeline.splits.assign import split_by_rule, write_split_files
from factory_pipeline.splits.leakage import LeakReport, leak_report
from factory_pipeline.splits.names import SPLITS, TRAIN
from factory_pipeline.splits.split_rule import GivenSplit, SpatialSplit
from factory_pipeline.storage.atomic import atomic_write, write_text
from factory_pipeline.storage.layout import FactoryHome, UploadFiles

CANT_READ_PARTS = ("NEEDS_DOWNLOAD", "RANGES_UNSUPPORTED")


@dataclass(frozen=True)
class ArchiveFacts:
    """What is known of an archive where it lies."""

    address: str
    """As it may be shown."""
    bytes: int | None
    """None where the host does not say."""
    format: str
    """`zip`, `tar`, or empty where nothing can be known before the download."""
    in_parts: bool
    """Whether parts of it can be read."""


@dataclass(frozen=True)
class Arranged:
    """The images and labels of a dataset at their places; `index` is None where a check failed."""

    checks: tuple[Check, ...]
    index: pl.LazyFrame | None
    advice: tuple[Check, ...] = ()
    """Checks that stop nothing, but are worth knowing."""


@dataclass(frozen=True)
class Divided:
    """Which pair is in which split, and whether splits share ground."""

    split: pl.DataFrame
    """`stem`, `split`."""
    leaks: LeakReport


class Onboarding:
    """The stages of one upload, in the order in which they are called."""

    def __init__(self, key: str, home: FactoryHome, policy: IntakePolicy) -> None:
        """An upload that `received.receive` took in.

        Raises:
            OnboardingError: MANIFEST_INVALID, there is none.
        """
        self.key = key
        self.home = home
        self.policy = policy
        self.files: UploadFiles = home.upload(key)
        self.upload = ReceivedUpload.load(self.files)
        self.given = kept_manifest(self.files)
        rule = self.given.splits
        folders = rule.folders.values() if isinstance(rule, GivenSplit) else ()
        self.suffixes = Suffixes(
            self.given.training_data_suffixes,
            self.given.label_suffix,
            tuple(folder for of_split in folders for folder in of_split),
        )

    @property
    def finished(self) -> bool:
        """Whether the dataset lies at its place."""
        return self.files.finished.root.exists()

    def archive(self) -> ArchiveFacts:
        """Look at the archive where it lies.

        Raises:
            OnboardingError: it can't be opened, is no archive, or SOURCE_CHANGED.
        """
        if not self.files.archive_facts.exists():
            with self._open() as source:
                kind = archive_kind(source).value if source.ranged else ""
                facts = ArchiveFacts(source.url, source.size, kind, source.ranged)
            write_text(self.files.archive_facts, json.dumps(asdict(facts), indent=2) + "\n")
        return ArchiveFacts(**json.loads(self.files.archive_facts.read_text(encoding="utf-8")))

    def prescan(self) -> PrescanReport:
        """Match images and labels and read every header, of a remote zip without downloading it.

        An archive that can't be read in parts is downloaded first; a note says so.

        Raises:
            OnboardingError: the archive can't be read.
        """
        if not self.files.prescan.exists():
            report = self._scan()
            checks = (*report.checks, *manifest_checks(report, self.given))
            notes = (*report.notes, *manifest_notes(report, self.given))
            save_report(replace(report, checks=checks, notes=notes), self.files)
        return load_report(self.files)

    @cached_property
    def manifest(self) -> UploadManifest:
        """The manifest with the bands that the pre-scan found and the suffixes of the dataset's files."""
        return products_manifest(self.given, self.prescan())

    def arrange(self) -> Arranged:
        """Unpack the archive, check every pixel and put images and labels at their places.

        Raises:
            OnboardingError: the archive is broken or hostile, or a check of the headers failed.
        """
        contents = self._contents()
        require(header_checks(contents, self.suffixes, self.policy, labels_take_crs=self._labels_take_crs))
        # Labels of a regression hold measured values; a category there names the quantity.
        classes = () if self.given.purpose is Purpose.REGRESSION else self.given.label_categories
        checks = pixel_checks(contents, classes, self.given.label_nodata)
        if not all(check.passed for check in checks):
            return Arranged(checks, None)
        if not self.files.index.exists():
            write_frames(self.files.index, self._arranged(contents))
        return Arranged(checks, self.index, self._advice(contents))

    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing of an arranged dataset's files: notes of the pre-scan, and advice."""
        contents = pl.scan_parquet(self.files.contents)
        # A dataset of an earlier release was not looked at for values that stand out.
        advice = self._advice(contents) if "extremes" in contents.collect_schema() else ()
        failed = [check.message for check in advice if not check.passed]
        return tuple(dict.fromkeys((*self.prescan().notes, *failed)))

    def _advice(self, contents: pl.LazyFrame) -> tuple[Check, ...]:
        """Checks that stop nothing."""
        measured = self.given.purpose is Purpose.REGRESSION
        return (
            nodata_is_no_category(contents, self.given),
            no_value_stands_out(
                contents, labels_are_classes=bool(self.given.label_categories) and not measured
            ),
        )

    @property
    def index(self) -> pl.LazyFrame:
        """The pairs of the dataset, in stems.INDEX_SCHEMA."""
        return pl.scan_parquet(self.files.index)

    def divide(self) -> Divided:
        """Divide the pairs into splits; pairs of an earlier version keep theirs.

        Raises:
            OnboardingError: SPLIT_INVALID.
        """
        items = self.index.select("stem", "original_name", "sha256", *FOOTPRINT_COLUMNS).collect()
        if not self.files.split.exists():
            split = split_by_rule(items, self.given.splits, self._listed_splits(), self._earlier_split())
            write_split_files(self.files.unfinished.split_files, split)
            with atomic_write(self.files.split) as temporary:
                split.write_parquet(temporary)
        rule = self.given.splits
        buffer_m = rule.buffer_m if isinstance(rule, SpatialSplit) else 0.0
        return Divided(self.split, leak_report(items, self.split, buffer_m))

    def split_notes(self) -> SplitNotes:
        """What is said of the splits wherever they are shown.

        Raises:
            OnboardingError: SPLIT_INVALID.
        """
        if not self.files.split_notes.exists():
            divided = self.divide()
            notes = split_notes(divided.leaks, divided.split, self.given.purpose in TRAINED)
            notes.write(self.files.split_notes)
        return SplitNotes.read(self.files.split_notes)

    @cached_property
    def split(self) -> pl.DataFrame:
        """`stem`, `split`."""
        return pl.read_parquet(self.files.split)

    def parameters(self) -> TrainingParameters:
        """The statistics of the training images.

        Raises:
            OnboardingError: SPLIT_INVALID, CHECK_FAILED.
        """
        path = self.files.dataset.training_params
        if not path.exists():
            band_names = {
                source.modality_tag: [
                    band.band_name for band in sorted(source.bands, key=lambda band: band.index)
                ]
                for source in self.manifest.data_sources
            }
            training_parameters(
                self.index.select("stem", "images", "label").collect(),
                self.split,
                band_names,
                self.given.purpose,
                self.given.label_categories,
                self.files.unfinished.root,
            ).write(path)
        return TrainingParameters.read(path)

    def products(self) -> None:
        """Write the items, the training configuration, the description for machines, and last the page.

        Raises:
            OnboardingError: the training configuration can't be made.
        """
        if self.files.dataset.page.exists():
            return
        write_products(
            Products(
                self.files.unfinished,
                self.key,
                self.manifest,
                self.upload.received_at,
                self.index,
                self.split,
                self.parameters(),
                self.divide().leaks,
            )
        )

    def finish(self) -> Path:
        """Remove what is needed no more and move the dataset to its place; gives the dataset's folder."""
        if not self.finished:
            self.files.drop_unneeded()
            self.files.finished.root.parent.mkdir(parents=True, exist_ok=True)
            os.sync()
            self.files.unfinished.root.rename(self.files.finished.root)
        return self.files.finished.root

    @property
    def _labels_take_crs(self) -> bool:
        """Whether labels without a CRS get that of their image."""
        return self.given.label_crs is not None

    def _open(self) -> ArchiveSource:
        """The archive at its place, in the state in which it was received."""
        source = open_source(current_address(self.upload, self.files), self.policy)
        try:
            # What only its content tells is compared once it is downloaded.
            can_wait = not source.local and is_known_by_content(source)
            if not can_wait and archive_identity(source, self.policy) != self.upload.identity:
                raise self._changed(source.url)
        except OnboardingError:
            source.close()
            raise
        return source

    def _changed(self, address: str) -> OnboardingError:
        return OnboardingError(
            "SOURCE_CHANGED", f"{address} was changed since {self.key} was received; drop its manifest again."
        )

    def _scan(self) -> PrescanReport:
        wanted = (self.given.training_data_suffixes, self.given.label_suffix)
        table = self.files.headers
        try:
            return prescan(
                current_address(self.upload, self.files),
                *wanted,
                self.policy,
                table,
                labels_take_crs=self._labels_take_crs,
                split_folders=self.suffixes.split_folders,
            )
        except OnboardingError as error:
            if error.code not in CANT_READ_PARTS:
                raise
            note = f"{error} It was downloaded for the pre-scan."
        archive = self._archive_here()
        with LocalSource(archive) as source:
            source.url = self.archive().address
            report = prescan_source(
                source,
                self.suffixes,
                self.policy,
                table,
                labels_take_crs=self._labels_take_crs,
            )
        return replace(report, notes=(note, *report.notes), bytes_read=report.archive_bytes)

    def _archive_here(self) -> Path:
        """The archive as a file of this machine: a local one at its own place, another one downloaded."""
        if self.files.archive.exists():
            return self.files.archive
        with self._open() as source:
            if source.local:
                return Path(source.url)
            fetch(source, self.files.archive, self.policy)
            self._check_content(source)
        return self.files.archive

    def _check_content(self, source: ArchiveSource) -> None:
        """Compare a download with what was received, where its host says nothing of its state."""
        if not is_known_by_content(source):
            return
        with LocalSource(self.files.archive) as downloaded:
            if content_digest(downloaded, self.policy) != self.upload.identity:
                self.files.archive.unlink()
                raise self._changed(source.url)

    def _unpacked(self) -> Path:
        """The folder of the unpacked archive."""
        if not self.files.unpacked.exists():
            archive = self._archive_here()
            # A download has a name of ours; its address is what the user knows.
            shown = self.archive().address if archive == self.files.archive else None
            extract(archive, self.files.unpacked, self.policy, shown)
        return self.files.unpacked

    def _contents(self) -> pl.LazyFrame:
        if not self.files.contents.exists():
            rows = scan_contents(self._unpacked(), self.suffixes, self.policy, nodata_by_suffix(self.given))
            write_frames(self.files.contents, frames_of(rows, CONTENT_SCHEMA))
        return pl.scan_parquet(self.files.contents)

    def _arranged(self, contents: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """The index part by part, the images and labels of each part at their places."""
        unpacked, root = self._unpacked(), self.files.unfinished.root
        for rows in slices(contents, "stem"):
            index = dataset_index(rows, self.given.modalities, self.given.label_suffix)
            arrange(unpacked, rows, index, self.given.modalities, root)
            self._rewrite(rows, index, root)
            yield index

    def _rewrite(self, contents: pl.DataFrame, index: pl.DataFrame, root: Path) -> None:
        """Change what must be changed in some files of the dataset."""
        images = {row["original_name"]: row for row in index.iter_rows(named=True)}
        placed = contents.join(targets(contents, index, self.given.modalities), on="name")
        for row in placed.iter_rows(named=True):
            if self._changes.touches(row):
                self._changes.apply(root / row["path"], row, images[row["stem"]])

    @cached_property
    def _changes(self) -> FileChanges:
        return FileChanges.of(prefill(self.prescan(), self.given))

    def _listed_splits(self) -> dict[str, list[str]]:
        """The stems in the files and folders of the archive that a given split names.

        Raises:
            OnboardingError: SPLIT_INVALID, the archive has no such file or folder, or a file is not text.
        """
        if not isinstance(self.given.splits, GivenSplit):
            return {}
        asked = {split: getattr(self.given.splits, f"{split}_file") for split in SPLITS}
        asked = {split: name for split, name in asked.items() if name is not None}
        # A name is looked up among the files, never joined to a path: it could lead out of the folder.
        wanted = set(asked.values())
        there = wanted and {name for name in names_in(self._unpacked()) if name in wanted}
        listed = self._in_folders(self.given.splits.folders)
        for split, name in asked.items():
            if name not in there:
                raise OnboardingError(
                    "SPLIT_INVALID", f"The manifest names {name!r} for {split}; the archive has no such file."
                )
            try:
                lines = (self.files.unpacked / name).read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise OnboardingError("SPLIT_INVALID", f"The file {name} is not UTF-8 text.") from error
            listed[split] = [normalized(line.strip()) for line in lines if line.strip()]
        return listed

    def _in_folders(self, folders: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The stems of the images in the folders of each split."""
        if not folders:
            return {}
        images = self._contents().filter(pl.col("role") == IMAGE).select("stem", "name")
        files = images.unique("stem").sort("stem").collect().rows()
        found = {
            split: [
                stem
                for stem, name in files
                if any(last_place(name.split("/")[:-1], folder.split("/")) is not None for folder in of_split)
            ]
            for split, of_split in folders.items()
        }
        for split, of_split in folders.items():
            # Of several folders that may be there, none need be, but for training.
            if not found[split] and (len(of_split) == 1 or split == TRAIN):
                raise OnboardingError(
                    "SPLIT_INVALID",
                    f"The manifest gives {split} the folder {' or '.join(of_split)}; no image is in one.",
                )
        return found

    def _earlier_split(self) -> pl.DataFrame | None:
        """The splits of the version of this dataset that was received last before this one."""
        name = self.key.partition("@")[0]
        versions = []
        for folder in self.files.finished.root.parent.glob("[!.]*"):
            files = self.home.upload(f"{name}@{folder.name}")
            if folder != self.files.finished.root and files.received.exists():
                versions.append((ReceivedUpload.load(files).received_at, files.finished))
        if not versions:
            return None
        _, latest = max(versions, key=lambda version: (version[0], version[1].root.name))
        return pl.read_parquet(latest.items, columns=["original_name", "sha256", "split"])


FindOutput = Callable[[UploadFiles], Path]
"""Returns the path of what a stage writes."""


@dataclass(frozen=True)
class Stage:
    """One row of the table of stages."""

    name: str
    """Key of its Dagster asset."""
    output: FindOutput
    """The file or folder that exists once the stage is finished; it is written atomically."""
    run: Callable[[Onboarding], Any]
    """Does the work, or reads its result where the output exists."""
    progress_text: str
    """Shown by the progress line while the output does not exist."""
    earlier_outputs: tuple[tuple[FindOutput, str], ...] = ()
    """Outputs that a long stage writes before its last one, each with its text for the progress line."""


STAGES = (
    Stage(
        "uploaded_archive", lambda files: files.archive_facts, Onboarding.archive, "Looking at the archive"
    ),
    Stage("prescan_report", lambda files: files.prescan, Onboarding.prescan, "Reading the headers"),
    Stage(
        "dataset_items",
        lambda files: files.index,
        Onboarding.arrange,
        "Arranging images and labels",
        earlier_outputs=((lambda files: files.contents, "Unpacking and checking every pixel"),),
    ),
    Stage("dataset_split", lambda files: files.split, Onboarding.divide, "Splitting"),
    Stage(
        "training_parameters",
        lambda files: files.dataset.training_params,
        Onboarding.parameters,
        "Computing training parameters",
    ),
    Stage("dataset_page", lambda files: files.dataset.page, Onboarding.products, "Writing the page"),
    Stage("onboarded_dataset", lambda files: files.finished.root, Onboarding.finish, "Finishing"),
)
"""All stages, in the order in which they run. Each depends on the one before it.

A new stage is a method of `Onboarding` and a line here. Its asset reports the path of its output, until
`orchestration/onboarding/assets.py` has a function of the stage's name that reports more.
"""


def stage_named(name: str) -> Stage:
    """Return the stage with this name.

    Raises:
        KeyError: no stage has this name; the message lists the names that exist.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise KeyError(f"no stage is named {name!r}; the stages are {', '.join(stage.name for stage in STAGES)}")


def stage_before(name: str) -> Stage | None:
    """Return the stage that runs before the one with this name; None for the first.

    Raises:
        KeyError: no stage has this name.
    """
    index = STAGES.index(stage_named(name))
    return STAGES[index - 1] if index else None


def onboarding_progress(files: UploadFiles) -> tuple[str, float]:
    """Return what is being done for an upload, and how much is finished.

    Returns:
        The progress text of the first output that does not exist, and the fraction of the outputs before it,
        from 0 to 1. The last stage does not count: the fraction is 1 once only it is left.
    """
    outputs = [
        output for stage in STAGES for output in (*stage.earlier_outputs, (stage.output, stage.progress_text))
    ]
    for finished, (find_output, text) in enumerate(outputs):
        if not find_output(files).exists():
            return text, finished / (len(outputs) - 1)
    return STAGES[-1].progress_text, 1.0
