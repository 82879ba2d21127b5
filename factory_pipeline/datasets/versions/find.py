"""Finding collections, datasets and versions by id, by the beginning of the id, or by name.

A name takes precedence over the beginning of an id. A text that matches several is refused with a list of
them, a text that matches nothing with the most similar names.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from factory_pipeline.datalake.registry.records import Collection, Dataset, Version, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.partition_keys import version_of
from factory_pipeline.errors import ArgumentError, RegistryError

SHORTEST_PREFIX = 8
"""Least number of digits of an id's beginning."""
MOST_NAMED = 10
"""Largest number of collections, operations or versions in a message."""
_PREFIX = re.compile(f"[0-9a-f]{{{SHORTEST_PREFIX},}}")

Found = TypeVar("Found", Collection, Dataset, Version)


def find_collection(registry: Registry, text: str, argument: str = "collection_id") -> Collection:
    """Find the existing collection with an id or name.

    Args:
        registry: deleted collections are not found.
        text: an id, the beginning of one, or a name; an exact id or name is preferred.
        argument: name of the argument in messages.

    Raises:
        ArgumentError: none has this id or name, or several have.
    """
    living = registry.collections()
    told = {each.id: f"{each.id} ({each.name!r})" for each in living}
    fitting = (
        [each for each in living if each.id == text]
        or [each for each in living if each.name == text]
        or _beginning_with(text, living)
    )
    if fitting:
        return _require_one(argument, text, fitting, told, "collections")
    if not living:
        raise ArgumentError(argument, text, "the data lake has no collection yet; build or upload one first")
    names = {name: told[each.id] for each in living for name in (each.id, each.name)}
    raise ArgumentError(
        argument, text, f"it must be the name or id of a collection, such as {list_similar(text, names)}"
    )


def find_dataset(registry: Registry, text: str, argument: str = "dataset") -> Dataset:
    """Find the dataset with an id or name; a deleted one is found by its full id.

    Args:
        registry: contains the datasets.
        text: an id, the beginning of one, or a name; an exact id or name is preferred.
        argument: name of the argument in messages.

    Raises:
        ArgumentError: none has this id or name, or several have.
    """
    try:
        return registry.dataset(text)
    except RegistryError:
        living = registry.datasets()
    told = {each.id: f"{each.id} ({each.name!r})" for each in living}
    if fitting := _beginning_with(text, living):
        return _require_one(argument, text, fitting, told, "datasets")
    there = list_similar(text, {each.name: repr(each.name) for each in living})
    raise ArgumentError(
        argument,
        text,
        f"there is no dataset of this name or id; datasets are {there}"
        if there
        else "there is no dataset yet",
    )


def find_version(
    registry: Registry, text: str, argument: str = "version_id", *, of_several: bool = True
) -> Version:
    """Find a version by id, as `name@1.0.0`, or by the name of a dataset.

    A dataset's name stands for its latest version. The key of a partition, which ends with `@<id>`, is an id
    too.

    Args:
        registry: the registry to search.
        text: as the user typed it.
        argument: name of the argument, for the message.
        of_several: False refuses the name of a dataset that has several versions, for calls that delete.

    Raises:
        ArgumentError: there is no such version, or several match.
    """
    version_id = text if text in registry.version_ids() else version_of(text)
    if version_id in registry.version_ids():
        return registry.version(version_id)
    datasets = registry.datasets()
    ready = {
        dataset.id: [each for each in registry.versions(dataset.id) if each.state is VersionState.READY]
        for dataset in datasets
    }
    numbered = {
        f"{dataset.name}@{version.number}": version for dataset in datasets for version in ready[dataset.id]
    }
    names = {version.id: name for name, version in numbered.items()}
    for dataset in datasets:
        if text in (dataset.name, dataset.id) and ready[dataset.id]:
            latest = ready[dataset.id]
            if len(latest) > 1 and not of_several:
                there = listed(repr(names[each.id]) for each in latest)
                raise ArgumentError(
                    argument, text, f"this dataset has several versions, so choose one: {there}"
                )
            return latest[-1]
    if text in numbered:
        return numbered[text]
    told = {each.id: f"{each.id} ({names[each.id]!r})" for each in numbered.values()}
    if fitting := _beginning_with(text, list(numbered.values())):
        return _require_one(argument, text, fitting, told, "versions")
    near = {name: repr(name) for name in numbered} | {
        each.name: repr(each.name) for each in datasets if ready[each.id]
    }
    there = f", such as {list_similar(text, near)}" if near else ", and there are none yet"
    raise ArgumentError(
        argument,
        text,
        f"it must be the id of a version of a dataset, a dataset's name, or both as in 'name@1.0.0'{there}",
    )


def by_prefix(text: str, ids: Iterable[str]) -> list[str]:
    """Return the ids that begin with a text, if that is long enough for the beginning of an id.

    Args:
        text: at least as long as `_PREFIX` requires.
        ids: full ids.
    """
    return [each for each in ids if each.startswith(text)] if _PREFIX.fullmatch(text) else []


def list_similar(text: str, names: Mapping[str, str]) -> str:
    """Return the names most similar to a text, for a message; all if none is similar.

    Args:
        text: as the user typed it.
        names: by name, the description in the message.
    """
    return listed(dict.fromkeys(names[name] for name in _similar_names(text, names) or names))


def sort_by_similarity(text: str, names: Iterable[str]) -> list[str]:
    """Return names, the most similar to a text first.

    Args:
        text: that the user wrote.
        names: without repeats in the result.
    """
    there = list(names)
    return list(dict.fromkeys([*_similar_names(text, there), *there]))


def _similar_names(text: str, names: Iterable[str]) -> list[str]:
    lower = {name.lower(): name for name in names}
    return [lower[each] for each in difflib.get_close_matches(text.lower(), lower, n=3)]


def listed(values: Iterable[str]) -> str:
    """Return the first of many values, for a message."""
    all_of_them = list(values)
    more = len(all_of_them) - MOST_NAMED
    return ", ".join(all_of_them[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _beginning_with(text: str, living: Sequence[Found]) -> list[Found]:
    fitting = set(by_prefix(text, [each.id for each in living]))
    return [each for each in living if each.id in fitting]


def _require_one(
    argument: str, text: str, fitting: Sequence[Found], told: Mapping[str, str], kind: str
) -> Found:
    if len(fitting) > 1:
        there = listed(told[each.id] for each in fitting)
        raise ArgumentError(argument, text, f"it matches several {kind}, so use the id: {there}")
    return fitting[0]
