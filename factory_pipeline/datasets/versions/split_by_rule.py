"""The split of each item of a version that time or a property decides."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.split_properties import DATETIME, plain_values
from factory_pipeline.errors import ArgumentError

_SHOWN = 8
"""Values that a message names at most."""


def split_by_rule(
    items: pl.DataFrame, rule: Splits, collections: Mapping[str, CollectionTables]
) -> pl.Series:
    """Return `split` of each item; null for one that the rule names no split for.

    Args:
        items: `collection`, `id`.
        rule: by time, by a column, or as a column gives it.
        collections: those of the items, by id.

    Raises:
        ArgumentError: no collection of the items has the property, or no item is in a split that is named.
    """
    if rule.by == "time":
        what, values = "the times", plain_values(items, DATETIME, "split_by.by", collections)
    else:
        what = f"the values of {rule.column}"
        values = plain_values(items, str(rule.column), "split_by.column", collections)
    split = pl.lit(None, pl.String)
    for name, part in rule.parts.items():
        split = pl.when(_is_in(values, part, rule.by)).then(pl.lit(name)).otherwise(split)
    found = pl.DataFrame({"value": values}).select(split.alias("split")).to_series()
    there = f"{what} of the items are {_shown(values)}"
    for name, part in rule.parts.items():
        if rule.by != "given" and not (found == name).any():
            asked = list(part) if rule.by == "column" else [f"{part.start:%Y-%m-%d}", f"{part.end:%Y-%m-%d}"]
            raise ArgumentError(f"split_by.{name}", asked, f"no item has it; {there}")
    if not found.count():
        raise ArgumentError("split_by.column", rule.column, f"its values must be names of splits; {there}")
    return found


def _is_in(values: pl.Series, part: Any, by: str) -> pl.Expr:
    value = pl.col("value")
    if by == "time":
        return value.is_between(pl.lit(part.start), pl.lit(part.end))
    if values.dtype.is_numeric():
        return value.cast(pl.Float64).is_in(
            _texts(part).cast(pl.Float64, strict=False).drop_nulls().to_list()
        )
    text = value.cast(pl.String)
    if by == "given":
        text = text.str.strip_chars().str.to_lowercase()
    return text.is_in(_texts(part).to_list())


def _texts(part: Any) -> pl.Series:
    return pl.Series([str(each) for each in part], dtype=pl.String)


def _shown(values: pl.Series) -> str:
    known = values.drop_nulls().unique().sort()
    if not len(known):
        return "unknown"
    if len(known) > _SHOWN and known.dtype != pl.String:
        return f"{known[0]} to {known[-1]}"
    more = "" if len(known) <= _SHOWN else f" and {len(known) - _SHOWN:,} more"
    return ", ".join(str(each) for each in known[:_SHOWN]) + more
