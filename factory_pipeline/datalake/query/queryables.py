"""The properties that a query can use, and their kinds that are known before any table is read."""

from enum import StrEnum

from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX

ANNOTATION_PREFIX = "annotation."
OBJECT_PREFIXES = ("annotation.attributes.", "annotation.metadata.")
"""Prefixes of keys in the JSON objects of an annotation."""


class ValueKind(StrEnum):
    """The kind of a property's values, as messages name it."""

    TEXT = "a text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    TIME = "a time"
    GEOMETRY = "a geometry"
    JSON = "a value in JSON"
    """Text, number or boolean, as the annotation has it."""


ITEM_KINDS = {
    "id": ValueKind.TEXT,
    "datetime": ValueKind.TIME,
    "split": ValueKind.TEXT,
    "width": ValueKind.NUMBER,
    "height": ValueKind.NUMBER,
    "geometry": ValueKind.GEOMETRY,
    "collection": ValueKind.TEXT,
}
ANNOTATION_KINDS = {
    "annotation.label": ValueKind.TEXT,
    "annotation.type": ValueKind.TEXT,
    "annotation.confidence": ValueKind.NUMBER,
    "annotation.source": ValueKind.TEXT,
    "annotation.operation": ValueKind.TEXT,
}
PROPERTIES = ", ".join(
    [*ITEM_KINDS, f"{METADATA_PREFIX}<name>", *ANNOTATION_KINDS, *(f"{key}<name>" for key in OBJECT_PREFIXES)]
)
"""All properties, for messages and the documentation."""


def is_property(name: str) -> bool:
    """Return whether an item can have a property of this name.

    `metadata.<name>` is allowed for every name.
    """
    if name in ITEM_KINDS or name in ANNOTATION_KINDS:
        return True
    return any(name.startswith(key) and name != key for key in (METADATA_PREFIX, *OBJECT_PREFIXES))


def is_of_annotation(name: str) -> bool:
    """Return whether annotations have the property, rather than items."""
    return name.startswith(ANNOTATION_PREFIX)


def known_kind(name: str) -> ValueKind | None:
    """Return the kind of a property's values; None for metadata, which only the tables define."""
    if name.startswith(OBJECT_PREFIXES):
        return ValueKind.JSON
    return ITEM_KINDS.get(name) or ANNOTATION_KINDS.get(name)
