"""The pre-scan of a draft, beside the requests: how far it is while it runs, then what it found."""

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import polars as pl

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.source import ArchiveSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.receive import is_release_archive
from factory_pipeline.errors import FactoryError
from factory_pipeline.imagery.footprints import FOOTPRINT_COLUMNS
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prescan_source
from factory_pipeline.onboarding.label_values import label_values
from factory_pipeline.onboarding.manifest.model import Purpose
from factory_pipeline.onboarding.suggest_suffixes import file_endings, suggested_suffixes
from factory_pipeline.plain_text import count_noun
from factory_pipeline.splits.assign import random_split
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.splits.split_rule import FOLDER_WORDS
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.add.drafts import Draft

AT_ONCE = 2
"""Pre-scans; others wait for their turn."""
MOST_COMPARED = 20_000
"""Images up to this number are compared for the estimate of leaks."""
SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
NOT_PLAIN = "Say how the names of images and labels end: it is not plain from the names of the files."
NAMES_IN_FOLDERS = (
    "Files have the same names in the folders of the splits: choose the folders of the archive as the splits,"
    " or the names must be made different."
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """What a pre-scan found."""

    asked: Mapping[str, Any]
    """The answers that it was made for; others need another one."""
    endings: Mapping[str, int] = field(default_factory=dict)
    """How the files of the archive end, the most frequent first."""
    suffixes: tuple[str, ...] = ()
    """Of the images: those that were given, else those that are plain."""
    label_suffix: str = ""
    report: Mapping[str, Any] | None = None
    """`PrescanReport.as_json`; None if the archive could not be scanned."""
    error: str = ""
    """Why there is no report."""
    values: tuple[int, ...] = ()
    """Of the masks."""
    values_error: str = ""
    overlap: str = ""
    """How many images a random split would leak, in a sentence."""
    is_release: bool = False
    """Whether the content is a release, which is imported and not onboarded."""

    @property
    def passed(self) -> bool:
        """Whether every check of the report passed."""
        return self.report is not None and bool(self.report["passed"])

    def save(self, draft: Draft) -> None:
        """Write down what was found for a draft."""
        write_text(draft.files.scan, json.dumps(asdict(self), ensure_ascii=False) + "\n")

    def keep_for(self, draft: Draft) -> None:
        """Write down that the same was found for a draft whose answers are what this proposed."""
        replace(self, asked=asked_of(draft)).save(draft)


class Scans:
    """The pre-scans that run now."""

    def __init__(self, home: FactoryHome) -> None:
        """Nothing runs."""
        self._home = home
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prescan")
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def start(self, draft: Draft) -> None:
        """Scan the archive of a draft, unless that is done or under way for the same answers."""
        asked = asked_of(draft)
        with self._lock:
            known = self._running.get(draft.id)
            if (known is not None and known.asked == asked) or found(draft) is not None:
                return
            running = self._running[draft.id] = _Running(asked)
        self._pool.submit(self._run, draft, running)

    def progress(self, draft: Draft) -> str:
        """Return what is being done for a draft; empty where nothing runs."""
        with self._lock:
            running = self._running.get(draft.id)
        return running.told() if running is not None else ""

    @property
    def drafts(self) -> frozenset[str]:
        """Ids of the drafts whose pre-scan runs or waits for its turn."""
        with self._lock:
            return frozenset(self._running)

    def close(self) -> None:
        """Wait for no pre-scan; each begins anew when it is asked for again."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, draft: Draft, running: "_Running") -> None:
        try:
            scan = scan_draft(draft, self._home, running)
            if draft.files.answers.exists():
                scan.save(draft)
        except Exception as error:
            log.exception("The pre-scan of %s ended", draft.source)
            text = f"The pre-scan ended unexpectedly ({type(error).__name__})."
            Scan(asked_of(draft), error=text).save(draft)
        finally:
            with self._lock:
                if self._running.get(draft.id) is running:
                    del self._running[draft.id]


@dataclass
class _Running:
    """A pre-scan under way."""

    asked: Mapping[str, Any]
    doing: str = "Waiting for its turn"
    source: ArchiveSource | None = None

    def told(self) -> str:
        """Return what is being done, with what was read so far."""
        if self.source is None:
            return self.doing
        size = f" of {self.source.size / 1e6:,.1f}" if self.source.size else ""
        return f"{self.doing}: {self.source.bytes_read / 1e6:,.1f}{size} MB read"


def asked_of(draft: Draft) -> dict[str, Any]:
    """Return the answers that decide what a pre-scan finds."""
    given = draft.manifest
    return {
        "archive": asdict(draft.file) if draft.file is not None else given.get("dataset_url"),
        "purpose": given.get("purpose"),
        "suffixes": list(given.get("training_data_suffixes", ())),
        "label_suffix": given.get("label_suffix", ""),
    }


def found(draft: Draft) -> Scan | None:
    """Return what the pre-scan of a draft found; None if its answers were not scanned."""
    if not draft.files.scan.exists():
        return None
    known = json.loads(draft.files.scan.read_text(encoding="utf-8"))
    if known["asked"] != asked_of(draft):
        return None
    lists = {key: tuple(known[key]) for key in ("suffixes", "values")}
    return Scan(**{**known, **lists})


def scan_draft(draft: Draft, home: FactoryHome, running: _Running) -> Scan:
    """Look into the archive of a draft: endings, then headers, then the values of the masks.

    Args:
        draft: with an archive.
        home: with the limits of archives.
        running: is told of the progress.
    """
    policy, asked = draft.policy(home), running.asked

    def said(error: FactoryError) -> str:
        return str(error).replace(str(draft.files.archive), draft.source)

    suffixes, label_suffix = tuple(asked["suffixes"]), asked["label_suffix"]
    running.doing = "Listing the files"
    if _is_release(draft, policy):
        return Scan(asked, is_release=True)
    try:
        endings = file_endings(draft.address, policy)
    except FactoryError as error:
        return Scan(asked, suffixes=suffixes, label_suffix=label_suffix, error=said(error))
    image, label = suggested_suffixes(endings)
    suffixes = suffixes or ((image,) if image else ())
    label_suffix = label_suffix or label
    if not suffixes or not label_suffix:
        return Scan(asked, endings, suffixes, label_suffix, error=NOT_PLAIN)
    try:
        with open_source(draft.address, policy) as source:
            source.url = draft.source if draft.file is not None else source.url
            running.doing, running.source = "Reading the headers", source
            known = Suffixes(suffixes, label_suffix)
            report = prescan_source(source, known, policy)
            if not _is_unique(report):
                # Files that have the same name in `train` and `test` are different ones.
                of_splits = replace(known, split_folders=FOLDER_WORDS)
                again = prescan_source(source, of_splits, policy)
                if _is_unique(again):
                    known, report = of_splits, replace(again, notes=(*again.notes, NAMES_IN_FOLDERS))
            document, overlap = report.as_json(), _overlap(report, suffixes[0])
    except FactoryError as error:
        return Scan(asked, endings, suffixes, label_suffix, error=said(error))
    finally:
        running.source = None
    values: list[int] = []
    values_error = ""
    if asked["purpose"] == Purpose.SEGMENTATION.value and report.labels:
        running.doing = "Reading the values of the masks"
        try:
            values = label_values(draft.address, known, policy)
        except FactoryError as error:
            values_error = said(error)
    return Scan(
        asked,
        endings,
        suffixes,
        label_suffix,
        document,
        values=tuple(values),
        values_error=values_error,
        overlap=overlap,
    )


def _is_release(draft: Draft, policy: IntakePolicy) -> bool:
    """Return whether an archive is a release; of a remote tar at most a gigabyte is unpacked for that."""
    try:
        with open_source(draft.address, policy) as source:
            most = policy.max_unpacked_bytes if source.local else min(policy.max_unpacked_bytes, 1 << 30)
            limited = policy.model_copy(update={"max_unpacked_bytes": most})
            return is_release_archive(source, limited)
    except FactoryError:
        return False  # What is wrong with it is told by the pre-scan.


def _is_unique(report: PrescanReport) -> bool:
    return all(check.passed for check in report.checks if check.name == "stems_unique")


def _overlap(report: PrescanReport, suffix: str) -> str:
    """Estimate from the headers how many images a random split would leak."""
    # The content is not read: every file counts as different from the others.
    named = (pl.col("stem").alias("original_name"), pl.col("name").alias("sha256"))
    items = (
        report.images_of(suffix)
        .select("stem", *named, *FOOTPRINT_COLUMNS)
        .unique("stem", maintain_order=True)
        .drop_nulls("width")
        .head(MOST_COMPARED)
        .collect()
    )
    if items.height < 3:
        return ""
    leaks = leak_report(items, random_split(items, SHARES, 42))
    if not leaks.placed:
        return "The images are not georeferenced, so that overlap can't be seen."
    if not leaks.pairs:
        return "No two images overlap: a random split leaks nothing."
    return (
        f"{count_noun(leaks.pairs, 'pair')} of images {'overlaps' if leaks.pairs == 1 else 'overlap'}:"
        " a random split would leak about"
        f" {leaks.random_leaking_share:.0%} of the test and validation images. A spatial split by"
        " overlap keeps them on one side."
    )
