"""The way of an upload from its archive to a finished dataset: one method per stage, from files to files.

`stages.STAGES` is the table of the stages. A stage whose output exists is not run again, and every output is
written atomically, so that a stage that was killed is started again. The dataset is written in a folder of
its own and moved to its final path at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from factory_pipeline.archives.source import LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.footprints import FOOTPRINT_COLUMNS
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.imagery.row_frames import frames_of, slices, write_frames
from factory_pipeline.onboarding.checks.check import Check, require
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes
from factory_pipeline.onboarding.checks.manifest_checks import (
    manifest_checks,
    manifest_notes,
    nodata_is_no_category,
)
from factory_pipeline.onboarding.checks.outlier_values import no_value_stands_out
from factory_pipeline.onboarding.checks.pairing import header_checks
from factory_pipeline.onboarding.checks.pixel_checks import pixel_checks
from factory_pipeline.onboarding.checks.pixel_tallies import StoredTallies, read_tallies, write_tallies
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prefill, prescan, prescan_source
from factory_pipeline.onboarding.checks.prescan_files import load_report, save_report
from factory_pipeline.onboarding.file_changes import FileChanges, nodata_by_suffix
from factory_pipeline.onboarding.file_names import arrange, dataset_index, targets
from factory_pipeline.onboarding.given_splits import stems_in_files, stems_in_folders
from factory_pipeline.onboarding.manifest.model import TRAINED, Purpose, UploadManifest
from factory_pipeline.onboarding.products.training_params import TrainingParameters, training_parameters
from factory_pipeline.onboarding.products.write import Products, products_manifest, write_products
from factory_pipeline.onboarding.received_upload import ReceivedUpload, current_address, load_manifest
from factory_pipeline.onboarding.split_notes import SplitNotes, split_notes
from factory_pipeline.onboarding.upload_archive import ArchiveFacts, UploadArchive
from factory_pipeline.splits.assign import split_by_rule, write_split_files
from factory_pipeline.splits.balance import Classes
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.near_identical import find_stored_copies
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.rule_record import record_of_rule, require_labels
from factory_pipeline.splits.split_rule import GivenSplit
from factory_pipeline.splits.strata import as_strata
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.folders import publish_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.upload_files import UploadFiles

FEWEST_MEASURED = 20
"""Measured labels of fewer images are not balanced: a quarter of them has too few for three splits."""
CANT_READ_PARTS = ("NEEDS_DOWNLOAD", "RANGES_UNSUPPORTED")


@dataclass(frozen=True)
class Arranged:
    """The images and labels of a dataset at their places; `index` is None if a check failed."""

    checks: tuple[Check, ...]
    index: pl.LazyFrame | None
    advice: tuple[Check, ...] = ()
    """Checks that stop nothing, but are worth knowing."""


@dataclass(frozen=True)
class AssignedSplits:
    """Which pair is in which split, and whether splits share ground."""

    split: pl.DataFrame
    """`stem`, `split`."""
    record: SplitRecord


class Onboarding:
    """The stages of one upload, in the order in which they are called."""

    def __init__(self, key: str, home: FactoryHome, policy: IntakePolicy) -> None:
        """An upload that `received_upload.store_upload` received.

        Raises:
            OnboardingError: MANIFEST_INVALID, there is none.
        """
        self.key = key
        self.home = home
        self.policy = policy
        self.files: UploadFiles = home.upload(key)
        self.upload = ReceivedUpload.load(self.files)
        self.given = load_manifest(self.files)
        self._archive = UploadArchive(self.upload, self.files, policy)
        rule = self.given.splits
        folders = rule.folders.values() if isinstance(rule, GivenSplit) else ()
        self.suffixes = Suffixes(
            self.given.training_data_suffixes,
            self.given.label_suffix,
            tuple(folder for of_split in folders for folder in of_split),
        )

    @property
    def finished(self) -> bool:
        """Whether the dataset is at its place."""
        return self.files.finished.root.exists()

    def archive(self) -> ArchiveFacts:
        """Look at the archive where it is.

        Raises:
            OnboardingError: it can't be opened, is no archive, or SOURCE_CHANGED.
        """
        return self._archive.facts()

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
            write_frames(self.files.index, self._arrange(contents))
        return Arranged(checks, self.index, self._advice(contents))

    def remarks(self) -> tuple[str, ...]:
        """Return what is worth knowing of an arranged dataset's files: notes of the pre-scan, and advice."""
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

    def assign_splits(self) -> AssignedSplits:
        """Assign the pairs to splits; pairs of an earlier version keep theirs.

        Raises:
            OnboardingError: SPLIT_INVALID.
        """
        items = self.index.select("stem", "original_name", "sha256", *FOOTPRINT_COLUMNS).collect()
        rule, earlier, classes = self.given.splits, self._earlier_split(), self._classes(items)
        copies = self._copies(items)
        if not self.files.split.exists():
            split = split_by_rule(items, rule, self._list_splits(), earlier, classes, copies)
            if not isinstance(rule, GivenSplit) and rule.require_all_labels:
                require_labels(record_of_rule(items, split, rule, earlier, classes, copies))
            write_split_files(self.files.unfinished.split_files, split)
            with atomic_write(self.files.split) as temporary:
                split.write_parquet(temporary)
        record = record_of_rule(items, self.split, rule, earlier, classes, copies)
        if not self.finished:
            record.write(self.files.unfinished.splits)
        return AssignedSplits(self.split, record)

    def _classes(self, items: pl.DataFrame) -> Classes | None:
        """What keeps its share in every split: the classes in each label, or the quartiles of its mean."""
        names = {float(known.id): known.name for known in self.given.label_categories}
        labels = pl.scan_parquet(self.files.contents).filter(pl.col("role") == LABEL)
        if self.given.purpose is Purpose.REGRESSION:
            return self._quartiles(items, labels)
        if not names:
            return None
        values = labels.select("values", original_name="stem").collect()
        label = pl.col("values").list.eval(pl.element().replace_strict(names, default=None)).list.drop_nulls()
        named = items.select("original_name").join(
            values, on="original_name", how="left", maintain_order="left"
        )
        return Classes.of(named.select(label.alias("label")))

    def _quartiles(self, items: pl.DataFrame, labels: pl.LazyFrame) -> Classes | None:
        """The quartiles of measured labels; None where too few images have one."""
        if "mean" not in labels.collect_schema():
            return None
        means = labels.select("mean", original_name="stem").collect()
        mean = items.select("original_name").join(
            means, on="original_name", how="left", maintain_order="left"
        )["mean"]
        if mean.count() < FEWEST_MEASURED:
            return None
        return Classes.of(pl.DataFrame([as_strata(mean).alias("label")]))

    def _copies(self, items: pl.DataFrame) -> pl.DataFrame | None:
        """The pairs of near-identical images; None where no thumbnails exist, or too many to compare."""
        contents = pl.scan_parquet(self.files.contents)
        if "thumbnail" not in contents.collect_schema():
            return None
        first = next(iter(self.given.modalities))
        images = contents.filter(pl.col("role") == IMAGE, pl.col("suffix") == first)
        known = images.select("thumbnail", original_name="stem").collect()
        named = items.select("stem", "original_name")
        stored = named.join(known, on="original_name", how="left", maintain_order="left")
        return find_stored_copies(stored, Ground.of(items))

    def split_notes(self) -> SplitNotes:
        """Return what is said of the splits wherever they are shown.

        Raises:
            OnboardingError: SPLIT_INVALID.
        """
        if not self.files.split_notes.exists():
            assigned = self.assign_splits()
            notes = split_notes(assigned.record, assigned.split, self.given.purpose in TRAINED)
            notes.write(self.files.split_notes)
        return SplitNotes.read(self.files.split_notes)

    @cached_property
    def split(self) -> pl.DataFrame:
        """`stem`, `split`."""
        return pl.read_parquet(self.files.split)

    def parameters(self) -> TrainingParameters:
        """Return the statistics of the training images.

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
                tally_of=self._tallies().of,
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
                self.assign_splits().record,
            )
        )

    def finish(self) -> Path:
        """Remove what is needed no more and move the dataset to its place; gives the dataset's folder."""
        if not self.finished:
            self.files.drop_unneeded()
            self.files.finished.root.parent.mkdir(parents=True, exist_ok=True)
            publish_folder(self.files.unfinished.root, self.files.finished.root)
        return self.files.finished.root

    @property
    def _labels_take_crs(self) -> bool:
        """Whether labels without a CRS get that of their image."""
        return self.given.label_crs is not None

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
        archive = self._archive.local_file()
        with LocalSource(archive) as source:
            source.url = self._archive.facts().address
            report = prescan_source(
                source,
                self.suffixes,
                self.policy,
                table,
                labels_take_crs=self._labels_take_crs,
            )
        return replace(report, notes=(note, *report.notes), bytes_read=report.archive_bytes)

    def _contents(self) -> pl.LazyFrame:
        if not self.files.contents.exists():
            with write_tallies(self.files.tallies) as tallies:
                rows = scan_contents(
                    self._archive.unpacked(),
                    self.suffixes,
                    self.policy,
                    nodata_by_suffix(self.given),
                    tallies=tallies,
                )
                write_frames(self.files.contents, frames_of(rows, CONTENT_SCHEMA))
        return pl.scan_parquet(self.files.contents)

    def _tallies(self) -> StoredTallies:
        """Return the tallies of the files of the dataset that are as they were when they were read."""
        index = self.index.collect()
        rows = pl.scan_parquet(self.files.contents).select(
            "name", "role", "suffix", "stem", "orientation", "band_names", "crs", row=pl.int_range(pl.len())
        )
        placed = []
        for part in slices(rows, "stem"):
            kept = part.filter([not self._changes.touches(row) for row in part.iter_rows(named=True)])
            paths = targets(kept, index, self.given.modalities)
            placed.append(kept.select("name", "row").join(paths, on="name").select("row", "path"))
        return read_tallies(self.files.tallies, pl.concat(placed))

    def _arrange(self, contents: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """Yield the index part by part, the images and labels of each part at their places."""
        unpacked, root = self._archive.unpacked(), self.files.unfinished.root
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

    def _list_splits(self) -> dict[str, list[str]]:
        """Return the stems in the files and folders of the archive that a given split names.

        Raises:
            OnboardingError: SPLIT_INVALID, the archive has no such file or folder, or a file is not text.
        """
        rule = self.given.splits
        if not isinstance(rule, GivenSplit):
            return {}
        names = {split: getattr(rule, f"{split}_file") for split in SPLITS}
        names = {split: name for split, name in names.items() if name is not None}
        listed = stems_in_folders(rule.folders, self._contents()) if rule.folders else {}
        return {**listed, **(stems_in_files(names, self._archive.unpacked()) if names else {})}

    def _earlier_split(self) -> pl.DataFrame | None:
        """Return the splits of the version of this dataset that was received last before this one."""
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
