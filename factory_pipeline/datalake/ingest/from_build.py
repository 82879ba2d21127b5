"""The fused files of a GEDI build as a collection: a sample is an item, and its labels are modelled."""

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from factory_pipeline.datalake.ingest.build_rows import MEMBERS, sample_batches
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_writer
from factory_pipeline.datalake.tables.items import items_writer
from factory_pipeline.errors import LakeError
from factory_pipeline.hdf5.read import describe
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.layout import CollectionFiles, FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home
from factory_pipeline.storage.slug import slug


@dataclass(frozen=True)
class _Tables:
    """The tables of a build's collection; all are written, or the collection is not registered."""

    items: Path
    biomass: Path
    land_cover: Path

    @classmethod
    def of(cls, files: CollectionFiles, content_hash: str) -> "_Tables":
        # The samples decide both operations, so each is named by them and by what it is of.
        names = [sha256(f"{content_hash} {what}".encode()).hexdigest() for what in ("AGBD", "WorldCover")]
        return cls(files.items, *(files.annotations(name) for name in names))

    @property
    def written(self) -> bool:
        return all(path.exists() for path in (self.items, self.biomass, self.land_cover))


def collect_build(registry: Registry, home: FactoryHome, fused: Sequence[Path]) -> Collection:
    """Register the fused files of a build as a collection of its recipe's name.

    Two operations come with it, both by machines: the rasters of biomass, and a mask per class of WorldCover.
    The samples are kept: where the file system can link, the collection has the files under names of its own,
    so that a later fuse takes none of them away. The same files again are the same collection.

    Args:
        registry: where it is registered.
        home: where its tables go.
        fused: a file per split, in the order of its samples among the items.

    Raises:
        DatasetFileError: a file is missing, truncated or no dataset file.
        LakeError: a file is damaged, or was changed meanwhile.
    """
    summaries = [describe(path) for path in fused]
    name = slug(json.loads(summaries[0].recipe)["name"])
    states = [_state(path) for path in fused]
    digests = [sha256_of(path) for path in fused]
    content_hash = sha256("\n".join(digests).encode()).hexdigest()
    files = home.collection(name, content_hash)
    tables = _Tables.of(files, content_hash)
    kept = [files.fused(summary.split) for summary in summaries]
    # Where the files could not be kept they may lie elsewhere now, and the tables must say so.
    if not (tables.written and all(place.exists() for place in kept)):
        try:
            places = [_kept(*each) for each in zip(fused, kept, states, strict=True)]
            _write(tables, name, home, places)
        except BaseException:
            for place in kept:
                place.unlink(missing_ok=True)
            raise
    collection = registry.add_collection(
        name,
        CollectionSource.GEDI,
        items_path=relative_to_home(tables.items, home),
        item_count=sum(summary.samples for summary in summaries),
        content_hash=content_hash,
    )
    for path in (tables.biomass, tables.land_cover):
        registry.add_operation(collection.id, AnnotationSource.MACHINE, path=relative_to_home(path, home))
    return collection


def _write(tables: _Tables, name: str, home: FactoryHome, places: Sequence[Path]) -> None:
    with (
        items_writer(tables.items, collection=name, modalities=list(MEMBERS), dated=True) as items,
        annotations_writer(tables.biomass) as biomass,
        annotations_writer(tables.land_cover) as land_cover,
    ):
        for place in places:
            for batch in sample_batches(place, relative_to_home(place, home)):
                items.append(batch.items)
                biomass.append(batch.biomass)
                land_cover.append(batch.land_cover)


def _kept(path: Path, place: Path, state: tuple[int, ...]) -> Path:
    """The file under another name that stays when a later fuse replaces it, where the file system can link.

    Raises:
        LakeError: it is not the one of that state any more.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{uuid.uuid4().hex}.part{place.suffix}")
    try:
        try:
            os.link(path, temporary)
        except OSError:
            kept = path
        else:
            kept = temporary
        if _state(kept) != state:
            raise LakeError(f"The dataset file {path} was changed while it was collected; try again.")
        return path if kept is path else temporary.replace(place)
    finally:
        # A rename between two links to one file does nothing, also not away with the first.
        temporary.unlink(missing_ok=True)


def _state(path: Path) -> tuple[int, ...]:
    """What is another after a change."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
