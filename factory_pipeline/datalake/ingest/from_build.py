"""The fused files of a GEDI build as a collection: samples are items, labels are annotations by machines."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from factory_pipeline.datalake.ingest.build_rows import MEMBERS, sample_batches
from factory_pipeline.datalake.ingest.kept_files import file_state, keep_and_write
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_writer
from factory_pipeline.datalake.tables.items import items_writer
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
        # The samples determine both operations, so each is named by the samples and by its kind.
        names = [sha256(f"{content_hash} {what}".encode()).hexdigest() for what in ("AGBD", "WorldCover")]
        return cls(files.items, *(files.annotations(name) for name in names))

    @property
    def written(self) -> bool:
        return all(path.exists() for path in (self.items, self.biomass, self.land_cover))


def collect_build(
    registry: Registry,
    home: FactoryHome,
    fused: Sequence[Path],
    on_items: Callable[[int, int], object] = lambda *_: None,
) -> Collection:
    """Register the fused files of a build as a collection of its recipe's name.

    Two operations are registered with it, both by machines: the rasters of biomass, and a mask per class of
    WorldCover. If the file system supports hard links, the collection has links to the files, so that a later
    fuse does not remove its samples. The same files again are the same collection.

    Args:
        registry: the registry that it is added to.
        home: the home that its tables are written to.
        fused: a file per split, in the order of their samples among the items.
        on_items: called with the number of items that are written so far, and of all.

    Raises:
        DatasetFileError: a file is missing, truncated or not a dataset file.
        LakeError: a file is damaged, or changed meanwhile.
    """
    summaries = [describe(path) for path in fused]
    name = slug(json.loads(summaries[0].recipe)["name"])
    samples = sum(summary.samples for summary in summaries)
    states = [file_state(path) for path in fused]
    digests = [sha256_of(path) for path in fused]
    content_hash = sha256("\n".join(digests).encode()).hexdigest()
    files = home.collection(name, content_hash)
    tables = _Tables.of(files, content_hash)
    kept = [files.fused(summary.split) for summary in summaries]

    def write(targets: Sequence[Path]) -> None:
        _write(tables, name, home, targets, lambda done: on_items(done, samples))

    # Files that could not be linked may have been moved, and the tables must have their new paths.
    if not (tables.written and all(target.exists() for target in kept)):
        keep_and_write(fused, kept, states, write)
    return registry.add_collection(
        name,
        CollectionSource.GEDI,
        items_path=relative_to_home(tables.items, home),
        item_count=samples,
        content_hash=content_hash,
        annotations={
            relative_to_home(path, home): AnnotationSource.MACHINE
            for path in (tables.biomass, tables.land_cover)
        },
    )


def _write(
    tables: _Tables,
    name: str,
    home: FactoryHome,
    targets: Sequence[Path],
    on_items: Callable[[int], object],
) -> None:
    done = 0
    with (
        items_writer(tables.items, collection=name, modalities=list(MEMBERS), dated=True) as items,
        annotations_writer(tables.biomass) as biomass,
        annotations_writer(tables.land_cover) as land_cover,
    ):
        for target in targets:
            for batch in sample_batches(target, relative_to_home(target, home)):
                items.append(batch.items)
                biomass.append(batch.biomass)
                land_cover.append(batch.land_cover)
                done += batch.items.height
                on_items(done)
                # It need not be in memory while the next is made.
                del batch
