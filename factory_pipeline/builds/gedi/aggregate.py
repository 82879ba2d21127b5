"""Every footprint of every granule, a Parquet file per granule; each granule is read once."""

import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from factory_pipeline.builds.gedi.footprint_parquet import write_footprints
from factory_pipeline.builds.gedi.granule_manifest import (
    READER,
    GranuleRecord,
    SourceState,
    load_manifest,
    load_source_state,
    save_manifest,
)
from factory_pipeline.builds.gedi.granule_names import parse_granule_name
from factory_pipeline.builds.gedi.granules import (
    FOOTPRINT_SCHEMA,
    GranuleFile,
    list_granules,
    list_source,
    read_granule,
)
from factory_pipeline.builds.gedi.object_store import is_url
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.processors import processor_count
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.worker_pool import WorkerPool

WORTH_A_PROCESS = 256 << 20
"""Bytes of local granules that are read (at 100 to 200 MB/s) while a process starts and imports (1 s)."""
_T = TypeVar("_T")
PAUSES_S = (0.5, 2.0, 5.0)
"""Between the tries to read a granule that can't be read for a reason that may pass."""
SAVE_EVERY = 100
"""Granules after which the manifest is written, so that a killed run loses little."""


@dataclass(frozen=True)
class Aggregation:
    """What the store of footprints contains after an aggregation, ordered by granule name."""

    files: tuple[Path, ...]
    """The Parquet files, one per granule that was read; columns as `read_granule` returns them."""
    granules: Mapping[str, int]
    """Footprints by granule file name."""
    set_aside: Mapping[str, str]
    """Why a granule is left out, by file name."""
    replaced: Mapping[str, str]
    """Older productions of a granule that are left out, by file name: the file that replaces them."""
    unavailable: Mapping[str, str]
    """Those of `set_aside` that a later try may be able to read."""
    lacking: Mapping[str, frozenset[str]]
    """Fields that are null for want of them, by granule file name."""
    gone: tuple[str, ...]
    """Granules that are no longer in the source; their footprints stay."""
    ignored: Mapping[str, str]
    """What looks like a granule in the source and is not read: its path and why."""
    read: tuple[str, ...]
    """The granules that were opened by this aggregation; the others had been read before."""

    @property
    def footprints(self) -> int:
        """Footprints of all granules."""
        return sum(self.granules.values())


def aggregate_granules(
    source: str,
    store: Path,
    extra_fields: Sequence[str] = (),
    workers: int | None = None,
    on_granule: Callable[[str], object] | None = None,
    needed: Collection[str] | None = None,
    inbox: Path | None = None,
) -> Aggregation:
    """Read the granules that are new in a folder or under an object-store prefix into the folder `store`.

    A granule is read again only when its size or its time of modification (ETag) changed, when its Parquet
    file is missing, when a field is requested that it was not read with, or when it could not be reached.
    Transient errors are retried a few times and never recorded. A granule that can't be used is set aside
    with its reason; the others go on. The footprints of a granule that has left the source stay: they have
    been read. Of several productions of one granule the newest that can be used replaces the others.

    Granules are read by processes, since HDF5 works behind a lock, or by as many threads where there is too
    little to read; each has one granule in memory.

    Args:
        source: a folder, or a URL that obstore knows; see `list_source`.
        store: folder of the Parquet files and of the manifest; made if it is missing.
        extra_fields: paths in a beam's group, beside those of FOOTPRINT_SCHEMA.
        workers: processes or threads; None for one per core.
        on_granule: called with one sentence for each granule that was read.
        needed: a granule that lacks one of these fields is set aside; None needs all that are requested.
        inbox: a further folder of granules, which may be missing.

    Raises:
        GranuleError: there is no such source, it contains no granule, or a reading process died.
        GranuleUnavailableError: the object store can't be listed.
    """
    asked = _extra_columns(extra_fields)
    listing = list_source(source, inbox)
    listed = listing.granules
    records = load_manifest(store)
    _forget_vanished_failures(records, listed)
    names = {granule.name for granule in listed}
    state = SourceState(tuple(name for name in records if name not in names), listing.ignored)
    pending = [granule for granule in listed if not _is_known(granule, records, asked, store)]
    try:
        # Closed here: a garbage collector that closed it would wait for the readers in any thread.
        with closing(_read_all(pending, asked, store, workers)) as reading:
            for done, (granule, record) in enumerate(reading, start=1):
                records[granule.name] = record
                if on_granule is not None:
                    on_granule(f"{_outcome(granule, record)} ({done} of {len(pending)})")
                if done % SAVE_EVERY == 0:
                    save_manifest(store, records, state)
    finally:
        save_manifest(store, records, state)
    read = tuple(granule.name for granule in pending)
    return _summary(records, state, asked, _needed_columns(needed, asked), store, read)


def unread_granules(
    source: str, store: Path, extra_fields: Sequence[str] = (), inbox: Path | None = None
) -> list[GranuleFile]:
    """Return the granules that an aggregation would read now, ordered by name.

    Args:
        source: a folder, or a URL that obstore knows.
        store: folder of earlier aggregations.
        extra_fields: as for `aggregate_granules`.
        inbox: a further folder of granules, which may be missing.

    Raises:
        GranuleError, GranuleUnavailableError: as `aggregate_granules`.
    """
    asked = _extra_columns(extra_fields)
    records = load_manifest(store)
    listed = list_granules(source, inbox)
    return [granule for granule in listed if not _is_known(granule, records, asked, store)]


def read_aggregation(
    store: Path, extra_fields: Sequence[str] = (), needed: Collection[str] | None = None
) -> Aggregation:
    """Return what earlier aggregations put into the folder `store`; opens no granule.

    Args:
        store: folder of earlier aggregations.
        extra_fields: as for `aggregate_granules`.
        needed: as for `aggregate_granules`.

    Raises:
        GranuleError: the manifest can't be read.
    """
    asked = _extra_columns(extra_fields)
    state = load_source_state(store)
    return _summary(load_manifest(store), state, asked, _needed_columns(needed, asked), store, ())


def _extra_columns(extra_fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in extra_fields if name not in FOOTPRINT_SCHEMA))


def _needed_columns(needed: Collection[str] | None, asked: tuple[str, ...]) -> frozenset[str]:
    return frozenset((*FOOTPRINT_SCHEMA, *asked) if needed is None else needed)


def _parquet_of(name: str, store: Path) -> Path:
    return store / f"{name.removesuffix('.h5')}.parquet"


def _is_known(
    granule: GranuleFile, records: Mapping[str, GranuleRecord], asked: tuple[str, ...], store: Path
) -> bool:
    record = records.get(granule.name)
    if record is None or not record.describes(granule) or not record.has_fields(asked):
        return False
    return record.rows is None or _parquet_of(granule.name, store).exists()


def _forget_vanished_failures(records: dict[str, GranuleRecord], listed: Sequence[GranuleFile]) -> None:
    there = {granule.name for granule in listed}
    for name in [name for name, record in records.items() if record.rows is None and name not in there]:
        del records[name]


def _read_all(
    pending: Sequence[GranuleFile], asked: tuple[str, ...], store: Path, workers: int | None
) -> Generator[tuple[GranuleFile, GranuleRecord], None, None]:
    pool = _workers(pending, workers or processor_count())
    try:
        reading = {pool.submit(_read_into, granule, asked, store): granule for granule in pending}
        for finished in as_completed(reading):
            yield reading[finished], finished.result()
    except BrokenProcessPool as error:
        raise GranuleError(
            "A process that read granules died, perhaps for want of memory; run again with fewer workers."
        ) from error
    except BaseException:
        if isinstance(pool, WorkerPool):
            pool.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _workers(pending: Sequence[GranuleFile], workers: int) -> Executor:
    """Return processes where they pay: remote granules are waited for, local ones must outweigh the start."""
    volume = sum(granule.size for granule in pending)
    is_remote = any(is_url(granule.source) for granule in pending)
    processes = min(workers, len(pending), len(pending) if is_remote else volume // WORTH_A_PROCESS)
    if processes > 1:
        return WorkerPool(processes)
    return ThreadPoolExecutor(workers, thread_name_prefix="granules")


def _read_into(granule: GranuleFile, asked: tuple[str, ...], store: Path) -> GranuleRecord:
    """Read one granule into its Parquet file; runs in a worker."""
    target = _parquet_of(granule.name, store)
    try:
        footprints = retry_read(lambda: read_granule(granule, asked))
    except GranuleError as error:
        target.unlink(missing_ok=True)
        is_transient = isinstance(error, GranuleUnavailableError)
        version = "" if is_transient else granule.version
        return GranuleRecord(granule.size, version, asked, reason=str(error), reader=READER)
    with atomic_write(target) as temporary:
        write_footprints(temporary, footprints)
    # Values of a granule are never null, so a null says that a beam lacks the field.
    missing = tuple(column.name for column in footprints if column.null_count())
    return GranuleRecord(
        granule.size, granule.version, asked, rows=footprints.height, missing=missing, reader=READER
    )


def retry_read(read: Callable[[], _T]) -> _T:
    """Read a granule, again after each of PAUSES_S where the fault may pass.

    Raises:
        GranuleError: as `read`.
    """
    for pause in PAUSES_S:
        try:
            return read()
        except GranuleUnavailableError:
            time.sleep(pause)
    return read()


def _outcome(granule: GranuleFile, record: GranuleRecord) -> str:
    if record.reason is not None:
        return f"{granule.name} is set aside: {record.reason}"
    return f"{granule.name}: {count_noun(record.rows or 0, 'footprint')}."


def _summary(
    records: Mapping[str, GranuleRecord],
    state: SourceState,
    asked: tuple[str, ...],
    needed: frozenset[str],
    store: Path,
    read: tuple[str, ...],
) -> Aggregation:
    rows: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name, record in sorted(records.items()):
        lacking = sorted(needed.intersection(record.missing))
        if record.rows is None:
            reasons[name] = record.reason or ""
        elif not record.has_fields(asked) or not _parquet_of(name, store).exists():
            reasons[name] = f"The granule {name} must be read again but is no longer in the source."
        elif lacking:
            reasons[name] = f"The field {lacking[0]} is missing in the granule {name}, and a rule needs it."
        else:
            rows[name] = record.rows
    replaced = _find_replaced(rows)
    rows = {name: count for name, count in rows.items() if name not in replaced}
    return Aggregation(
        files=tuple(_parquet_of(name, store) for name in rows),
        granules=rows,
        set_aside=reasons,
        replaced=replaced,
        unavailable={name: reason for name, reason in reasons.items() if records[name].is_unavailable},
        lacking={name: frozenset(records[name].missing) for name in rows},
        gone=tuple(name for name in state.gone if name in rows),
        ignored=state.ignored,
        read=read,
    )


def _find_replaced(names: Iterable[str]) -> dict[str, str]:
    """Return older productions of granules, each with the newest."""
    productions: dict[tuple[int, int, int], list[str]] = {}
    for name in names:
        productions.setdefault(parse_granule_name(name).acquisition, []).append(name)
    replaced = {}
    for several in productions.values():
        *older, newest = sorted(several, key=lambda name: (parse_granule_name(name).rank, name))
        replaced.update(dict.fromkeys(older, newest))
    return dict(sorted(replaced.items()))
