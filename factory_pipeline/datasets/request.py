"""What a user requests of a dataset version: one model behind the SDK, the command line and the asset.

Whatever is not allowed raises an ArgumentError that names the argument, its value and what is allowed.
Whether the collections, labels and items that are named exist is for `versions.plan.check_version` to say.
"""

import json
import math
from collections.abc import Mapping, Sequence, Set
from enum import StrEnum
from numbers import Real
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.datalake.query.filters import is_condition, validate_filter
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datasets.augment.config import CATEGORY, Augmentation, parse_augmentations
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.split_by import read_split_by, split_by_as_json
from factory_pipeline.datasets.subset import Subset
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.names import SPLITS

TOLERANCE = 1e-6
"""Largest difference of the sum of percentages from 100."""
_NOT_EMPTY = "it must be a text that is not empty"


class ItemType(StrEnum):
    """What the query chooses in the data lake."""

    IMAGE = "image"
    """Images that match."""
    IMAGE_COLLECTION = "image_collection"
    """All images of the collections with an image that matches."""
    DATASET = "dataset"
    """All images of the latest version of each dataset with an image that matches there."""


class Overlap(StrEnum):
    """What becomes of items that overlap when splits are assigned."""

    GROUP = "group"
    """They are in one split."""
    IGNORE = "ignore"
    """They are divided like others, and the version says how much that leaks."""


class DatasetRequest(BaseModel):
    """A version to make, validated: the first of a new dataset, or the next one of an existing version.

    The fields are the arguments of the SDK's calls as JSON values, as the configuration of a run and the
    registry contain them. `of` and `from_json` make one; a value that is allowed in several forms is kept in
    one of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_name: str | None = Field(None, description="Name of a new dataset.")
    dataset_version_id: str | None = Field(None, description="Instead of a name: the version to update.")
    collection_id: str | None = Field(
        None, description="Takes items of this collection alone, by name or id; none takes those of all."
    )
    item_type: str = Field(
        ItemType.IMAGE.value, description=f"What the query chooses: {', '.join(ItemType)}."
    )
    split_info: dict[str, float] = Field(
        description=f"Percentages of {', '.join(SPLITS)}; the sum is 100. Empty where split_by alone decides."
    )
    split_by: dict[str, Any] | None = Field(
        None,
        description="Time or a property decides the split of an item: by (time, column, given), column, and"
        " the spans or values of train, test, validation. With block_m, split_info divides the blocks of the"
        " ground, and each gives items to one split alone.",
    )
    labels: list[str] = Field(description="In the order of the classes; an empty list takes all labels.")
    export_types: list[str] = Field([], description="Formats that the version is exported in at once.")
    query: str = Field("", description="Condition on items, in the short form or as CQL2; empty takes all.")
    filter: dict[str, Any] = Field({}, description="annotation_types, from_date, to_date, bbox, geometry.")
    is_new_version_required: bool = Field(
        False, description="An update makes a new version (1.1.0), not a revision (1.0.1)."
    )
    operation_list: list[str] | None = Field(
        None,
        description="Ids of the annotation sources to take; none takes all, an empty list no annotations.",
    )
    augmentation_list: dict[str, Any] | None = Field(None, description="Augmentations of the train split.")
    keep_splits: bool = Field(True, description="False assigns the splits of all items of an update again.")
    overlap: str = Field(
        Overlap.GROUP.value,
        description="group: items that overlap are in one split. ignore: plain percentages, which may leak.",
    )
    balance: list[str] = Field(
        [],
        description="What keeps its share in every split beside the labels: collection, year, or properties"
        " of the items, numbers by their quartiles.",
    )
    group_by: list[str] = Field(
        [],
        description="Items with the same value of one of these are in one split: collection, year, or"
        " properties of the items.",
    )
    block_m: float | None = Field(
        None,
        description="Side in metres of squares of the ground; items with centres in one are in one split.",
    )
    buffer_m: float = Field(
        0.0, description="Items nearer to each other than this count as overlapping, in metres."
    )
    require_all_labels: bool = Field(
        False, description="A label that can't be in every split is an error, not a remark."
    )
    subset: dict[str, Any] | None = Field(
        None,
        description="Draws some of the items that match: size, and by (label, day, tile, collection, year, or"
        " properties: the same number of each) or cover (bands, or properties: as different as possible).",
    )
    use_given_splits: bool = Field(
        False, description="Items keep the splits that they came with; split_info divides the others."
    )
    within_source: bool = Field(
        False,
        description="Takes items of the collections that the source version has items of.",
    )

    @classmethod
    def of(cls, **arguments: Any) -> Self:
        """Validate the arguments of a call; one that is not given has its default.

        Raises:
            ArgumentError: an argument is not allowed, unknown or missing.
        """
        try:
            return cls(**arguments)
        except ValidationError as error:
            first = error.errors()[0]
            names = ", ".join(cls.model_fields)
            allowed = "it must be given" if first["type"] == "missing" else f"the arguments are {names}"
            name = str(first["loc"][0])
            raise ArgumentError(name, arguments.get(name), allowed) from None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Validate the arguments that a run's configuration or the registry holds; null means not given.

        Raises:
            ArgumentError: an argument is not allowed, unknown or missing.
        """
        return cls.of(**{name: value for name, value in values.items() if value is not None})

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that differ from their defaults as JSON values; `of` takes them again."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def conditions(self) -> dict[str, Any]:
        """The query as CQL2 JSON; `{}` if it matches all items."""
        return parse_query(self.query)

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """The operations that make augmented copies."""
        return parse_augmentations(self.augmentation_list)

    @property
    def split_rule(self) -> Splits | None:
        """What decides the splits in place of percentages; None where percentages do."""
        return None if self.split_by is None else read_split_by(self.split_by)

    @property
    def subset_rule(self) -> Subset | None:
        """The part of the matching items that is drawn; None takes all."""
        return None if self.subset is None else Subset.of(self.subset)

    @field_validator("dataset_name", "dataset_version_id", "collection_id", mode="before")
    @classmethod
    def _name(cls, value: Any, info: ValidationInfo) -> str:
        return _text(str(info.field_name), value)

    @field_validator("item_type", mode="before")
    @classmethod
    def _item_type(cls, value: Any) -> str:
        try:
            return ItemType(value.lower() if isinstance(value, str) else value).value
        except ValueError:
            raise ArgumentError("item_type", value, f"it must be one of {_quote(ItemType)}") from None

    @field_validator("overlap", mode="before")
    @classmethod
    def _overlap(cls, value: Any) -> str:
        try:
            return Overlap(value.lower() if isinstance(value, str) else value).value
        except ValueError:
            raise ArgumentError("overlap", value, f"it must be one of {_quote(Overlap)}") from None

    @field_validator("split_info", mode="before")
    @classmethod
    def _split_info(cls, value: Any) -> dict[str, float]:
        allowed = f"it must be a mapping with the percentages of {', '.join(SPLITS)}"
        if not isinstance(value, Mapping):
            raise ArgumentError("split_info", value, allowed)
        if not value:
            return {}
        for key in value:
            if key not in SPLITS:
                raise ArgumentError(f"split_info.{key}", value[key], f"the only keys are {', '.join(SPLITS)}")
        for split in SPLITS:
            if split not in value:
                raise ArgumentError("split_info", value, f"{allowed}, and {split} is missing")
            share = value[split]
            is_number = isinstance(share, Real) and not isinstance(share, bool)
            if not is_number or not math.isfinite(share) or not 0 <= share <= 100:
                raise ArgumentError(f"split_info.{split}", share, "it must be a number from 0 to 100")
        total = math.fsum(value[split] for split in SPLITS)
        if abs(total - 100) > TOLERANCE:
            allowed = f"the percentages must sum to 100, not to {total:g}"
            raise ArgumentError("split_info", value, allowed)
        return {split: float(value[split]) for split in SPLITS}

    @field_validator("split_by", mode="before")
    @classmethod
    def _split_by(cls, value: Any) -> dict[str, Any] | None:
        return None if value is None else split_by_as_json(read_split_by(value))

    @field_validator("labels", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> list[str]:
        if isinstance(value, str):
            raise ArgumentError("labels", value, f"it must be a list, such as [{value!r}]")
        if isinstance(value, Set):
            raise ArgumentError("labels", value, "it must be a list, as its order is that of the classes")
        return _texts("labels", value)

    @field_validator("export_types", mode="before")
    @classmethod
    def _export_types(cls, value: Any) -> list[str]:
        if isinstance(value, str):
            raise ArgumentError("export_types", value, f"it must be a list of any of {_quote(FORMATS)}")
        names = _texts("export_types", () if value is None else value)
        for index, name in enumerate(names):
            if name not in FORMATS:
                raise ArgumentError(f"export_types[{index}]", name, f"it must be one of {_quote(FORMATS)}")
        return names

    @field_validator("query", mode="before")
    @classmethod
    def _query(cls, value: Any) -> str:
        """As it was written; CQL2 in a mapping becomes text."""
        parse_query("" if value is None else value)
        return (
            value.strip() if isinstance(value, str) else json.dumps(_to_json_values(value)) if value else ""
        )

    @field_validator("filter", mode="before")
    @classmethod
    def _filter(cls, value: Any) -> dict[str, Any]:
        """As it was given, without what asks for nothing."""
        given = {} if value is None else value
        validate_filter(given)
        return {key: each for key, each in _to_json_values(given).items() if is_condition(each)}

    @field_validator("balance", "group_by", mode="before")
    @classmethod
    def _properties(cls, value: Any, info: ValidationInfo) -> list[str]:
        return _texts(str(info.field_name), value)

    @field_validator("block_m", "buffer_m", mode="before")
    @classmethod
    def _metres(cls, value: Any, info: ValidationInfo) -> float | None:
        name = str(info.field_name)
        if value is None and name == "block_m":
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0 or (value == 0 and name == "block_m"):
            allowed = "above 0" if name == "block_m" else "0 or more"
            raise ArgumentError(name, value, f"it must be a number of metres, {allowed}")
        return float(value)

    @field_validator("operation_list", mode="before")
    @classmethod
    def _operation_list(cls, value: Any) -> list[str] | None:
        return None if value is None else _texts("operation_list", value)

    @field_validator("augmentation_list", mode="before")
    @classmethod
    def _augmentation_list(cls, value: Any) -> dict[str, Any] | None:
        found = parse_augmentations(value)
        return {CATEGORY: [each.as_json() for each in found]} if found else None

    @field_validator("subset", mode="before")
    @classmethod
    def _subset(cls, value: Any) -> dict[str, Any] | None:
        return None if value is None else Subset.of(value).as_json()

    @field_validator(
        "is_new_version_required",
        "keep_splits",
        "require_all_labels",
        "use_given_splits",
        "within_source",
        mode="before",
    )
    @classmethod
    def _flag(cls, value: Any, info: ValidationInfo) -> bool:
        if not isinstance(value, bool):
            raise ArgumentError(str(info.field_name), value, "it must be True or False")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.dataset_name is None and self.dataset_version_id is None:
            allowed = "name a new dataset, or the version to update by dataset_version_id"
            raise ArgumentError("dataset_name", None, allowed)
        if self.dataset_name is not None and self.dataset_version_id is not None:
            allowed = "an update has no dataset_name; leave one of the two out"
            raise ArgumentError("dataset_version_id", self.dataset_version_id, allowed)
        if self.within_source and (self.dataset_version_id is None or self.collection_id is not None):
            raise ArgumentError("within_source", True, "it is for an update without a collection_id alone")
        for name in ("balance", "group_by", "block_m", "buffer_m", "require_all_labels"):
            if self.overlap == Overlap.IGNORE and getattr(self, name):
                allowed = "it is for overlap='group'; 'ignore' divides to plain percentages"
                raise ArgumentError(name, getattr(self, name), allowed)
        self._fit_split_by()
        is_of_all = self.collection_id is None and not self.within_source
        if not is_of_all and self.item_type != ItemType.IMAGE:
            allowed = "of given collections, images are chosen; the other types are for the whole data lake"
            raise ArgumentError("item_type", self.item_type, allowed)
        return self

    def _fit_split_by(self) -> None:
        """Check that percentages are given where they decide, and fit what split_by names."""
        rule, shares = self.split_rule, self.split_info
        if rule is None:
            if not shares:
                allowed = f"it must be a mapping with the percentages of {', '.join(SPLITS)}"
                raise ArgumentError("split_info", shares, f"{allowed}, unless split_by decides")
            return
        if self.balance:
            raise ArgumentError("balance", self.balance, "it is for percentages; split_by decides the splits")
        if self.block_m is None and shares:
            allowed = "split_by decides the splits; leave the percentages empty ({}), or name block_m too"
            raise ArgumentError("split_info", shares, allowed)
        named = {name for name, share in shares.items() if share}
        # Of `given`, the property may name fewer splits than three.
        if self.block_m is not None and (not named if rule.by == "given" else named != set(rule.parts)):
            allowed = f"of the blocks of the ground, {' and '.join(rule.parts)} must have percentages"
            raise ArgumentError("split_info", shares, f"{allowed}, as split_by names them, and no others")


def _quote(names: Any) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(argument, value, _NOT_EMPTY)
    return value.strip()


def _texts(argument: str, values: Any) -> list[str]:
    """Return a list of texts that are not empty and differ from one another."""
    if isinstance(values, str) or not isinstance(values, Sequence | Set):
        raise ArgumentError(argument, values, "it must be a list of texts, such as ['...']")
    known: list[str] = []
    # A set has no order of its own, and the same request must always give the same version.
    values = sorted(values, key=str) if isinstance(values, Set) else values
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            raise ArgumentError(f"{argument}[{index}]", value, _NOT_EMPTY)
        if value in known:
            raise ArgumentError(f"{argument}[{index}]", value, "it occurs twice; remove one")
        known.append(value)
    return known


def _to_json_values(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping in JSON values."""
    return dict(json.loads(json.dumps(dict(value), default=_json_value)))


def _json_value(value: Any) -> Any:
    """Return what JSON has no name for: mappings and sets of other kinds, and numbers of numpy."""
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, Set) else float(value)
