"""Several processes on one registry at once, and processes that are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.records import AnnotationSource, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import (
    KEY,
    MANIFEST,
    SPEC,
    add_collection,
    finish,
    let_leases_run_out,
    living_leases,
    move_holders_elsewhere,
    numbers,
    ready_dataset,
    wait_for,
)

pytestmark = pytest.mark.integration

PROCESSES = 3
ROUNDS = 5
READS = 20
SPAWN = multiprocessing.get_context("spawn")

AtOnce = Callable[[Callable[[str], str], str], list[str]]

_start: Barrier


def _set_start(barrier: Barrier) -> None:
    global _start
    _start = barrier


def _work(work: Callable[[str], str], where: str) -> str:
    _start.wait(timeout=60)
    try:
        return work(where)
    except RegistryError as error:
        return f"refused: {error}"


@pytest.fixture(scope="module")
def at_once() -> Iterator[AtOnce]:
    """Call it with a piece of work: what each process answered that began it at the same moment, sorted."""
    barrier = SPAWN.Barrier(PROCESSES)
    with ProcessPoolExecutor(
        PROCESSES, mp_context=SPAWN, initializer=_set_start, initargs=(barrier,)
    ) as pool:

        def run(work: Callable[[str], str], where: str) -> list[str]:
            return sorted(pool.map(_work, [work] * PROCESSES, [where] * PROCESSES))

        yield run


def _register(where: str) -> str:
    return str(Registry.open(where).register_upload(KEY, MANIFEST))


def test_a_new_registry_may_be_opened_by_several_at_once(at_once: AtOnce, where: str) -> None:
    assert at_once(_register, where) == ["False", "False", "True"]
    assert Registry.open(where).upload(KEY).manifest == MANIFEST


def _revise(where: str) -> str:
    registry = Registry.open(where)
    [dataset] = registry.datasets()
    source = registry.versions(dataset.id)[0]
    made = []
    for _ in range(ROUNDS):
        with registry.new_version(source.id, SPEC, revision=True) as version:
            finish(registry, version)
        made.append(version.number)
    return " ".join(made)


def test_writers_at_once_all_succeed_with_numbers_of_their_own(
    at_once: AtOnce, registry: Registry, where: str
) -> None:
    first = ready_dataset(registry)
    made = " ".join(at_once(_revise, where)).split()
    assert sorted(["1.0.0", *made]) == sorted(numbers(registry, first.dataset_id))
    assert sorted(version.patch for version in registry.versions(first.dataset_id)) == [
        *range(1 + PROCESSES * ROUNDS)
    ]
    assert {version.state for version in registry.versions(first.dataset_id)} == {VersionState.READY}


def _create(where: str) -> str:
    return ready_dataset(Registry.open(where), "Balloons").number


def test_of_datasets_of_one_name_at_once_one_is_made(at_once: AtOnce, registry: Registry, where: str) -> None:
    made, *refused = at_once(_create, where)
    assert made == "1.0.0"
    assert all("The dataset name 'Balloons' is in use" in answer for answer in refused)
    assert len(registry.datasets()) == 1


def _add(where: str) -> str:
    return add_collection(Registry.open(where)).id


def test_the_same_content_at_once_is_one_collection(at_once: AtOnce, registry: Registry, where: str) -> None:
    ids = at_once(_add, where)
    assert {collection.id for collection in registry.collections()} == set(ids)
    assert len(set(ids)) == 1


def _annotate(where: str) -> str:
    registry = Registry.open(where)
    [collection] = registry.collections()
    return registry.add_operation(collection.id, AnnotationSource.HUMAN, path="boxes.parquet").id


def test_the_same_annotations_at_once_are_one_operation(
    at_once: AtOnce, registry: Registry, where: str
) -> None:
    collection = add_collection(registry)
    ids = at_once(_annotate, where)
    assert [operation.id for operation in registry.operations(collection.id)] == ids[:1]
    assert len(set(ids)) == 1


def _read_and_delete(where: str) -> str:
    """How often a file was gone from under the reader of its version."""
    registry = Registry.open(where)
    [dataset] = registry.datasets()
    lost = 0
    for version in registry.versions(dataset.id, with_deleted=True)[1:]:
        manifest = Path(str(version.manifest_path))
        with suppress(RegistryError), registry.reading(version.id):  # another one deletes it
            for _ in range(READS):
                lost += not manifest.exists()
                time.sleep(0.002)
        with suppress(RegistryError), registry.deleting(version.id):  # another one reads or has deleted it
            manifest.unlink(missing_ok=True)
    return f"lost {lost}"


def test_no_file_is_removed_under_the_reader_of_its_version(
    at_once: AtOnce, registry: Registry, where: str, tmp_path: Path
) -> None:
    first = ready_dataset(registry)
    for _ in range(ROUNDS):
        with registry.new_version(first.id, SPEC, revision=False) as version:
            manifest = tmp_path / f"{version.id}.parquet"
            manifest.touch()
            registry.finish_version(version.id, manifest_path=str(manifest), content_hash="h")
    assert at_once(_read_and_delete, where) == ["lost 0"] * PROCESSES
    states = {
        version.manifest_path: version.state
        for version in registry.versions(first.dataset_id, with_deleted=True)[1:]
    }
    assert len(states) == ROUNDS
    for path, state in states.items():
        assert Path(str(path)).exists() == (state is VersionState.READY)
    assert living_leases(where) == 0


def _hold_writing(where: str) -> None:
    with Registry.open(where).create_dataset("Balloons", SPEC):
        signal.pause()


def _hold_reading(where: str) -> None:
    registry = Registry.open(where)
    [dataset] = registry.datasets()
    with registry.reading(registry.versions(dataset.id)[0].id):
        signal.pause()


def _killed_while_holding(hold: Callable[[str], None], where: str) -> int:
    """Kill a process that holds a lease; its process id."""
    process = SPAWN.Process(target=hold, args=(where,))
    process.start()
    wait_for(lambda: living_leases(where) == 1)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    return process.pid or 0


def _hold_exporting(where: str) -> None:
    registry = Registry.open(where)
    [dataset] = registry.datasets()
    with registry.exporting(registry.versions(dataset.id)[0].id, "RAW"):
        signal.pause()


def test_a_killed_writer_leaves_nothing(registry: Registry, where: str) -> None:
    _killed_while_holding(_hold_writing, where)
    version = ready_dataset(registry, "Balloons")
    assert registry.versions(version.dataset_id, with_deleted=True) == [version]
    assert len(registry.datasets()) == 1


def test_a_killed_reader_holds_nothing(registry: Registry, where: str) -> None:
    version = ready_dataset(registry)
    _killed_while_holding(_hold_reading, where)
    with registry.deleting(version.id):
        pass
    assert registry.version(version.id).state is VersionState.DELETED


def test_the_export_of_a_killed_process_is_taken_over(registry: Registry, where: str) -> None:
    version = ready_dataset(registry)
    _killed_while_holding(_hold_exporting, where)
    with registry.exporting(version.id, "RAW") as begun:
        registry.finish_export(begun.id, path="exports/raw", content_hash="e0")
    assert [export.id for export in registry.exports(version.id)] == [begun.id]


def test_a_writer_killed_elsewhere_leaves_nothing_once_its_lease_has_run_out(
    registry: Registry, where: str
) -> None:
    killed = _killed_while_holding(_hold_writing, where)
    move_holders_elsewhere(where)
    with pytest.raises(RegistryError, match=rf"elsewhere:{killed} is writing it \(its name is free at"):
        ready_dataset(registry, "Balloons")
    let_leases_run_out(where)
    version = ready_dataset(registry, "Balloons")
    assert registry.versions(version.dataset_id, with_deleted=True) == [version]
    assert len(registry.datasets()) == 1


def test_a_reader_killed_elsewhere_holds_its_version_until_its_lease_has_run_out(
    registry: Registry, where: str
) -> None:
    version = ready_dataset(registry)
    killed = _killed_while_holding(_hold_reading, where)
    move_holders_elsewhere(where)
    with pytest.raises(RegistryError, match=rf"is being read by elsewhere:{killed}; "):
        registry.deleting(version.id).__enter__()
    let_leases_run_out(where)
    with registry.deleting(version.id):
        pass
    assert registry.version(version.id).state is VersionState.DELETED
