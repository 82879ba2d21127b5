"""The run history: connections are kept, files stay Dagster's, threads and processes share them."""

import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent, EngineEventData, StepMaterializationData
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.utils import make_new_run_id

from factory_pipeline.runs import history, instance
from factory_pipeline.runs.history import FactoryInstance, instance_in
from factory_pipeline.runs.instance import environment_of, open_instance, prepare_home
from factory_pipeline.storage.layout import FactoryHome


@dg.asset(check_specs=[dg.AssetCheckSpec("is_whole", asset="tile")])
def tile() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def materialize_tile(opened: dg.DagsterInstance) -> str:
    """Run a job in an instance, and give the id of the run."""
    result = dg.materialize([tile], instance=opened)
    assert result.success
    return result.run_id


def report(opened: dg.DagsterInstance, run_id: str, message: str) -> None:
    """Write one event of a run."""
    said = DagsterEvent(
        event_type_value=dg.DagsterEventType.ENGINE_EVENT.value,
        job_name="tiles",
        message=message,
        event_specific_data=EngineEventData(),
    )
    opened.report_dagster_event(said, run_id=run_id)


def with_dagsters_own_storage(folder: Path) -> dg.DagsterInstance:
    """The instance in a folder as Dagster opens it where there is no `dagster.yaml`."""
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), config_filename="none.yaml"))


def messages(opened: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.dagster_event.message or "" for entry in opened.all_logs(run_id) if entry.dagster_event]


def open_files(folder: Path) -> list[str]:
    """The names of the files below a folder that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink()
        except FileNotFoundError:
            continue
        if target.is_relative_to(folder):
            found.append(target.name)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FactoryHome:
    """A prepared home for all tests of this module; each uses runs of its own."""
    home = FactoryHome(tmp_path_factory.mktemp("history"))
    prepare_home(home)
    return home


@pytest.fixture
def opened(made: FactoryHome) -> Iterator[dg.DagsterInstance]:
    with open_instance(made) as opened:
        yield opened


def test_a_run_opens_few_connections(opened: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    materialize_tile(opened)
    connections = []
    connect = sqlite3.dbapi2.connect

    def counted(*given: object, **named: object) -> sqlite3.Connection:
        connections.append(given[0])
        return connect(*given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    run_id = materialize_tile(opened)
    assert [Path(str(path)).name for path in connections] == [f"{run_id}.db"]


def test_only_the_runs_used_last_stay_open_and_dispose_closes_all(made: FactoryHome) -> None:
    runs = [make_new_run_id() for _ in range(3 * history.MOST_OPEN_RUNS)]
    with open_instance(made) as opened:
        for run_id in runs:
            report(opened, run_id, "one")
        still = {name for name in open_files(made.dagster) if name.endswith(".db")}
        assert still - {"index.db", "runs.db", "schedules.db"} == {
            f"{run_id}.db" for run_id in runs[-history.MOST_OPEN_RUNS :]
        }
        report(opened, runs[0], "two")
        assert messages(opened, runs[0]) == ["one", "two"]
    assert open_files(made.dagster) == []


def test_threads_share_the_history(opened: dg.DagsterInstance) -> None:
    runs = [make_new_run_id() for _ in range(history.MOST_OPEN_RUNS + 4)]

    def write(number: int) -> None:
        report(opened, runs[number % len(runs)], str(number))
        opened.get_runs(limit=1)
        opened.add_dynamic_partitions("tiles", [str(number)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(240)))
    for at, run_id in enumerate(runs):
        expected = [number for number in range(240) if number % len(runs) == at]
        assert sorted(map(int, messages(opened, run_id))) == expected
    assert len(opened.get_dynamic_partitions("tiles")) == 240


def _write_in(folder: Path, run_id: str, name: str, dagsters_own: bool) -> None:
    with (with_dagsters_own_storage if dagsters_own else instance_in)(folder) as opened:
        for number in range(40):
            report(opened, run_id, f"{name} {number}")
        materialize_tile(opened)


@pytest.mark.parametrize("dagsters_own", [False, True])
def test_processes_share_the_history(made: FactoryHome, dagsters_own: bool) -> None:
    run_id = make_new_run_id()
    spawn = multiprocessing.get_context("spawn")
    given = made.dagster, run_id, "other", dagsters_own
    other = spawn.Process(target=_write_in, args=given)
    with open_instance(made) as opened:
        before = len(opened.fetch_materializations(dg.AssetKey("tile"), limit=1000).records)
        other.start()
        for number in range(40):
            report(opened, run_id, f"this {number}")
        materialize_tile(opened)
        other.join(300)
        assert other.exitcode == 0
        assert sorted(messages(opened, run_id)) == sorted(
            f"{name} {number}" for name in ("this", "other") for number in range(40)
        )
        assert len(opened.fetch_materializations(dg.AssetKey("tile"), limit=1000).records) == before + 2


def test_a_forked_process_opens_connections_of_its_own(opened: dg.DagsterInstance) -> None:
    run_id = make_new_run_id()
    report(opened, run_id, "parent")
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=report, args=(opened, run_id, "child"))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    report(opened, run_id, "parent again")
    assert messages(opened, run_id) == ["parent", "child", "parent again"]


def test_dagsters_own_class_and_this_one_read_each_others_files(tmp_path: Path) -> None:
    with with_dagsters_own_storage(tmp_path) as plain:
        assert type(plain.event_log_storage) is SqliteEventLogStorage
        old = materialize_tile(plain)
        expected = [entry.message for entry in plain.all_logs(old)]
    with instance_in(tmp_path) as opened:
        assert isinstance(opened.event_log_storage, history.EventLog)
        assert [entry.message for entry in opened.all_logs(old)] == expected
        new = [materialize_tile(opened), materialize_tile(opened)]
    with with_dagsters_own_storage(tmp_path) as plain:
        assert [run.run_id for run in plain.get_runs()] == [*reversed(new), old]
        assert len(plain.all_logs(new[0])) == len(plain.all_logs(new[1])) == len(expected)
        assert len(plain.fetch_materializations(dg.AssetKey("tile"), limit=9).records) == 3
    schemas = {run_id: _schema(tmp_path / "history" / "runs" / f"{run_id}.db") for run_id in (old, *new)}
    assert schemas[new[0]] == schemas[new[1]] == schemas[old]


def _schema(path: Path) -> tuple[list[object], ...]:
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        journal = connection.execute("PRAGMA journal_mode").fetchall()
    connection.close()
    return tables, revision, journal


def test_a_run_whose_file_was_deleted_starts_anew(opened: dg.DagsterInstance, made: FactoryHome) -> None:
    run_id = make_new_run_id()
    report(opened, run_id, "lost")
    for path in (made.dagster / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink()
    report(opened, run_id, "kept")
    assert messages(opened, run_id) == ["kept"]


def test_the_file_of_a_run_can_be_made_before_there_is_a_home(
    made: FactoryHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history.EventLog, "_empty", None)
    history.EventLog.keep_empty()
    with monkeypatch.context() as patched, open_instance(made) as opened:
        patched.setattr(history.EventLog, "_initdb", None)
        report(opened, run_id := make_new_run_id(), "one")
        assert messages(opened, run_id) == ["one"]
    [kept] = made.dagster.rglob(f"{run_id}.db")
    with with_dagsters_own_storage(tmp_path) as own:
        report(own, run_id, "one")
        [dagsters] = tmp_path.rglob(f"{run_id}.db")
    assert _schema(kept) == _schema(dagsters)


def test_wiped_history_is_empty_and_goes_on(tmp_path: Path) -> None:
    with instance_in(tmp_path) as opened:
        run_id = materialize_tile(opened)
        opened.event_log_storage.wipe()
        assert list(opened.all_logs(run_id)) == []
        assert opened.fetch_materializations(dg.AssetKey("tile"), limit=9).records == []
        materialize_tile(opened)
        assert len(opened.fetch_materializations(dg.AssetKey("tile"), limit=9).records) == 1


def test_who_follows_a_run_sees_each_event_while_its_file_is_open(made: FactoryHome) -> None:
    run_id = make_new_run_id()
    seen: list[str] = []
    with open_instance(made) as writer, with_dagsters_own_storage(made.dagster) as web_server:
        report(writer, run_id, "first")
        web_server.watch_event_logs(
            run_id, None, lambda entry, _: seen.append(entry.get_dagster_event().message or "")
        )
        for number in range(3):
            report(writer, run_id, str(number))
            until = time.monotonic() + 60
            while str(number) not in seen and time.monotonic() < until:
                time.sleep(0.01)
            assert seen == ["first", "0", "1", "2"][: number + 2]


def test_an_unchanged_file_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    home.dagster.mkdir()
    file = home.dagster / "dagster.yaml"
    shipped = (resources.files("factory_pipeline.runs") / "dagster.yaml").read_text()
    own = shipped[: shipped.index("instance_class:")] + shipped[shipped.index("telemetry:") :]
    file.write_text(own)
    assert hashlib.sha256(own.encode()).hexdigest() in instance.SHIPPED_BEFORE
    prepare_home(home)
    assert file.read_text() == shipped

    changed = own.replace("max_concurrent_runs: 4", "max_concurrent_runs: 2")
    file.write_text(changed)
    prepare_home(home)
    assert file.read_text() == changed
    with open_instance(home) as opened:
        assert isinstance(opened.event_log_storage, history.EventLog)
        queue = opened.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 2


def test_a_storage_of_ones_own_is_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump({"storage": {"sqlite": {"base_dir": str(elsewhere)}}})
    )
    with instance_in(tmp_path) as opened:
        assert isinstance(opened, FactoryInstance)
        materialize_tile(opened)
    assert (elsewhere / "history" / "runs" / "index.db").exists()
    assert not (tmp_path / "history").exists()


def test_daemon_and_web_server_use_it_too(made: FactoryHome) -> None:
    """They read `dagster.yaml` by themselves, and hand it on to the processes of runs."""
    asked = (
        "import dagster as dg\n"
        "opened = dg.DagsterInstance.get()\n"
        "with dg.DagsterInstance.from_ref(opened.get_ref()) as handed_on:\n"
        "    print(type(handed_on).__name__, type(handed_on.event_log_storage).__name__)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, **environment_of(made)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["FactoryInstance", "EventLog"]


FIELD = dg.AssetKey("field")
NORTH = dg.AssetRecordsFilter(FIELD, ["north"])


@dg.asset(
    name="field",
    partitions_def=dg.StaticPartitionsDefinition(["north", "south"]),
    check_specs=[dg.AssetCheckSpec(name, asset=FIELD) for name in "abcdefgh"],
)
def field() -> dg.MaterializeResult:
    return dg.MaterializeResult(
        check_results=[dg.AssetCheckResult(passed=True, check_name=name) for name in "abcdefgh"]
    )


def materialize_field(opened: dg.DagsterInstance, partition: str) -> str:
    """Run a job with eight checks, and give the id of the run."""
    result = dg.materialize([field], instance=opened, partition_key=partition)
    assert result.success
    return result.run_id


def last_runs(opened: dg.DagsterInstance) -> list[str]:
    """The run that made the north last, as it is answered; none after it was wiped."""
    return [record.run_id for record in opened.fetch_materializations(NORTH, limit=1).records]


def test_the_last_materialisation_of_a_partition_is_right_whoever_wrote_or_deleted_it(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    prepare_home(home)
    with open_instance(home) as opened, with_dagsters_own_storage(home.dagster) as others:
        assert last_runs(opened) == []
        first = materialize_field(opened, "north")
        materialize_field(opened, "south")
        assert last_runs(opened) == last_runs(others) == [first]
        second = materialize_field(others, "north")
        assert last_runs(opened) == last_runs(opened) == [second]
        others.wipe_assets([FIELD])
        assert last_runs(opened) == last_runs(others) == []
        third = materialize_field(others, "north")
        assert last_runs(opened) == [third]


def test_checks_name_the_materialisation_that_they_looked_at_and_read_it_once(
    opened: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialize_field(opened, "north")
    read = []
    answer = SqliteEventLogStorage.fetch_materializations

    def counted(*given: object) -> dg.EventRecordsResult:
        read.append(given)
        return answer(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteEventLogStorage, "fetch_materializations", counted)
    run_id = materialize_field(opened, "north")
    assert len(read) == 1
    evaluated = [
        entry.dagster_event.asset_check_evaluation_data
        for entry in opened.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if entry.dagster_event is not None
    ]
    assert len(evaluated) == 8
    assert {
        each.target_materialization_data.run_id for each in evaluated if each.target_materialization_data
    } == {run_id}


def test_what_an_event_tells_the_index_is_told_whole_or_not_at_all(
    opened: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("the disk is full")

    before = last_runs(opened)
    monkeypatch.setattr(SqliteEventLogStorage, "_store_asset_event", refused)
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="fields",
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(FIELD, partition="north")),
    )
    with pytest.raises(OSError, match="the disk is full"):
        opened.report_dagster_event(event, run_id=make_new_run_id())
    monkeypatch.undo()
    assert last_runs(opened) == before
    assert [materialize_field(opened, "north")] == last_runs(opened)
