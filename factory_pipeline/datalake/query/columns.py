"""The properties of a query as columns of the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from factory_pipeline.datalake.query.queryables import ANNOTATION_PREFIX, OBJECT_PREFIXES, ValueKind
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA

_TO_END_OF_DAY = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True)
class Column:
    """A column of values that can be compared."""

    expression: pl.Expr
    kind: ValueKind | None
    """Kind of the values; None if they can't be compared."""
    dtype: pl.DataType
    """Data type of one value."""
    holds_lists: bool = False
    """True if each row has a list of values; a list meets a condition if one of its values does."""

    @property
    def present(self) -> pl.Expr:
        """Return whether there is a value, and it is not NaN."""
        return self.any(lambda one: one.expression.is_not_null() & one.is_number())

    def is_number(self) -> pl.Expr:
        """Return False for NaN, which polars orders above all numbers."""
        return self.expression.is_not_nan() if self.dtype.is_float() else pl.lit(True)

    def any(self, condition: Callable[["Column"], pl.Expr]) -> pl.Expr:
        """Return whether the value, or one of the values of a list, meets a condition.

        Null if there is none.
        """
        if not self.holds_lists:
            return condition(self)
        one = replace(self, expression=_to_plain(pl.element(), self.dtype), holds_lists=False)
        return self.expression.list.eval(condition(one)).list.any()

    @property
    def ends(self) -> tuple[pl.Expr, pl.Expr]:
        """Return first and last moment of a time: a day has two, a moment has one."""
        start = self.expression.cast(ITEM_SCHEMA["datetime"]) if self.dtype == pl.Date() else self.expression
        return start, start + _TO_END_OF_DAY if self.dtype == pl.Date() else start


def item_column(name: str, schema: Mapping[str, pl.DataType]) -> Column | None:
    """Return a property of items; None if the table has none of this name.

    `metadata.a.b` is a column of this name, or the field b of the structs in `metadata.a`.

    Args:
        name: of the property.
        schema: of the table of items.
    """
    if name in schema:
        return column(pl.col(name), schema[name])
    parent, _, field = name.rpartition(".")
    if not parent or (struct := item_column(parent, schema)) is None or struct.holds_lists:
        return None
    fields = dict(struct.dtype) if isinstance(struct.dtype, pl.Struct) else {}
    return (
        column(struct.expression.struct.field(field), _instance(fields[field])) if field in fields else None
    )


def annotation_column(name: str, schema: Mapping[str, pl.DataType]) -> Column | None:
    """Return a property of annotations; None if the table has none of this name.

    Args:
        name: of the property, with or without the prefix of annotations.
        schema: of the table of annotations.
    """
    for prefix in OBJECT_PREFIXES:
        if name.startswith(prefix):
            holder = prefix.removeprefix(ANNOTATION_PREFIX).rstrip(".")
            # In single quotes: an escaped double quote is more than the parser of such paths can read.
            key = name.removeprefix(prefix).replace("\\", "\\\\").replace("'", "\\'")
            value = pl.col(holder).str.json_path_match(f"$['{key}']")
            return Column(value, ValueKind.JSON, pl.String()) if holder in schema else None
    return item_column(name.removeprefix(ANNOTATION_PREFIX), schema)


def column(expression: pl.Expr, dtype: pl.DataType) -> Column:
    """Convert values of any dtype to one of the dtypes that can be compared.

    Args:
        expression: yields the values.
        dtype: of the expression: of a value, or a list or array of values.
    """
    if isinstance(dtype, pl.Array):
        expression, dtype = expression.arr.to_list(), pl.List(dtype.inner)
    if isinstance(dtype, pl.List):
        return Column(expression, _kind(_instance(dtype.inner)), _instance(dtype.inner), holds_lists=True)
    return Column(_to_plain(expression, dtype), _kind(dtype), dtype)


def _to_plain(expression: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Enum | pl.Categorical):
        return expression.cast(pl.String)
    if isinstance(dtype, pl.Decimal):
        return expression.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone != "UTC":
        return expression.dt.convert_time_zone("UTC")
    return expression


def _kind(dtype: pl.DataType) -> ValueKind | None:
    if isinstance(dtype, pl.String | pl.Enum | pl.Categorical):
        return ValueKind.TEXT
    if dtype.is_numeric():
        return ValueKind.NUMBER
    if isinstance(dtype, pl.Boolean):
        return ValueKind.BOOLEAN
    return ValueKind.TIME if isinstance(dtype, pl.Date | pl.Datetime) else None


def _instance(dtype: DataType | DataTypeClass) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype
