"""A release as a collection: its images are the items, its labels one operation by people."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.contents import find_contents
from factory_pipeline.datalake.ingest.releases.decisions import (
    Decision,
    decide_coordinates,
    decide_ml_type,
    find_outside,
    has_stated_coordinates,
    misfits,
    odd_images,
)
from factory_pipeline.datalake.ingest.releases.documents import Splits, public_of, read_meta, read_splits
from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID, ReleaseOptions
from factory_pipeline.datalake.ingest.releases.pair_facts import FACTS, pair_facts
from factory_pipeline.datalake.ingest.releases.placement import PlacedBy
from factory_pipeline.datalake.ingest.releases.problems import MOST_NAMED, Problem, refuse
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.ingest.releases.tables import (
    ReadRelease,
    ReleaseTables,
    collection_in,
    write_tables,
)
from factory_pipeline.datalake.registry.records import Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import names_in
from factory_pipeline.plain_text import count_noun
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome, ReleaseFiles
from factory_pipeline.storage.slug import slug


def import_release(
    registry: Registry,
    home: FactoryHome,
    key: str,
    archive: Path,
    policy: IntakePolicy,
    options: ReleaseOptions = NOTHING_SAID,
    shown: str | None = None,
) -> tuple[Collection, ReleaseReport]:
    """Import a release as a collection, completely or not at all.

    Args:
        registry: where the collection is registered.
        home: where its images and tables go.
        key: `name@version` of the release in the home.
        archive: the file on this machine.
        policy: limits of archives and images.
        options: what the user says of it.
        shown: what messages call the archive; by default the name of its file.

    Returns:
        The collection, and what was found and decided. The same release again gives the same collection.

    Raises:
        OnboardingError: the archive is broken or hostile, or not a release, or a pair of it can't be taken;
            nothing is left behind.
    """
    files, title = home.release(key), shown or archive.name
    found = _find_import(registry, home, files)
    if found is not None:
        return found
    files.drop_imported()
    try:
        extract(archive, files.unpacked, policy, title)
        release = read_release(files.unpacked, title, policy, options)
        name = slug(options.name or _text(release.meta, "name") or key.partition("@")[0])
        tables = write_tables(home, files, name, release)
        report = _report(release, tables, title)
        report.save(files.report)
        remove_folder(files.unpacked)
        # What is registered is complete.
        return tables.register(registry, home), report
    except BaseException:
        files.drop_imported()
        raise


def read_release(folder: Path, title: str, policy: IntakePolicy, options: ReleaseOptions) -> ReadRelease:
    """Read an unpacked release and decide what holds for all of it.

    Args:
        folder: where it was unpacked.
        title: what messages call the archive.
        policy: limits of images.
        options: what the user says of it.

    Raises:
        OnboardingError: it is not a release, or a pair can't be taken and these are not to be skipped.
    """
    contents = find_contents(names_in(folder), title)
    problems = list(contents.problems)
    meta, splits = dict[str, Any](), Splits()
    if contents.meta is not None:
        meta, found = read_meta(folder / contents.root / contents.meta, contents.meta)
        problems += found
    if contents.bounds is not None:
        splits, found = read_splits(folder / contents.root / contents.bounds, contents.bounds)
        problems += found
    facts = frame_of(pair_facts(folder, contents, policy), FACTS)
    broken = facts.drop_nulls("problem").select("problem_file", "problem").iter_rows()
    problems += [Problem(file, reason) for file, reason in broken]
    remaining = _Remaining(facts.filter(pl.col("problem").is_null()), title, problems, options.skip_invalid)
    remaining.check()
    remaining.leave_out(odd_images(remaining.facts))
    ml_type = decide_ml_type(meta, options.ml_type, remaining.facts, title)
    remaining.leave_out(misfits(remaining.facts, ml_type.value))
    if ml_type.value in (MlType.SEGMENTATION, MlType.OBJECT_DETECTION):
        if not has_stated_coordinates(meta, options.label_coordinates):
            remaining.leave_out(find_outside(remaining.facts, None))
        coordinates = decide_coordinates(meta, options.label_coordinates, remaining.facts, title)
        remaining.leave_out(find_outside(remaining.facts, coordinates.value))
    else:
        coordinates = Decision(LabelCoordinates.PIXEL, f"labels for {ml_type.value} have no coordinates")
    return ReadRelease(folder, contents, meta, splits, remaining.facts, ml_type, coordinates, problems)


@dataclass
class _Remaining:
    """The pairs that can be taken, fewer with each problem."""

    facts: pl.DataFrame
    title: str
    problems: list[Problem]
    skip_invalid: bool

    def leave_out(self, problems: list[Problem]) -> None:
        """Leave out the pairs of some files.

        Raises:
            OnboardingError: they are not to be skipped, or none remains.
        """
        self.problems += problems
        files = [problem.file for problem in problems]
        self.facts = self.facts.filter(~pl.col("image").is_in(files) & ~pl.col("label").is_in(files))
        self.check()

    def check(self) -> None:
        """Refuse a release with problems, unless they are to be skipped and something remains.

        Raises:
            OnboardingError: as said.
        """
        if self.problems and not (self.skip_invalid and self.facts.height):
            raise refuse(self.title, self.problems, skippable=not self.skip_invalid)


def _find_import(
    registry: Registry, home: FactoryHome, files: ReleaseFiles
) -> tuple[Collection, ReleaseReport] | None:
    """The collection of a release that was imported before, and its report; None where it was not."""
    if not files.report.exists():
        return None
    found = collection_in(registry, home, files.root, CollectionSource.RELEASE)
    report = ReleaseReport.load(files.report)
    # Where a process was killed, earlier versions left a collection without its labels.
    if found is None or (report.classes and not registry.operations(found.id)):
        return None
    return found, report


def _report(release: ReadRelease, tables: ReleaseTables, title: str) -> ReleaseReport:
    facts, meta = release.facts, release.meta
    by = dict(facts.group_by("placed_by").len().iter_rows())
    conflicts = facts.drop_nulls("conflict").select("image", "conflict").iter_rows()
    return ReleaseReport(
        archive=title,
        name=tables.name,
        version=_text(meta, "version"),
        public=public_of(meta),
        source=_text(meta, "source"),
        source_url=_text(meta, "source_url"),
        items=tables.item_count,
        ml_type=release.ml_type.value,
        ml_type_why=release.ml_type.why,
        coordinates=release.coordinates.value,
        coordinates_why=release.coordinates.why,
        placed_by={each.value: by[each.name] for each in PlacedBy if each.name in by},
        conflicts=[f"{image} {conflict}" for image, conflict in conflicts],
        classes=tables.annotations_by_class,
        splits=tables.items_by_split,
        skipped=[str(problem) for problem in sorted(set(release.skipped))],
        others=release.contents.others,
        notes=_notes(release, tables),
    )


def _notes(release: ReadRelease, tables: ReleaseTables) -> list[str]:
    notes = []
    if release.splits.unknown_words:
        words = ", ".join(map(repr, sorted(set(release.splits.unknown_words))[:MOST_NAMED]))
        notes.append(
            f"Not known is the split of {count_noun(len(release.splits.unknown_words), 'feature')} of"
            " the outlines"
            f" ({words}); allowed are {', '.join(SPLITS)}. Their images have none."
        )
    if release.ml_type.value is MlType.OBJECT_DETECTION and tables.polygons:
        notes.append(
            f"{count_noun(tables.polygons, 'label')} kept as polygons: not axis-parallel rectangles."
        )
    if release.ml_type.value is MlType.REGRESSION and tables.missing_numbers:
        missing = count_noun(tables.missing_numbers, "image has", "images have")
        notes.append(f"{missing} no measured value: the number is missing.")
    return notes


def _text(meta: Mapping[str, Any], key: str) -> str | None:
    value = meta.get(key)
    return str(value) if isinstance(value, str | int | float) and str(value).strip() else None
