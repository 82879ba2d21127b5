"""Every footprint of every granule, a Parquet file per granule; each granule is read once."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline.gedi.footprint_parquet import write_footprints
from factory_pipeline.gedi.granules import FOOTPRINT_SCHEMA, GranuleFile, list_granules, read_granule
from factory_pipeline.gedi.manifest import GranuleRecord, load_manifest, save_manifest
from factory_pipeline.gedi.remote import is_url
from factory_pipeline.storage import write_whole

WORTH_A_PROCESS = 256 << 20
"""Bytes of local granules that are read (at 100 to 200 MB/s) while a process starts and imports (1 s)."""
SAVE_EVERY = 100
"""Granules after which the manifest is written, so that a killed run loses little."""


@dataclass(frozen=True)
class Aggregation:
    """What the store of footprints holds after an aggregation, ordered by granule name."""

    files: tuple[Path, ...]
    """The Parquet files, one per granule that was read; columns as `read_granule` gives them."""
    granules: Mapping[str, int]
    """Footprints by granule file name."""
    set_aside: Mapping[str, str]
    """Why a granule is left out, by file name."""
    read: tuple[str, ...]
    """The granules that were opened by this very aggregation; the others were known."""

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
) -> Aggregation:
    """Read what is new in a folder or object-store prefix of granules into the folder `store`.

    A granule is read again only when its size or its time of modification (ETag) changed, when its
    Parquet file is missing, when a field is asked for that it was not read with, or when it could not
    be reached. A granule that can't be used is set aside with its reason; the others go on. The
    footprints of a granule that has left the source stay: they are known.

    Granules are read by `workers` processes (default: one per core), since HDF5 works behind a lock, or by as
    many threads where there is too little to read; a worker holds one granule in memory. `on_granule` is told
    one sentence for each granule that was read.

    Raises:
        GranuleError: there is no such source, it holds no granule, or a reading process died.
        GranuleUnavailableError: the object store can't be listed.
    """
    asked = _asked(extra_fields)
    listed = list_granules(source)
    records = load_manifest(store)
    _forget_vanished_failures(records, listed)
    pending = [granule for granule in listed if not _is_known(granule, records, asked, store)]
    try:
        for done, (granule, record) in enumerate(_read_all(pending, asked, store, workers), start=1):
            records[granule.name] = record
            if on_granule is not None:
                on_granule(f"{_outcome(granule, record)} ({done} of {len(pending)})")
            if done % SAVE_EVERY == 0:
                save_manifest(store, records)
    finally:
        save_manifest(store, records)
    return _summary(records, asked, store, tuple(granule.name for granule in pending))


def unread_granules(source: str, store: Path, extra_fields: Sequence[str] = ()) -> list[GranuleFile]:
    """The granules that an aggregation would read now, ordered by name.

    Raises:
        GranuleError, GranuleUnavailableError: as `aggregate_granules`.
    """
    asked = _asked(extra_fields)
    records = load_manifest(store)
    return [granule for granule in list_granules(source) if not _is_known(granule, records, asked, store)]


def read_aggregation(store: Path, extra_fields: Sequence[str] = ()) -> Aggregation:
    """What earlier aggregations put into the folder `store`; opens no granule.

    Raises:
        GranuleError: the manifest can't be read.
    """
    return _summary(load_manifest(store), _asked(extra_fields), store, ())


def _asked(extra_fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in extra_fields if name not in FOOTPRINT_SCHEMA))


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
) -> Iterator[tuple[GranuleFile, GranuleRecord]]:
    pool = _workers(pending, workers or os.cpu_count() or 1)
    try:
        reading = {pool.submit(_read_into, granule, asked, store): granule for granule in pending}
        for finished in as_completed(reading):
            yield reading[finished], finished.result()
    except BrokenProcessPool as error:
        raise GranuleError(
            "A process that read granules died, perhaps for want of memory; run again with fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _workers(pending: Sequence[GranuleFile], workers: int) -> Executor:
    """Processes where they pay: remote granules are waited for, local ones must outweigh the start."""
    volume = sum(granule.size for granule in pending)
    is_remote = any(is_url(granule.source) for granule in pending)
    processes = min(workers, len(pending), len(pending) if is_remote else volume // WORTH_A_PROCESS)
    if processes > 1:
        return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    return ThreadPoolExecutor(workers, thread_name_prefix="granules")


def _read_into(granule: GranuleFile, asked: tuple[str, ...], store: Path) -> GranuleRecord:
    """Read one granule into its Parquet file; runs in a worker."""
    target = _parquet_of(granule.name, store)
    try:
        footprints = read_granule(granule, asked)
    except GranuleError as error:
        target.unlink(missing_ok=True)
        version = "" if isinstance(error, GranuleUnavailableError) else granule.version
        return GranuleRecord(granule.size, version, asked, reason=str(error))
    with write_whole(target) as temporary:
        write_footprints(temporary, footprints)
    return GranuleRecord(granule.size, granule.version, asked, rows=footprints.height)


def _outcome(granule: GranuleFile, record: GranuleRecord) -> str:
    if record.reason is not None:
        return f"{granule.name} is set aside: {record.reason}"
    return f"{granule.name}: {record.rows} footprints."


def _summary(
    records: Mapping[str, GranuleRecord], asked: tuple[str, ...], store: Path, read: tuple[str, ...]
) -> Aggregation:
    rows: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name, record in sorted(records.items()):
        if record.rows is None:
            reasons[name] = record.reason or ""
        elif not record.has_fields(asked) or not _parquet_of(name, store).exists():
            reasons[name] = f"The granule {name} must be read again but is no longer in the source."
        else:
            rows[name] = record.rows
    return Aggregation(tuple(_parquet_of(name, store) for name in rows), rows, reasons, read)
