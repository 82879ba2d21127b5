"""Exports of a version."""

import pytest

from factory_pipeline.datalake.registry.records import Export, ExportState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import SPEC, let_leases_run_out, ready_dataset


def export(registry: Registry, version_id: str, export_type: str = "RAW") -> Export:
    """A ready export."""
    with registry.exporting(version_id, export_type) as begun:
        return registry.finish_export(begun.id, path=f"exports/{begun.id}", content_hash="e0")


def test_an_export_is_ready_once_it_is_finished(registry: Registry) -> None:
    version = ready_dataset(registry)
    with registry.exporting(version.id, "YOLO Darknet") as begun:
        assert registry.exports(version.id) == [begun]
        assert (begun.state, begun.path) == (ExportState.WRITING, None)
        ready = registry.finish_export(begun.id, path="exports/yolo", content_hash="e0")
    assert registry.exports(version.id) == [ready]
    assert (ready.state, ready.type, ready.path, ready.content_hash) == (
        "ready",
        "YOLO Darknet",
        "exports/yolo",
        "e0",
    )
    assert ready.lease_id is None


def test_a_version_has_one_export_per_format(registry: Registry) -> None:
    version = ready_dataset(registry)
    for export_type in ("YOLO Darknet", "RAW"):
        export(registry, version.id, export_type)
    assert [ready.type for ready in registry.exports(version.id)] == ["RAW", "YOLO Darknet"]
    with pytest.raises(RegistryError, match="is already exported as RAW, at exports/"):
        export(registry, version.id, "RAW")


def test_what_is_ready_is_listed_for_all_versions_at_once(registry: Registry) -> None:
    first, second = ready_dataset(registry, "one"), ready_dataset(registry, "two")
    ready_dataset(registry, "three")
    for version, export_type in ((first, "YOLO Darknet"), (first, "RAW"), (second, "COCO")):
        export(registry, version.id, export_type)
    with registry.exporting(second.id, "RAW") as begun:
        assert registry.ready_exports() == {first.id: ["RAW", "YOLO Darknet"], second.id: ["COCO"]}
        registry.finish_export(begun.id, path="exports/raw", content_hash="e0")


def test_two_cant_write_the_same_export_at_once(registry: Registry) -> None:
    version = ready_dataset(registry)
    with registry.exporting(version.id, "RAW") as begun:
        with pytest.raises(RegistryError, match="is being exported as RAW by"):
            registry.exporting(version.id, "RAW").__enter__()
        registry.finish_export(begun.id, path="exports/raw", content_hash="e0")


def test_an_export_that_fails_or_is_not_finished_leaves_nothing(registry: Registry) -> None:
    version = ready_dataset(registry)
    with pytest.raises(ZeroDivisionError), registry.exporting(version.id, "RAW"):
        raise ZeroDivisionError
    with (
        pytest.raises(RegistryError, match="finish_export must be called"),
        registry.exporting(version.id, "RAW"),
    ):
        pass
    assert registry.exports(version.id) == []


def test_what_a_dead_exporter_left_makes_room_for_the_next(registry: Registry, where: str) -> None:
    version = ready_dataset(registry)
    dead = registry.exporting(version.id, "RAW")
    left = dead.__enter__()
    let_leases_run_out(where)
    ready = export(registry, version.id)
    with pytest.raises(RegistryError, match="is not being written"):
        registry.finish_export(left.id, path="late", content_hash="late")
    dead.__exit__(None, None, None)
    assert registry.exports(version.id) == [ready]


def test_a_version_cant_be_deleted_while_it_is_exported(registry: Registry) -> None:
    version = ready_dataset(registry)
    with registry.exporting(version.id, "RAW") as begun:
        with pytest.raises(RegistryError, match="is being read by"):
            registry.deleting(version.id).__enter__()
        registry.finish_export(begun.id, path="exports/raw", content_hash="e0")
    with registry.deleting(version.id):
        assert [ready.path for ready in registry.exports(version.id)] == ["exports/raw"]
    assert registry.exports(version.id) == []


def test_only_a_ready_version_is_exported(registry: Registry) -> None:
    with (
        pytest.raises(RegistryError, match="is writing; only a ready version"),
        registry.create_dataset("Balloons", SPEC) as version,
    ):
        export(registry, version.id)


def test_a_deleted_export_can_be_made_again(registry: Registry) -> None:
    version = ready_dataset(registry)
    first = export(registry, version.id)
    with registry.reading(version.id), pytest.raises(RegistryError, match=r"can't be deleted while .* reads"):
        registry.delete_export(first.id)
    assert registry.delete_export(first.id) == first
    assert export(registry, version.id).id != first.id
    with pytest.raises(RegistryError, match="no export"):
        registry.delete_export(first.id)
