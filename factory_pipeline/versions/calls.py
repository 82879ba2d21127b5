"""The calls of the SDK that read or delete, answered as JSON: the same on this machine and from another."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from factory_pipeline.errors import ArgumentError
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome
from factory_pipeline.versions.compare import compare_versions
from factory_pipeline.versions.delete import delete_version
from factory_pipeline.versions.describe import (
    describe_dataset,
    describe_version,
    list_collections,
    list_datasets,
)

Answer = Callable[..., Any]


def answer(registry: Registry, home: FactoryHome, call: str, arguments: Mapping[str, Any]) -> Any:
    """The answer to one of CALLS, as JSON values.

    Raises:
        ArgumentError: there is no such call.
        FactoryError: as the call says.
    """
    if call not in CALLS:
        raise ArgumentError("call", call, f"allowed are {', '.join(CALLS)}")
    return CALLS[call](registry, home, **arguments)


def _collections(registry: Registry, home: FactoryHome) -> Any:
    return [collection.model_dump(mode="json") for collection in list_collections(registry, home)]


def _datasets(registry: Registry, home: FactoryHome) -> Any:
    return [dataset.model_dump(mode="json") for dataset in list_datasets(registry, home)]


def _dataset(registry: Registry, home: FactoryHome, dataset: str) -> Any:
    return describe_dataset(registry, home, dataset).model_dump(mode="json")


def _version(registry: Registry, home: FactoryHome, version_id: str) -> Any:
    return describe_version(registry, home, version_id).model_dump(mode="json")


def _compare(registry: Registry, home: FactoryHome, version_id: str, other_version_id: str) -> Any:
    return asdict(compare_versions(home, registry.version(version_id), registry.version(other_version_id)))


def _delete(registry: Registry, home: FactoryHome, version_id: str) -> Any:
    delete_version(registry, home, version_id)


CALLS: dict[str, Answer] = {
    "collections": _collections,
    "datasets": _datasets,
    "dataset": _dataset,
    "version": _version,
    "compare": _compare,
    "delete": _delete,
}
