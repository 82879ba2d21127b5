"""The annotations of one operation as a table: what was drawn, and where the rasters of masks lie."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.datalake.tables.content_hash import RowsHash
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, GROUP
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches

NOTHING = "{}"
"""`metadata` and `attributes` of an annotation that has none."""


class AnnotationBatches:
    """An open table of annotations that rows are appended to."""

    def __init__(self, file: ParquetBatches) -> None:
        self._file = file

    def append(self, rows: pl.DataFrame) -> None:
        """Add rows in ANNOTATION_SCHEMA."""
        self._file.append(rows.select(list(ANNOTATION_SCHEMA)).cast(pl.Schema(ANNOTATION_SCHEMA)))


@contextmanager
def annotations_writer(path: Path) -> Iterator[AnnotationBatches]:
    """Write the annotations of an operation batch by batch, whole or not at all."""
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        batches = AnnotationBatches(file)
        batches.append(annotation_frame([]))
        yield batches


def write_annotations(path: Path, annotations: pl.DataFrame) -> None:
    """Write the annotations of an operation, in ANNOTATION_SCHEMA."""
    with annotations_writer(path) as batches:
        batches.append(annotations)


def scan_annotations(path: Path) -> pl.LazyFrame:
    """The annotations of an operation, lazily, in ANNOTATION_SCHEMA.

    Raises:
        LakeError: the file is missing.
    """
    if not path.exists():
        raise LakeError(f"The annotations {path} are missing; the collection that they belong to is broken.")
    return pl.scan_parquet(path).select(list(ANNOTATION_SCHEMA))


def objects_by_label(annotations: pl.LazyFrame, *of: str) -> pl.LazyFrame:
    """Count annotations by label; parts of one object count once.

    Args:
        annotations: `label` and `metadata`, as in ANNOTATION_SCHEMA.
        of: the columns that tell apart the items and operations whose annotations these are.

    Returns:
        `label`, `len`, ordered by label.
    """
    group = pl.col("metadata").str.json_path_match(f"$.{GROUP}")
    parts = pl.struct(*of, group.alias("group")).filter(group.is_not_null())
    counted = group.is_null().sum() + parts.n_unique()
    return annotations.group_by("label").agg(len=counted.cast(pl.UInt32)).sort("label")


def annotation_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Annotations given as rows; a column that a row lacks is null, or an empty JSON object."""
    blank = dict.fromkeys(ANNOTATION_SCHEMA) | {"metadata": NOTHING, "attributes": NOTHING}
    return pl.DataFrame([blank | row for row in rows], schema=ANNOTATION_SCHEMA)


class AnnotationsHash:
    """What identifies an operation: SHA-256 of who annotated and of every annotation."""

    def __init__(self, source: str) -> None:
        """No annotation yet."""
        self._rows = RowsHash(f"annotations by {source}")

    def update(self, annotations: pl.DataFrame) -> None:
        """Take in more annotations; how they are divided does not matter."""
        self._rows.update(annotations.select(list(ANNOTATION_SCHEMA)))

    def hexdigest(self) -> str:
        """In hex, of all annotations so far."""
        return self._rows.hexdigest()


def annotations_hash(annotations: pl.DataFrame, source: str) -> str:
    """The AnnotationsHash of a whole table."""
    found = AnnotationsHash(source)
    found.update(annotations)
    return found.hexdigest()
