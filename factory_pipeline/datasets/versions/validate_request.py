"""The arguments of the calls that make versions, checked before any work is done.

Every error names the argument, what was given and what is allowed.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Any

from factory_pipeline.datalake.query.filters import asks, validate_filter
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datasets.augment.config import parse_augmentations
from factory_pipeline.datasets.versions.request import ItemType, VersionRequest
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.names import SPLITS

TOLERANCE = 1e-6
"""By how much the percentages of a split may miss 100."""
_ABSENT: Any = object()


def validate(
    *,
    split_info: Any,
    labels: Any,
    known_export_types: Collection[str],
    dataset_name: Any = _ABSENT,
    dataset_version_id: Any = _ABSENT,
    collection_id: Any = _ABSENT,
    item_type: Any = ItemType.IMAGE,
    export_types: Any = (),
    query: Any = "",
    filter: Any = None,
    operation_list: Any = None,
    augmentation_list: Any = None,
    is_new_version_required: Any = False,
    keep_splits: Any = True,
    within_source: bool = False,
) -> VersionRequest:
    """Check the arguments of a call that makes a version.

    Give those that the call has: `dataset_name` for a new dataset or `dataset_version_id` for an update;
    `collection_id`, or none for the whole lake. Whether collections, operations, labels and items that match
    are there is known to `plan.check_version`.

    Args:
        split_info: percentages of train, test and validation.
        labels: the labels of the dataset, in the order of its classes; none means all.
        known_export_types: the names of the formats that there are.
        dataset_name: of a new dataset.
        dataset_version_id: the version that is updated.
        collection_id: where items are taken from.
        item_type: what the query chooses in the whole lake.
        export_types: formats that the version is to be written in.
        query: short form or CQL2.
        filter: further conditions on items.
        operation_list: ids of operations, or None for all.
        augmentation_list: what copies of train images are made.
        is_new_version_required: whether an update makes a new version or a revision.
        keep_splits: whether items of the version that is updated stay in their split.
        within_source: whether an update takes items of the source version's collections alone.

    Raises:
        ArgumentError: an argument is not allowed.
    """
    kind = _item_type(item_type)
    if collection_id is not _ABSENT and kind is not ItemType.IMAGE:
        raise ArgumentError("item_type", str(kind), "of one collection, images are chosen")
    return VersionRequest(
        dataset_name=None if dataset_name is _ABSENT else _text("dataset_name", dataset_name),
        source_version_id=(
            None if dataset_version_id is _ABSENT else _text("dataset_version_id", dataset_version_id)
        ),
        collection_id=None if collection_id is _ABSENT else _text("collection_id", collection_id),
        split_info=_split_info(split_info),
        labels=_labels(labels),
        export_types=_export_types(export_types, known_export_types),
        item_type=kind,
        query=parse_query("" if query is None else query) or None,
        filter=_filter(filter),
        operation_list=None if operation_list is None else _texts("operation_list", operation_list),
        augmentations=parse_augmentations(augmentation_list),
        is_new_version_required=_yes_or_no("is_new_version_required", is_new_version_required),
        keep_splits=_yes_or_no("keep_splits", keep_splits),
        within_source=within_source,
        query_text=_query_text(query),
    )


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(argument, value, "it must be a text that is not empty")
    return value.strip()


def _texts(argument: str, values: Any) -> tuple[str, ...]:
    """A list of texts that are not empty and differ from one another."""
    if isinstance(values, str) or not isinstance(values, Sequence | set | frozenset):
        raise ArgumentError(argument, values, "it must be a list of texts, such as ['...']")
    known: list[str] = []
    for place, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            raise ArgumentError(f"{argument}[{place}]", value, "it must be a text that is not empty")
        if value in known:
            raise ArgumentError(f"{argument}[{place}]", value, "it is in the list already; name it once")
        known.append(value)
    return tuple(known)


def _query_text(query: Any) -> str:
    """The query as it was given; CQL2 in a mapping as JSON."""
    return query.strip() if isinstance(query, str) else json.dumps(query, default=float) if query else ""


def _split_info(value: Any) -> dict[str, float]:
    allowed = f"it must be a mapping with the percentages of {', '.join(SPLITS)}"
    if not isinstance(value, Mapping):
        raise ArgumentError("split_info", value, allowed)
    for key in value:
        if key not in SPLITS:
            raise ArgumentError(f"split_info.{key}", value[key], f"the keys are {', '.join(SPLITS)} alone")
    for split in SPLITS:
        if split not in value:
            raise ArgumentError("split_info", value, f"{allowed}, and {split} is missing")
        share = value[split]
        is_number = isinstance(share, Real) and not isinstance(share, bool)
        if not is_number or not math.isfinite(share) or not 0 <= share <= 100:
            raise ArgumentError(f"split_info.{split}", share, "it must be a number from 0 to 100")
    total = math.fsum(value[split] for split in SPLITS)
    if abs(total - 100) > TOLERANCE:
        raise ArgumentError("split_info", value, f"the percentages must sum to 100, and these to {total:g}")
    return {split: float(value[split]) for split in SPLITS}


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ArgumentError("labels", value, f"it must be a list, such as [{value!r}]")
    if isinstance(value, set | frozenset):
        raise ArgumentError("labels", value, "it must be a list, as its order is that of the classes")
    return _texts("labels", value)


def _export_types(value: Any, known: Collection[str]) -> tuple[str, ...]:
    named = ", ".join(repr(name) for name in known)
    if isinstance(value, str):
        raise ArgumentError("export_types", value, f"it must be a list of any of {named}")
    types = _texts("export_types", () if value is None else value)
    for place, name in enumerate(types):
        if name not in known:
            raise ArgumentError(f"export_types[{place}]", name, f"it must be one of {named}")
    return types


def _filter(value: Any) -> dict[str, Any] | None:
    """As it was given, in JSON values; None where it asks for nothing."""
    given = {} if value is None else value
    if not validate_filter(given):
        return None
    stored = json.loads(json.dumps(given, default=float))
    return {key: each for key, each in stored.items() if asks(each)}


def _item_type(value: Any) -> ItemType:
    try:
        return ItemType(value.lower() if isinstance(value, str) else value)
    except ValueError:
        named = ", ".join(repr(str(kind)) for kind in ItemType)
        raise ArgumentError("item_type", value, f"it must be one of {named}") from None


def _yes_or_no(argument: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(argument, value, "it must be True or False")
    return value
