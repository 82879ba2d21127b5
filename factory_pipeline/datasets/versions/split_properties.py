"""Properties of a version's items that decide its splits: what is balanced, and what stays together."""

from collections.abc import Mapping

import polars as pl

from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.balance import Classes
from factory_pipeline.splits.strata import as_strata

COLLECTION, DATETIME, YEAR, DAY = "collection", "datetime", "year", "day"
"""Names beside those of properties."""
LABEL = "label"


def balanced_classes(
    items: pl.DataFrame,
    labels: pl.Series | None,
    request: DatasetRequest,
    collections: Mapping[str, CollectionTables],
) -> Classes | None:
    """Return what is to keep its share in every split; None if nothing is.

    Args:
        items: `collection`, `id` of the items.
        labels: a list of labels per item, or None.
        request: names what is balanced beside the labels.
        collections: those of the items, by id.

    Raises:
        ArgumentError: no collection of the items has a property that is named.
    """
    columns = [] if labels is None else [labels.alias(LABEL)]
    columns += [
        as_strata(plain_values(items, name, f"balance[{index}]", collections)).alias(name)
        for index, name in enumerate(request.balance)
    ]
    return Classes.of(pl.DataFrame(columns)) if columns else None


def joining_properties(
    items: pl.DataFrame, request: DatasetRequest, collections: Mapping[str, CollectionTables]
) -> list[pl.Series]:
    """Return the properties whose equal values keep items in one split, null where an item has none.

    Args:
        items: as for `balanced_classes`.
        request: names them.
        collections: as for `balanced_classes`.

    Raises:
        ArgumentError: no collection of the items has a property that is named.
    """
    return [
        plain_values(items, name, f"group_by[{index}]", collections)
        for index, name in enumerate(request.group_by)
    ]


def plain_values(
    items: pl.DataFrame, name: str, argument: str, collections: Mapping[str, CollectionTables]
) -> pl.Series:
    """Return a property of each item as `property_values` does; one of lists or fields is refused.

    Args:
        items: as for `property_values`.
        name: as for `property_values`.
        argument: as for `property_values`.
        collections: as for `property_values`.

    Raises:
        ArgumentError: no collection of the items has the property, or its values are nested.
    """
    values = property_values(items, name, argument, collections)
    if values.dtype.is_nested():
        raise ArgumentError(argument, name, "its values must be numbers, texts or times")
    return values


def property_values(
    items: pl.DataFrame, name: str, argument: str, collections: Mapping[str, CollectionTables]
) -> pl.Series:
    """Return a property of each item, null where it has none.

    Args:
        items: `collection`, `id`.
        name: `collection`, `datetime`, `year`, `day`, or that of a property.
        argument: of the request, for messages.
        collections: those of the items, by id.

    Raises:
        ArgumentError: no collection of the items has the property.
    """
    if name == COLLECTION:
        return items["collection"].replace_strict(
            {key: each.collection.name for key, each in collections.items()}, return_dtype=pl.String
        )
    of_metadata = f"{METADATA_PREFIX}{name.removeprefix(METADATA_PREFIX)}"
    column = DATETIME if name in (DATETIME, YEAR, DAY) else of_metadata
    found: list[pl.DataFrame] = []
    known: set[str] = set()
    for key in items["collection"].unique(maintain_order=True):
        table = collections[key].items
        names = table.collect_schema().names()
        known.update(each.removeprefix(METADATA_PREFIX) for each in names if each.startswith(METADATA_PREFIX))
        if column in names:
            chosen = items.filter(pl.col("collection") == key).lazy().select("id")
            there = table.select(pl.lit(key).alias("collection"), "id", pl.col(column).alias("value"))
            found.append(there.join(chosen, on="id", how="semi").collect(engine="streaming"))
    if not found:
        raise ArgumentError(
            argument,
            name,
            f"it must be {COLLECTION!r}, {DATETIME!r}, {YEAR!r}, {DAY!r} or a property that the items have:"
            f" {', '.join(sorted(known)) or 'they have none'}",
        )
    values = items.select("collection", "id").join(
        pl.concat(found, how="vertical_relaxed"), on=["collection", "id"], how="left", maintain_order="left"
    )["value"]
    if name == DAY:
        return values.dt.strftime("%Y-%m-%d")
    return values.dt.year() if name == YEAR else values
