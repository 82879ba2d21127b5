"""The calls of the SDK that read or delete, with JSON results: the same locally and from another machine.

What a call alone needs is imported by it: who lists datasets does not wait for what reads rasters.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.delete import delete_version
from factory_pipeline.datasets.versions.describe import (
    describe_dataset,
    describe_version,
    list_collections,
    list_datasets,
)
from factory_pipeline.datasets.versions.find import find_dataset, find_version
from factory_pipeline.datasets.versions.read_calls import READ_CALLS
from factory_pipeline.errors import ArgumentError
from factory_pipeline.storage.layout import FactoryHome

Answer = Callable[..., Any]


def handle(registry: Registry, home: FactoryHome, call: str, arguments: Mapping[str, Any]) -> Any:
    """Handle one of HANDLERS and return its result as JSON values.

    Args:
        registry: of the home.
        home: contains tables and manifests.
        call: one of HANDLERS.
        arguments: of that call, by name.

    Raises:
        ArgumentError: there is no such call.
        FactoryError: as documented for the call.
    """
    if call not in HANDLERS:
        raise ArgumentError("call", call, f"allowed are {', '.join(HANDLERS)}")
    return HANDLERS[call](registry, home, **arguments)


def _collections(registry: Registry, home: FactoryHome) -> Any:
    return [collection.model_dump(mode="json") for collection in list_collections(registry, home)]


def _datasets(registry: Registry, home: FactoryHome) -> Any:
    return [dataset.model_dump(mode="json") for dataset in list_datasets(registry, home)]


def _dataset(registry: Registry, home: FactoryHome, dataset: str) -> Any:
    found = find_dataset(registry, dataset)
    return describe_dataset(registry, home, found.id).model_dump(mode="json")


def _version(registry: Registry, home: FactoryHome, version_id: str) -> Any:
    found = find_version(registry, version_id)
    return describe_version(registry, home, found.id).model_dump(mode="json")


def _compare(registry: Registry, home: FactoryHome, version_id: str, other_version_id: str) -> Any:
    from factory_pipeline.datasets.versions.compare import compare_versions

    one, other = (
        find_version(registry, version_id),
        find_version(registry, other_version_id, "other_version_id"),
    )
    return asdict(compare_versions(home, one, other))


def _check(registry: Registry, home: FactoryHome, **arguments: Any) -> Any:
    """Check that a request for a version can be fulfilled."""
    from factory_pipeline.datasets.request import DatasetRequest
    from factory_pipeline.datasets.versions.plan import check_version

    check_version(registry, home, DatasetRequest.from_json(arguments))


def _delete(registry: Registry, home: FactoryHome, version_id: str) -> Any:
    delete_version(registry, home, find_version(registry, version_id, of_several=False).id)


HANDLERS: dict[str, Answer] = {
    "collections": _collections,
    "datasets": _datasets,
    "dataset": _dataset,
    "version": _version,
    "compare": _compare,
    "check": _check,
    "delete": _delete,
}
READS = {call: HANDLERS[call] for call in READ_CALLS}
"""The calls that change nothing."""
