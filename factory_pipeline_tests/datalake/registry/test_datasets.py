"""Datasets, their versions and numbers, and who may read or delete them."""

import pytest

from factory_pipeline.datalake.registry import leases
from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import (
    SPEC,
    finish,
    let_leases_run_out,
    living_leases,
    numbers,
    ready_dataset,
    wait_for,
)


def test_a_dataset_begins_with_version_1_0_0(registry: Registry) -> None:
    version = ready_dataset(registry, "  Balloons Dataset ")
    dataset = registry.dataset("Balloons Dataset")
    assert registry.datasets() == [dataset]
    assert registry.dataset(dataset.id) == dataset
    assert registry.versions(dataset.id) == [version] == [registry.version(version.id)]
    assert (version.number, version.state, version.spec) == ("1.0.0", VersionState.READY, SPEC)
    assert (version.dataset_id, version.source_version_id) == (dataset.id, None)
    assert version.manifest_path == f"versions/{version.id}.parquet"


def test_the_ids_of_all_versions_are_known_also_of_those_that_are_written_or_deleted(
    registry: Registry,
) -> None:
    deleted = ready_dataset(registry, "Floods")
    with registry.deleting(deleted.id):
        pass
    with registry.create_dataset("Balloons", SPEC) as version:
        assert registry.version_ids() == {deleted.id, version.id}
        finish(registry, version)


@pytest.mark.parametrize("name", ["", "  \n"])
def test_a_dataset_needs_a_name(registry: Registry, name: str) -> None:
    with pytest.raises(RegistryError, match="must not be empty"), registry.create_dataset(name, SPEC):
        pytest.fail("the block was entered")


def test_a_name_is_taken_while_its_dataset_lives(registry: Registry) -> None:
    version = ready_dataset(registry, "Balloons")
    with (
        pytest.raises(RegistryError, match="The dataset name 'Balloons' is in use; use another name"),
        registry.create_dataset("Balloons", SPEC),
    ):
        pytest.fail("the block was entered")
    with registry.deleting(version.id):
        pass
    assert registry.datasets() == []
    assert ready_dataset(registry, "Balloons").number == "1.0.0"
    assert registry.dataset(version.dataset_id).deleted_at is not None
    assert registry.dataset("Balloons").id != version.dataset_id


def test_a_new_version_counts_the_middle_number_and_a_revision_the_last(registry: Registry) -> None:
    first = ready_dataset(registry)

    def next_of(source_id: str, *, revision: bool) -> str:
        with registry.new_version(source_id, SPEC, revision=revision) as version:
            made[version.number] = finish(registry, version).id
        assert registry.version(made[version.number]).source_version_id == source_id
        return version.number

    made: dict[str, str] = {"1.0.0": first.id}
    assert next_of(made["1.0.0"], revision=True) == "1.0.1"
    assert next_of(made["1.0.0"], revision=True) == "1.0.2"
    assert next_of(made["1.0.1"], revision=False) == "1.1.0"
    assert next_of(made["1.1.0"], revision=True) == "1.1.1"
    assert next_of(made["1.0.0"], revision=False) == "1.2.0"
    assert next_of(made["1.0.2"], revision=True) == "1.0.3"
    assert numbers(registry, first.dataset_id) == [
        "1.0.0",
        "1.0.1",
        "1.0.2",
        "1.0.3",
        "1.1.0",
        "1.1.1",
        "1.2.0",
    ]


def test_numbers_are_ordered_as_numbers(registry: Registry) -> None:
    version = ready_dataset(registry)
    for _ in range(10):
        with registry.new_version(version.id, SPEC, revision=True) as revision:
            finish(registry, revision)
    assert numbers(registry, version.dataset_id)[-2:] == ["1.0.9", "1.0.10"]


def test_the_number_of_a_deleted_version_is_not_given_again(registry: Registry) -> None:
    first = ready_dataset(registry)
    with registry.new_version(first.id, SPEC, revision=False) as second:
        finish(registry, second)
    with registry.deleting(second.id):
        pass
    assert [version.number for version in registry.versions(first.dataset_id, with_deleted=True)] == [
        "1.0.0",
        "1.1.0",
    ]
    with registry.new_version(first.id, SPEC, revision=False) as third:
        assert third.number == "1.2.0"
        finish(registry, third)


def test_a_writer_that_fails_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.create_dataset("Balloons", SPEC):
        raise ZeroDivisionError
    with pytest.raises(RegistryError, match="no dataset 'Balloons'"):
        registry.dataset("Balloons")
    first = ready_dataset(registry, "Balloons")
    with pytest.raises(ZeroDivisionError), registry.new_version(first.id, SPEC, revision=False):
        raise ZeroDivisionError
    assert registry.versions(first.dataset_id, with_deleted=True) == [first]


def test_a_writer_that_forgets_to_finish_is_told_and_leaves_nothing(registry: Registry) -> None:
    with (
        pytest.raises(RegistryError, match="finish_version must be called"),
        registry.create_dataset("Balloons", SPEC),
    ):
        pass
    assert registry.datasets() == []


def test_a_version_that_is_being_written_is_neither_source_nor_read_nor_deleted(registry: Registry) -> None:
    with registry.create_dataset("Balloons", SPEC) as version:
        with pytest.raises(RegistryError, match="is writing; only a ready version"):
            registry.reading(version.id).__enter__()
        with pytest.raises(RegistryError, match="is writing; only a ready version"):
            registry.new_version(version.id, SPEC, revision=True).__enter__()
        with pytest.raises(RegistryError, match="is writing and can't be deleted"):
            registry.deleting(version.id).__enter__()
        with pytest.raises(RegistryError, match=r"is writing it .* use another name"):
            registry.create_dataset("Balloons", SPEC).__enter__()
        finish(registry, version)


def test_a_ready_version_cant_be_changed(registry: Registry) -> None:
    version = ready_dataset(registry)
    with pytest.raises(RegistryError, match="is ready and can't be finished"):
        registry.finish_version(version.id, manifest_path="other", content_hash="other")
    assert registry.version(version.id) == version


def test_a_finished_version_is_free_to_be_deleted(registry: Registry, where: str) -> None:
    with registry.create_dataset("Balloons", SPEC) as version:
        finish(registry, version)
        assert living_leases(where) == 0
        with registry.deleting(version.id):
            pass
    assert registry.datasets() == []


def test_datasets_are_listed_by_name(registry: Registry) -> None:
    for name in ("b", "A", "a", "B", "ä"):
        ready_dataset(registry, name)
    assert [dataset.name for dataset in registry.datasets()] == ["A", "B", "a", "b", "ä"]


def test_a_failure_after_the_finish_leaves_the_ready_version(registry: Registry) -> None:
    def write() -> None:
        with registry.create_dataset("Balloons", SPEC) as version:
            finish(registry, version)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    [version] = registry.versions(registry.dataset("Balloons").id)
    assert version.state is VersionState.READY


def test_what_a_dead_writer_left_is_cleared_when_the_next_one_begins(registry: Registry, where: str) -> None:
    dead = registry.create_dataset("Balloons", SPEC)
    left = dead.__enter__()
    let_leases_run_out(where)
    assert registry.version(left.id).state is VersionState.WRITING
    version = ready_dataset(registry, "Balloons")
    assert registry.versions(version.dataset_id, with_deleted=True) == [version]
    with pytest.raises(RegistryError, match="no dataset version"):
        finish(registry, left)
    dead.__exit__(None, None, None)
    assert registry.datasets() == [registry.dataset(version.dataset_id)]


def test_a_slow_writer_that_nobody_cleared_can_still_finish(registry: Registry, where: str) -> None:
    with registry.create_dataset("Balloons", SPEC) as version:
        let_leases_run_out(where)
        finish(registry, version)
    assert registry.version(version.id).state is VersionState.READY


def test_a_version_that_is_being_read_cant_be_deleted(registry: Registry) -> None:
    version = ready_dataset(registry)
    with registry.reading(version.id) as read, registry.reading(version.id):
        assert read == version
        with pytest.raises(
            RegistryError, match=r"\(1\.0\.0\) is being read by .*; delete it when that has ended"
        ):
            registry.deleting(version.id).__enter__()
    with registry.deleting(version.id) as gone:
        assert gone == version
    assert registry.version(version.id).state is VersionState.DELETED


def test_a_reader_that_died_does_not_keep_the_version_for_ever(registry: Registry, where: str) -> None:
    version = ready_dataset(registry)
    with registry.reading(version.id):
        let_leases_run_out(where)
        with registry.deleting(version.id):
            pass
    assert registry.version(version.id).state is VersionState.DELETED


def test_nobody_reads_a_version_whose_files_are_being_removed(registry: Registry) -> None:
    version = ready_dataset(registry)
    with registry.deleting(version.id):
        with pytest.raises(RegistryError, match="is deleting; only a ready version"):
            registry.reading(version.id).__enter__()
        with pytest.raises(RegistryError, match="is deleting; only a ready version"):
            registry.new_version(version.id, SPEC, revision=True).__enter__()
    with pytest.raises(RegistryError, match="is deleted; only a ready version"):
        registry.reading(version.id).__enter__()
    with pytest.raises(RegistryError, match="is deleted and can't be deleted"):
        registry.deleting(version.id).__enter__()


def test_a_deletion_that_failed_can_be_taken_up_again(registry: Registry) -> None:
    version = ready_dataset(registry)
    with pytest.raises(OSError, match="disk"), registry.deleting(version.id):
        raise OSError("disk")
    assert registry.version(version.id).state is VersionState.DELETING
    with registry.deleting(version.id):
        pass
    assert registry.version(version.id).state is VersionState.DELETED


def test_a_dataset_ends_with_its_last_version_also_when_that_was_never_finished(registry: Registry) -> None:
    first = ready_dataset(registry, "Balloons")

    def delete_the_source_and_fail() -> None:
        with registry.new_version(first.id, SPEC, revision=True):
            with registry.deleting(first.id):
                pass
            assert [dataset.name for dataset in registry.datasets()] == ["Balloons"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete_the_source_and_fail()
    assert registry.datasets() == []


def test_a_lease_is_moved_on_while_its_holder_lives(
    registry: Registry, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = ready_dataset(registry)
    monkeypatch.setattr(leases, "RENEWAL", leases.RENEWAL / 1000)
    with registry.reading(version.id):
        let_leases_run_out(where)
        wait_for(lambda: living_leases(where) == 1)
        with pytest.raises(RegistryError, match="is being read by"):
            registry.deleting(version.id).__enter__()
    assert living_leases(where) == 0


def test_an_unknown_version_or_dataset_is_an_error_that_names_it(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="no dataset version 'nowhere'"):
        registry.version("nowhere")
    with pytest.raises(RegistryError, match="no dataset version 'nowhere'"):
        registry.reading("nowhere").__enter__()
    with pytest.raises(RegistryError, match="no dataset 'nowhere'"):
        registry.dataset("nowhere")
