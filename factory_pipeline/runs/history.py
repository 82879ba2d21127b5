"""The run history of a home: Dagster's own SQLite files, with connections that stay open.

Dagster's SQLite storage makes a SQLAlchemy engine and a connection for every single call, some 500 for a
small upload, and compiles each statement anew; the last connection that is closed writes SQLite's log back
into the database and deletes it. That took more time than onboarding the upload. The classes here keep an
engine, and with it a connection, for each file. Files and tables are Dagster's, so its own classes read them
too, and several processes may work on them at the same time: a transaction still ends with each call.

`dagster.yaml` of every home names `FactoryInstance`, so the module and the class must stay where they are.
"""

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple, Self, cast

import dagster as dg
import yaml
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from factory_pipeline.storage.stored_path import is_of_store

MOST_OPEN_RUNS = 8
"""Files of single runs that stay open. A process writes few runs at a time, and seldom reads older ones."""
KEPT_CONNECTIONS = 2
"""Connections that stay open for each file; threads that need more get more for as long as they do."""
INDEXED_EVENTS = ASSET_EVENTS | ASSET_CHECK_EVENTS | set(EVENT_TYPE_TO_PIPELINE_RUN_STATUS)
"""Types of events that the index has too: assets, their checks, and how runs begin and end."""
LAST_OF_PARTITION = (
    "SELECT id, run_id, timestamp, (SELECT wipe_timestamp FROM asset_keys WHERE asset_key = ?)"
    " FROM event_logs"
    f" WHERE asset_key = ? AND dagster_event_type = '{dg.DagsterEventType.ASSET_MATERIALIZATION.value}'"
    " AND partition = ? ORDER BY id DESC LIMIT 1"
)
"""What tells one answer to the question for the last materialisation of a partition from another."""


def _partition_alone(records_filter: dg.AssetKey | dg.AssetRecordsFilter) -> str | None:
    """Return the partition of a filter that names an asset and one partition of it, and nothing else."""
    if isinstance(records_filter, dg.AssetKey) or len(records_filter.asset_partitions or ()) != 1:
        return None
    [partition] = records_filter.asset_partitions or ()
    plain = dg.AssetRecordsFilter(records_filter.asset_key, [partition])
    return partition if records_filter == plain else None


def _make_engine(conn_string: str) -> Engine:
    """Return an engine whose connections are used again, by any thread."""
    engine = create_engine(
        conn_string,
        poolclass=QueuePool,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # With SQLite's write-ahead log, which Dagster sets, this never breaks a database. Where the power
        # fails, the last events may be missing, as if the process had been killed a moment earlier.
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _write_new(path: Path, content: bytes) -> None:
    """Write a file at once, unless another process has made one there meanwhile."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        temporary.write_bytes(content)
        # A hard link never replaces a file. Where there are none, Dagster makes the tables.
        with suppress(OSError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


class _File(NamedTuple):
    """A file as the file system knows it, whatever is at its path later."""

    device: int
    number: int

    @classmethod
    def at(cls, path: str) -> Self | None:
        """Return the file at a path; None if there is none."""
        try:
            found = os.stat(path)  # noqa: PTH116  # some five times per event: without making a Path
        except FileNotFoundError:
            return None
        return cls(found.st_dev, found.st_ino)


class EventLog(SqliteEventLogStorage):
    """Dagster's event log, with one engine for the index and one for each of the runs used last.

    Dagster's lock lets one thread at a time into the log; that lock guards the kept engines too.
    """

    _empty: bytes | None = None
    """The file of a run without events; Dagster takes half a second to make one."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the log in a folder, and make its index where there is none."""
        self._engines: OrderedDict[str, tuple[Engine, _File | None]] = OrderedDict()
        self._process = os.getpid()
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        self._index: Connection | None = None
        self._latest: tuple[dg.AssetRecordsFilter, tuple[Any, ...], dg.EventRecordsResult] | None = None
        super().__init__(base_dir, inst_data)
        # Dagster's cannot be taken twice by one thread.
        self._db_lock = threading.RLock()  # type: ignore[assignment]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "EventLog":
        """Return the log that a configuration describes.

        Args:
            inst_data: Dagster's record of where the configuration is from.
            config_value: the keyword arguments of the constructor.
        """
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard == INDEX_SHARD_NAME and self._index is not None:
                yield self._index
                return
            with self._connect_anew(shard) as connection:
                yield connection

    @contextmanager
    def _connect_anew(self, shard: str) -> Iterator[Connection]:
        with self._engine(shard).connect() as connection:
            driver = cast(sqlite3.Connection, connection.connection.driver_connection)
            before = driver.total_changes
            with connection.begin():
                yield connection
            if shard != INDEX_SHARD_NAME and driver.total_changes != before:
                # Who follows a run in the web UI is told by the file system that its file has changed. While
                # a connection is open, what is written stays in the log beside the file.
                os.utime(self.path_for_shard(shard))

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event; what the index is told of it is one transaction, where Dagster has up to three.

        Args:
            event: of a run.
        """
        if not event.is_dagster_event or event.dagster_event_type not in INDEXED_EVENTS:
            super().store_event(event)
            return
        # The transaction begins, and waits for those of others, with the first change.
        with self._db_lock, self._connect_anew(INDEX_SHARD_NAME) as self._index:
            try:
                super().store_event(event)
            finally:
                self._index = None

    def fetch_materializations(
        self,
        records_filter: dg.AssetKey | dg.AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> dg.EventRecordsResult:
        """Return materialisations of an asset.

        For each check of an asset, Dagster asks twice for the last one of the check's partition. The answer
        is kept for as long as the index names the same one, whatever process wrote it.

        Args:
            records_filter: the asset, and what else they must agree with.
            limit: the most that are returned.
            cursor: of an earlier result, after which they come.
            ascending: oldest first.
        """
        partition = _partition_alone(records_filter)
        if partition is None or limit != 1 or cursor is not None or ascending:
            return super().fetch_materializations(records_filter, limit, cursor, ascending)
        assert isinstance(records_filter, dg.AssetRecordsFilter)
        asset_key = records_filter.asset_key.to_string()
        with self._db_lock:
            with self._connect(INDEX_SHARD_NAME) as connection:
                found = connection.exec_driver_sql(
                    LAST_OF_PARTITION, (asset_key, asset_key, partition)
                ).first()
            state = tuple(found) if found else ()
            if self._latest is None or self._latest[:2] != (records_filter, state):
                answer = super().fetch_materializations(records_filter, limit)
                self._latest = records_filter, state, answer
            return self._latest[2]

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():
            # A forked process must not touch the connections of its parent.
            for engine, _ in self._engines.values():
                engine.dispose(close=False)
            self._engines.clear()
            self._process = os.getpid()
        found = _File.at(self.path_for_shard(shard))
        kept, of_file = self._engines.get(shard, (None, None))
        if kept is not None and found is not None and of_file == found:
            self._engines.move_to_end(shard)
            return kept
        if kept is not None:
            # Another process deleted the file, and with it the tables.
            self._close(shard)
            self._initialized_dbs.discard(shard)
        if found is None:
            self._initialized_dbs.discard(shard)
        engine = _make_engine(self.conn_string_for_shard(shard))
        if shard not in self._initialized_dbs:
            self._make_tables(engine, shard)
            self._initialized_dbs.add(shard)
        self._engines[shard] = engine, _File.at(self.path_for_shard(shard))
        runs = [name for name in self._engines if name != INDEX_SHARD_NAME]
        for name in runs[:-MOST_OPEN_RUNS]:
            self._close(name)
        return engine

    def _make_tables(self, engine: Engine, shard: str) -> None:
        """Make the tables of a file where they are missing."""
        path = Path(self.path_for_shard(shard))
        is_new_run = shard != INDEX_SHARD_NAME and not path.exists()
        if is_new_run and EventLog._empty is not None:
            _write_new(path, EventLog._empty)
        with engine.connect() as connection:
            if (
                engine.dialect.has_table(connection, "alembic_version")
                and connection.execute(text("SELECT 1 FROM alembic_version")).first()
            ):
                return
        self._initdb(engine)
        if is_new_run:
            with engine.connect() as connection:
                if connection.execute(text("SELECT 1 FROM event_logs")).first() is None:
                    connection.rollback()
                    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
                    EventLog._empty = driver.serialize()

    @classmethod
    def keep_empty(cls) -> None:
        """Have Dagster make the file of a run without events, which this process and its forks then copy."""
        with TemporaryDirectory() as folder:
            # Named as the index is, which so is not made.
            Path(folder, f"{INDEX_SHARD_NAME}.db").touch()
            log = cls(folder)
            log._engine("empty")
            log.dispose()

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table; one that it has it keeps."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def _close(self, shard: str) -> None:
        engine, _ = self._engines.pop(shard)
        engine.dispose()

    def _close_all(self) -> None:
        with self._db_lock:
            for shard in list(self._engines):
                self._close(shard)

    def wipe(self) -> None:
        """Delete all events; the files of the runs are deleted, so none may stay open."""
        self._close_all()
        super().wipe()

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        self._close_all()


def _has_tables(path: Path) -> bool:
    """Return whether Dagster has made its tables in a file: it writes the number of its schema last."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as connection:
        found = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        return "alembic_version" in found and bool(
            connection.execute("SELECT 1 FROM alembic_version").fetchone()
        )


class _OneFile:
    """Keeps the connections of a storage that has one file; goes before Dagster's class."""

    _name: ClassVar[str]
    """The file's name, without its ending."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the file when it is first needed."""
        self._engine = _make_engine(conn_string)
        self._process = os.getpid()
        super().__init__(conn_string, inst_data)  # type: ignore[call-arg]

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """Return the storage in a folder; its file is made where there is none.

        Dagster reads all its migrations, some hundred files, to compare each file that it opens with the
        newest one; then it does nothing where the file names any.
        """
        conn_string = create_db_conn_string(base_dir, cls._name)
        if _has_tables(Path(base_dir) / f"{cls._name}.db"):
            return cls(conn_string, inst_data)
        return super().from_local(base_dir, inst_data)  # type: ignore[misc]

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection with a transaction that ends with the block."""
        if self._process != os.getpid():
            # A forked process must not touch the connections of its parent.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close all connections."""
        self._engine.dispose()


class RunTable(_OneFile, SqliteRunStorage):
    """Dagster's table of runs."""

    _name = "runs"


class ScheduleTable(_OneFile, SqliteScheduleStorage):
    """Dagster's tables of sensors, schedules and their ticks."""

    _name = "schedules"


class RunHistory(DagsterSqliteStorage):
    """All that Dagster stores in a home, in the files in which Dagster's own class stores it."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the storage in a folder, and make its files where there are none."""
        self.base_dir = base_dir
        self._run_storage = RunTable.from_local(_runs_directory(base_dir))
        self._event_log_storage = EventLog(_event_logs_directory(base_dir))
        self._schedule_storage = ScheduleTable.from_local(_schedule_directory(base_dir))
        self._inst_data = inst_data
        # Not Dagster's own initializer, which opens these files with its own classes.
        DagsterStorage.__init__(self)  # type: ignore[arg-type]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "RunHistory":
        """Return the storage that a configuration describes.

        Args:
            inst_data: Dagster's record of where the configuration is from.
            config_value: the keyword arguments of `from_local`.
        """
        return cls.from_local(inst_data=inst_data, **config_value)


class FactoryInstance(dg.DagsterInstance):
    """A Dagster instance that keeps its connections, unless its `dagster.yaml` names a storage."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Keys of `dagster.yaml` that only this class knows: none."""
        return {}

    @staticmethod
    def config_defaults(base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return what an instance is made of where its `dagster.yaml` does not say.

        Args:
            base_dir: the folder of the instance.
        """
        if is_of_store(Path(base_dir)):
            # Named, not imported: only who keeps a home on a store has the package for it.
            storage = ConfigurableClassData("factory_pipeline.runs.shared_history", "SharedHistory", "{}\n")
        else:
            storage = ConfigurableClassData(
                __name__, RunHistory.__name__, yaml.dump({"base_dir": base_dir}, default_flow_style=False)
            )
        return {**InstanceRef.config_defaults(base_dir), "storage": storage}


def instance_ref(folder: Path) -> InstanceRef:
    """Return what an instance is made of; it keeps connections also where its file names no class."""
    ref = InstanceRef.from_dir(str(folder))
    if ref.custom_instance_class_data is None:
        named = {"module": __name__, "class": FactoryInstance.__name__}
        ref = InstanceRef.from_dir(str(folder), overrides={"instance_class": named})
    return ref


def instance_in(folder: Path) -> dg.DagsterInstance:
    """Open the Dagster instance in a folder."""
    return dg.DagsterInstance.from_ref(instance_ref(folder))
