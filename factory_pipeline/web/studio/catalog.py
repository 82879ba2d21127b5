"""The cards of the start page: every dataset of the factory, whichever way it came in."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache, partial
from urllib.parse import quote

import polars as pl

from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.datalake.ingest.releases.register import is_release_entry
from factory_pipeline.datalake.registry.records import CollectionSource, Upload, UploadStatus, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import DocumentError, FactoryError
from factory_pipeline.onboarding.stages import onboarding_progress
from factory_pipeline.plain_text import count_noun
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.atomic import is_held
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.yaml_document import parse_yaml

CARDS_PER_PAGE = 24
TIME_TO_START = timedelta(minutes=1)
"""From a build's settings to the first of its runs, at most."""
NAME = re.compile(r"^dataset_name: (?P<value>.*(?:\n  .*)*)$", re.M)


class Kind(StrEnum):
    """The way in which a dataset came to be."""

    UPLOAD = "Upload"
    VERSION = "Dataset"
    BUILD = "Build"
    IMPORT = "Import"


@dataclass(frozen=True)
class Card:
    """A dataset on the start page."""

    kind: Kind
    key: str
    """Tells it from the others of its kind."""
    title: str
    href: str
    status: str
    updated: datetime
    reason: str = ""
    code: str = ""
    picture: str = ""
    """Address of its preview; empty where there is none."""
    facts: tuple[str, ...] = ()
    progress: float | None = None
    """From 0 to 1 while it is worked on."""
    doing: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether its status can change by itself."""
        return self.status in (UploadStatus.PENDING, UploadStatus.ONBOARDING)


@dataclass(frozen=True)
class Choice:
    """What a person wants to see of all cards."""

    text: str = ""
    """A part of the name or key; capitals do not matter."""
    kind: str = ""
    status: str = ""
    page: int = 1

    def fits(self, card: Card) -> bool:
        """Return whether a card is wanted."""
        words = self.text.lower().split()
        named = f"{card.title} {card.key}".lower()
        return (
            all(word in named for word in words)
            and self.kind in ("", card.kind)
            and self.status in ("", card.status)
        )


@dataclass(frozen=True)
class Page:
    """A page of cards."""

    cards: list[Card]
    found: int
    """Cards that fit, on all pages."""
    total: int
    """All cards."""
    number: int
    pages: int


def choose_cards(studio: Studio, choice: Choice) -> Page:
    """Return the cards of one page, the newest first; only these are looked up in the files.

    Args:
        studio: registry and home.
        choice: filter, order and page.
    """
    cards = list_cards(studio.registry, studio.home)
    fitting = sorted(
        (card for card in cards if choice.fits(card)), key=lambda card: card.updated, reverse=True
    )
    pages = max(-(-len(fitting) // CARDS_PER_PAGE), 1)
    number = min(max(choice.page, 1), pages)
    first = (number - 1) * CARDS_PER_PAGE
    shown = [_fill(card, studio) for card in fitting[first : first + CARDS_PER_PAGE]]
    return Page(shown, len(fitting), len(cards), number, pages)


def list_cards(registry: Registry, home: FactoryHome) -> list[Card]:
    """Return all cards with what the registry knows, which is read in four queries.

    Args:
        registry: of the home.
        home: with the files.
    """
    # An imported release is shown as the collection that it became.
    cards = [
        _upload_card(upload)
        for upload in registry.uploads()
        if not (upload.status is UploadStatus.SUCCEEDED and is_release_entry(upload))
    ]
    cards += [
        Card(
            Kind.VERSION,
            dataset.id,
            dataset.name,
            f"/versions/{quote(dataset.name, safe='')}",
            UploadStatus.SUCCEEDED.value,
            dataset.created,
        )
        for dataset in registry.datasets()
    ]
    collections = registry.collections()
    cards += [
        Card(
            Kind.IMPORT,
            collection.id,
            collection.name,
            f"/lake?collection={collection.id}",
            UploadStatus.SUCCEEDED.value,
            collection.created,
            picture=f"/pictures/collections/{collection.id}.webp",
            facts=(count_noun(collection.item_count, "item"),),
        )
        for collection in collections
        if collection.source is CollectionSource.RELEASE
    ]
    of_recipes = {one.name: one.id for one in collections if one.source is CollectionSource.RECIPE}
    # The same for all builds, and asked for only where one is not finished.
    has_run_at_work = cache(partial(_has_run_at_work, registry, home))
    recipes = [
        _recipe_build(home, name, of_recipes.get(name), has_run_at_work)
        for name in home.dataset_build_names()
    ]
    return [*cards, *_builds(home, has_run_at_work), *recipes]


def upload_address(key: str) -> str:
    """Return where the page of an upload is."""
    name, _, version = key.partition("@")
    return f"/datasets/{quote(name, safe='')}/{version}"


@lru_cache(maxsize=20_000)
def title_of(manifest: str, name: str) -> str:
    """Return the dataset's name as its manifest has it; the folder's name where there is none.

    Only this line is read: a manifest with many bands takes YAML milliseconds.

    Args:
        manifest: as YAML.
        name: of the folder.
    """
    found = NAME.search(manifest)
    if found is None:
        return name
    try:
        return str(parse_yaml(found["value"], f"The name of {name}") or name)
    except DocumentError:
        return name


def _upload_card(upload: Upload) -> Card:
    address = upload_address(upload.key)
    is_there = upload.status is UploadStatus.SUCCEEDED
    return Card(
        Kind.IMPORT if is_release_entry(upload) else Kind.UPLOAD,
        upload.key,
        title_of(upload.manifest, upload.name),
        address,
        upload.status.value,
        upload.updated,
        upload.reason or "",
        upload.code or "",
        f"/pictures{address}.webp" if is_there else "",
    )


def _builds(home: FactoryHome, has_run_at_work: Callable[[], bool]) -> Sequence[Card]:
    if not home.build_file.exists():
        return ()
    changed = datetime.fromtimestamp(home.build_file.stat().st_mtime, UTC)
    try:
        settings = BuildSettings.load(home)
    except FactoryError as error:
        return (Card(Kind.BUILD, "build", "Build", "/builds", "Failed", changed, str(error)),)
    summary = settings.files.summary
    if not summary.exists():
        doing = _describe_unfinished(changed, has_run_at_work)
        return (
            Card(Kind.BUILD, "build", settings.recipe.name, "/builds", "Onboarding", changed, doing=doing),
        )
    done = datetime.fromtimestamp(summary.stat().st_mtime, UTC)
    samples = BuildSummary.load(summary).samples
    facts = tuple(f"{count:,} {split}" for split, count in samples.items())
    return (
        Card(
            Kind.BUILD,
            "build",
            settings.recipe.name,
            "/builds",
            UploadStatus.SUCCEEDED.value,
            done,
            picture="/pictures/build.webp",
            facts=facts,
        ),
    )


def _has_run_at_work(registry: Registry, home: FactoryHome) -> bool:
    signs = (registry.run_sign(run_id) for run_id in registry.run_holders())
    if any(sign is not None and not sign.is_dead for sign in signs):
        return True
    # Where the registry is a file, runs show by locks that they are alive.
    return any(is_held(home.run_lock(run_id)) for run_id in home.locked_runs())


def _describe_unfinished(begun: datetime, has_run_at_work: Callable[[], bool]) -> str:
    """Return what a build without a summary does: its command may have been interrupted, or have failed."""
    if datetime.now(UTC) - begun < TIME_TO_START or has_run_at_work():
        return "Building"
    return "Not finished and not at work; run it again to go on"


def _recipe_build(
    home: FactoryHome, name: str, collection: str | None, has_run_at_work: Callable[[], bool]
) -> Card:
    """Return the card of a recipe's build, with a picture of its samples where they are in the data lake."""
    changed_ns = home.dataset_build(name).stat().st_mtime_ns
    card = Card(
        Kind.BUILD,
        name,
        name,
        f"/builds/recipes/{quote(name, safe='')}",
        UploadStatus.SUCCEEDED.value,
        datetime.fromtimestamp(changed_ns / 1e9, UTC),
    )
    try:
        summary = _files_of(home, name, changed_ns).summary
        if not summary.exists():
            doing = _describe_unfinished(card.updated, has_run_at_work)
            return replace(card, href="/builds", status="Onboarding", doing=doing)
        samples = DatasetBuildSummary.load(summary).samples
    except (FactoryError, OSError, ValueError, TypeError) as error:
        return replace(card, href="/builds", status="Failed", reason=str(error))
    return replace(
        card,
        updated=datetime.fromtimestamp(summary.stat().st_mtime, UTC),
        picture=f"/pictures/collections/{collection}.webp" if collection else "",
        facts=tuple(f"{count:,} {split}" for split, count in samples.items()),
    )


@lru_cache(maxsize=5_000)
def _files_of(home: FactoryHome, name: str, changed_ns: int) -> BuildFiles:  # noqa: ARG001
    """Return the files of a recipe's build; its settings, which are long, are read again when they change."""
    return DatasetSettings.load(home, name).files


def _fill(card: Card, studio: Studio) -> Card:
    """Return a card with what only files tell."""
    is_begun = card.status == UploadStatus.ONBOARDING
    if card.kind is Kind.IMPORT and card.is_unfinished:
        return replace(card, doing="Importing" if is_begun else "Waiting to start")
    if card.kind is Kind.UPLOAD:
        files = studio.home.upload(card.key)
        if card.is_unfinished:
            doing, progress = onboarding_progress(files)
            return replace(card, doing=doing if is_begun else "Waiting to start", progress=progress)
        items = files.finished.items
        if card.status == UploadStatus.SUCCEEDED and items.exists():
            return replace(card, facts=split_counts(pl.scan_parquet(items)))
    if card.kind is Kind.VERSION:
        versions = studio.registry.versions(card.key)
        ready = [version for version in versions if version.state is VersionState.READY]
        if ready:
            number = f"{len(ready)} version" + "s" * (len(ready) > 1)
            return replace(
                card,
                updated=ready[-1].created,
                picture=f"/pictures/versions/{ready[-1].id}.webp",
                facts=(number, f"latest {ready[-1].number}"),
            )
    return card


def split_counts(items: pl.LazyFrame) -> tuple[str, ...]:
    """Return the number of images of each split, as texts."""
    counts = dict(items.group_by("split").len().collect().iter_rows())
    return tuple(f"{counts.get(split, 0):,} {split}" for split in SPLITS)
