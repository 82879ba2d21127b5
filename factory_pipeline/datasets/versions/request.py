"""What a user asks of a version, as JSON in the registry; `arguments` makes one from a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from factory_pipeline.datasets.augment.config import Augmentation, parse_augmentations


class ItemType(StrEnum):
    """What the query chooses in the whole lake."""

    IMAGE = "image"
    """Images that match."""
    IMAGE_COLLECTION = "image_collection"
    """Collections with an image that matches, with all their images."""
    DATASET = "dataset"
    """Datasets with an image that matches in their latest version, with all images of that."""


@dataclass(frozen=True)
class VersionRequest:
    """A version that is to be made; every argument is checked already."""

    dataset_name: str | None
    """Of a new dataset; None where a version of a dataset is updated."""
    source_version_id: str | None
    """The version that is updated."""
    collection_id: str | None
    """Where items are taken from; None for the whole lake, or as `within_source` says."""
    split_info: Mapping[str, float]
    """Percentages of train, test and validation; they sum to 100."""
    labels: tuple[str, ...]
    """In the order of the classes; none means all labels of the chosen annotations."""
    export_types: tuple[str, ...] = ()
    """What it is to be written as once it is made, which others do."""
    item_type: ItemType = ItemType.IMAGE
    """What the query chooses; of a collection it is always images."""
    query: Mapping[str, Any] | None = None
    """CQL2 JSON; None takes all."""
    filter: Mapping[str, Any] | None = None
    """As for `query.filters.validate_filter`; None takes all."""
    operation_list: tuple[str, ...] | None = None
    """Ids of the operations whose annotations are taken; None for all."""
    augmentations: tuple[Augmentation, ...] = ()
    is_new_version_required: bool = False
    """Whether an update makes a new version (1.1.0) or a revision (1.0.1)."""
    keep_splits: bool = True
    """Whether items of the version that is updated stay in their split."""
    within_source: bool = False
    """Whether an update takes items of the collections alone that its source version has items of."""
    query_text: str = ""
    """The query as the user wrote it, for messages."""

    def as_json(self) -> dict[str, Any]:
        """As JSON values; `from_json` makes the same request of it."""
        return {
            "dataset_name": self.dataset_name,
            "source_version_id": self.source_version_id,
            "collection_id": self.collection_id,
            "split_info": dict(self.split_info),
            "labels": list(self.labels),
            "export_types": list(self.export_types),
            "item_type": str(self.item_type),
            "query": self.query,
            "filter": self.filter,
            "operation_list": None if self.operation_list is None else list(self.operation_list),
            "augmentation_list": [each.as_json() for each in self.augmentations],
            "is_new_version_required": self.is_new_version_required,
            "keep_splits": self.keep_splits,
            "within_source": self.within_source,
            "query_text": self.query_text,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The request that `as_json` told of; those of older versions lack the last three."""
        operations = values["operation_list"]
        return cls(
            dataset_name=values["dataset_name"],
            source_version_id=values["source_version_id"],
            collection_id=values["collection_id"],
            split_info=values["split_info"],
            labels=tuple(values["labels"]),
            export_types=tuple(values["export_types"]),
            item_type=ItemType(values["item_type"]),
            query=values["query"],
            filter=values["filter"],
            operation_list=None if operations is None else tuple(operations),
            augmentations=augmentations_of(values["augmentation_list"]),
            is_new_version_required=values["is_new_version_required"],
            keep_splits=values.get("keep_splits", True),
            within_source=values.get("within_source", False),
            query_text=values.get("query_text", ""),
        )


def augmentations_of(values: Sequence[Mapping[str, Any]]) -> tuple[Augmentation, ...]:
    """The augmentations that their `as_json` told of."""
    return parse_augmentations({"IMAGE_LEVEL": list(values)})
