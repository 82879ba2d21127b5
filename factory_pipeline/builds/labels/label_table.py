"""Labels as the builds know them, whatever they were read from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.labels.label_times import read_times
from factory_pipeline.builds.labels.read_table import LabelRows
from factory_pipeline.builds.rules import check_rules, without_nan
from factory_pipeline.config.label_sources import TableLabels, Target
from factory_pipeline.errors import RecipeError
from factory_pipeline.imagery.geometries import bounds_of
from factory_pipeline.storage.parquet import ParquetBatches

STAGE = "labels"
"""What the ledger calls the reading of labels."""
EXTRA = "extra:"
"""Start of the names of columns that are carried into the dataset: they never equal one of ours."""
LABEL_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "longitude": pl.Float64(),
    "latitude": pl.Float64(),
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "value": pl.Float64(),
}
"""Columns of a table of labels.

`longitude` and `latitude` are the centre of the window (WGS 84), `start` and `end` the time in which the
label holds (null for any), `value` the number, or the code of the class, that a model learns (null without a
target).
"""
REJECT_SCHEMA = {"id": pl.String, "stage": pl.String, "reason": pl.String, "detail": pl.String}
"""Columns of the reject ledger of a recipe's dataset; see `builds.reject_ledger`."""


@dataclass(frozen=True)
class LabelTable:
    """The labels of a dataset; those that are left out are in the ledger that they were read with."""

    table: pl.DataFrame
    """LABEL_SCHEMA, then the columns to carry along, whose names begin with EXTRA; in the file's order."""
    dropped: Mapping[str, int]
    """Labels that are left out, by reason."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how they were read."""
    geometries: NDArray[np.object_] | None = field(default=None, repr=False)
    """(labels,) outlines in WGS 84, of labels that are not points."""

    @property
    def read(self) -> int:
        """Labels of the file."""
        return self.table.height + sum(self.dropped.values())


class RejectLedger:
    """Labels that are left out: written at once and counted, so that no number of them fills the memory."""

    def __init__(self, file: ParquetBatches | None = None) -> None:
        """Write to an open file, or only count."""
        self._file = file
        self.counts: Counter[tuple[str, str]] = Counter()
        """By stage and reason, in the order in which they were first seen."""
        if file is not None:
            file.append(pl.DataFrame(schema=REJECT_SCHEMA))

    def append(self, rejects: pl.DataFrame) -> None:
        """Add labels.

        Args:
            rejects: REJECT_SCHEMA.
        """
        if rejects.is_empty():
            return
        counts = rejects.group_by("stage", "reason", maintain_order=True).len()
        for stage, reason, count in counts.iter_rows():
            self.counts[stage, reason] += count
        if self._file is not None:
            self._file.append(rejects)

    @property
    def by_reason(self) -> dict[str, int]:
        """How many labels are left out for each reason."""
        total: Counter[str] = Counter()
        for (_, reason), count in self.counts.items():
            total[reason] += count
        return dict(total)


class Dropped:
    """Which labels are still in question, and why the others are not; the first reason counts."""

    def __init__(self, ids: pl.Series) -> None:
        self._ids = ids
        self._parts: list[pl.DataFrame] = []
        self.kept: NDArray[np.bool_] = np.ones(len(ids), dtype=np.bool_)

    def drop(self, where: NDArray[np.bool_], reason: str, detail: str | pl.Series) -> None:
        """Drop labels.

        Args:
            where: (labels,) which ones; those that were dropped before are passed over.
            reason: a short code to count by.
            detail: a sentence for all, or one for each of `where`'s labels.
        """
        fresh = where & self.kept
        if not fresh.any():
            return
        if isinstance(detail, pl.Series):
            detail = detail.filter(pl.Series(fresh[where]))
        self._parts.append(reject_frame(self._ids.filter(pl.Series(fresh)), STAGE, reason, detail))
        self.kept &= ~fresh

    @property
    def rejects(self) -> pl.DataFrame:
        """The dropped labels in REJECT_SCHEMA."""
        return pl.concat([pl.DataFrame(schema=REJECT_SCHEMA), *self._parts])


def reject_frame(ids: pl.Series, stage: str, reason: str, detail: str | pl.Series) -> pl.DataFrame:
    """Return labels that one stage dropped for the same reason, in REJECT_SCHEMA.

    Args:
        ids: of the labels.
        stage: that dropped them.
        reason: one of those in WHOSE.
        detail: for people; one for all, or one for each.
    """
    return pl.DataFrame({"id": ids}, schema={"id": pl.String}).with_columns(
        stage=pl.lit(stage), reason=pl.lit(reason), detail=pl.lit(detail)
    )


def label_table(
    rows: LabelRows, labels: TableLabels, usable: NDArray[np.bool_], wanted: str, ledger: RejectLedger
) -> LabelTable:
    """Make labels of the rows of a file.

    Args:
        rows: of the file.
        labels: how the recipe reads them.
        usable: (rows,) whether the geometry of a row is of the right kind.
        wanted: what that kind is, for the ledger.
        ledger: of a dataset; gets the rows that are left out.

    Raises:
        RecipeError: a rule can't be used, a time can't be read, a class or number is of another type.
    """
    columns = rows.columns
    ids = _ids(columns, labels)
    dropped = Dropped(ids)
    dropped.drop(ids.is_null().to_numpy(), "no_id", "The label has no id.")
    dropped.drop(
        (ids.is_duplicated() & ~ids.is_first_distinct()).to_numpy(), "id_twice", "The id is there twice."
    )
    dropped.drop(~usable, "no_place", f"The label has no {wanted}.")
    centres = _centres(rows.geometries, usable)
    on_earth = (np.abs(centres[:, 0]) <= 180) & (np.abs(centres[:, 1]) <= 90)
    dropped.drop(
        usable & ~on_earth, "no_place", "The label is not at a longitude of -180 to 180 and a latitude."
    )
    plain = without_nan(columns)
    hint = "; a rule of labels looks at the columns of their file"
    for rule in check_rules(labels.keep, columns.schema, hint):
        failed = ~rule.passes(plain)
        dropped.drop(failed.to_numpy(), rule.name, rule.shortcomings(plain.filter(failed)))
    times = read_times(columns, labels)
    dropped.drop(times.missing, "no_time", "The label has no time.")
    values = _values(columns, labels.target, dropped)
    table = pl.DataFrame(
        {
            "id": ids,
            "longitude": centres[:, 0],
            "latitude": centres[:, 1],
            "start": times.start,
            "end": times.end,
            "value": values,
        },
        schema=LABEL_SCHEMA,
    ).with_columns(columns[name].alias(f"{EXTRA}{name}") for name in labels.extra)
    kept = pl.Series(dropped.kept)
    ledger.append(dropped.rejects)
    return LabelTable(table.filter(kept), ledger.by_reason, times.remarks, rows.geometries[dropped.kept])


def _ids(columns: pl.DataFrame, labels: TableLabels) -> pl.Series:
    if labels.id is None:
        return pl.Series("id", [str(row) for row in range(columns.height)], dtype=pl.String)
    return columns[labels.id].cast(pl.String).alias("id")


def _centres(geometries: NDArray[np.object_], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (rows, 2) longitude and latitude of the middle of the bounds; NaN where a row has none."""
    centres = np.full((len(geometries), 2), np.nan)
    bounds = bounds_of(geometries[usable])
    across = bounds[:, 0] > bounds[:, 2]
    bounds[across, 2] += 360
    found = (bounds[:, :2] + bounds[:, 2:]) / 2
    found[across & (found[:, 0] > 180), 0] -= 360
    centres[usable] = found
    return centres


def _values(columns: pl.DataFrame, target: Target | None, dropped: Dropped) -> pl.Series:
    """Return the number, or the code of the class, of each label."""
    if target is None:
        return pl.Series("value", [None] * columns.height, dtype=pl.Float64)
    column = columns[target.column]
    if target.classes is None:
        if not column.dtype.is_numeric():
            raise RecipeError(
                f"At labels.target: the column {target.column} is {column.dtype}, not a number; of categories"
                " name the classes, such as classes: {1: Maize, 2: Wheat}."
            )
        numbers = column.cast(pl.Float64)
        known = numbers.is_finite().fill_null(False)
        dropped.drop((~known).to_numpy(), "no_value", f"The label has no {target.column}.")
        return numbers
    codes = {**{str(code): code for code in target.classes}, **{n: c for c, n in target.classes.items()}}
    texts = column.cast(pl.Int64).cast(pl.String) if column.dtype.is_float() else column.cast(pl.String)
    values = texts.replace_strict(codes, default=None, return_dtype=pl.Float64)
    missing = values.is_null()
    allowed = ", ".join(f"{code} {name}" for code, name in target.classes.items())
    detail = pl.DataFrame({"value": texts.filter(missing)}).select(
        pl.format("{} is not a class of {}.", pl.col("value").fill_null("Nothing"), pl.lit(allowed))
    )
    dropped.drop(missing.to_numpy(), "no_class", detail.to_series())
    return values
