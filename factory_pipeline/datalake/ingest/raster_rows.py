"""Rows of tables that point to rasters in dataset files: media of items, and annotations."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datalake.tables.annotations import NOTHING
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, LABEL_RASTER, MEDIA, AnnotationType

ROWS_AT_ONCE = 2048
"""Rows of a table that are made together: what they are made of takes ten times their own memory."""


def slices_of(rows: range, size: int) -> Iterator[range]:
    """Yield slices of rows; of no rows, one without any, which has the columns of a table.

    Args:
        rows: all of them.
        size: rows of a slice; the last may be short.
    """
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size]


def concatenate(parts: Iterable[Sequence[pl.DataFrame]]) -> list[pl.DataFrame]:
    """Return the tables that several parts have, each with the rows of all parts; a column is one array."""
    return [pl.concat(tables, rechunk=True) for tables in zip(*parts, strict=True)]


def media_of(modality: str, path: str, member: str, facts: dict[str, Any], sha256: str) -> pl.Expr:
    """Return a raster of each item in MEDIA.

    Args:
        modality: of the raster.
        path: of the file, as in tables.
        member: of the file.
        facts: `bands`, `rgb`, `dtype` and `nodata`.
        sha256: column with the hash of each; a column `row` has the rows in the member.
    """
    return pl.struct(
        pl.lit(modality).alias("modality"),
        pl.lit(path).alias("path"),
        pl.lit(member).alias("member"),
        pl.col("row").cast(pl.Int64),
        pl.lit(facts["bands"], pl.List(pl.String)).alias("bands"),
        pl.lit(facts["rgb"], pl.List(pl.Int64)).alias("rgb"),
        pl.lit(facts["dtype"]).alias("dtype"),
        pl.lit(facts["nodata"], pl.Float64).alias("nodata"),
        pl.col(sha256).alias("sha256"),
    ).cast(MEDIA)


def raster_annotations(
    frame: pl.DataFrame, kind: AnnotationType, path: str, member: str, nodata: float
) -> pl.DataFrame:
    """Return annotations of rasters in ANNOTATION_SCHEMA.

    Args:
        frame: `item`, `row` in the member, `sha256`, `label`, and `value`, the class of a mask.
        kind: a mask, or measured values.
        path: of the file, as in tables.
        member: of the file.
        nodata: the value of pixels without a label.
    """
    raster = pl.struct(
        pl.lit(path).alias("path"),
        pl.lit(member).alias("member"),
        pl.col("row").cast(pl.Int64),
        "value",
        pl.lit(nodata).alias("nodata"),
        "sha256",
    )
    return frame.select(
        "item",
        pl.lit(kind.value).alias("type"),
        "label",
        pl.lit(None).alias("bbox"),
        pl.lit(None).alias("rings"),
        raster.cast(LABEL_RASTER).alias("raster"),
        pl.lit(None).alias("confidence"),
        pl.lit(NOTHING).alias("metadata"),
        pl.lit(NOTHING).alias("attributes"),
    ).cast(pl.Schema(ANNOTATION_SCHEMA))


def decode_texts(values: NDArray[Any]) -> list[str]:
    """Return fixed-length texts of a file as strings."""
    return [value.decode() for value in values.tolist()]
