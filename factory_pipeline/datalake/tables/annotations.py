"""The annotations of one operation as a table: shapes, and the paths of the rasters of masks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.datalake.tables.content_hash import RowsHash
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, GROUP
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches, read_key_values

CLASSES = "classes"
"""Key of the table's metadata with the names of classes, where those are known beside the annotations."""
NOTHING = "{}"
"""`metadata` and `attributes` of an annotation without any."""


class AnnotationBatches:
    """An open table of annotations that rows are appended to."""

    def __init__(self, file: ParquetBatches) -> None:
        self._file = file

    def append(self, rows: pl.DataFrame) -> None:
        """Append rows in ANNOTATION_SCHEMA."""
        self._file.append(rows.select(list(ANNOTATION_SCHEMA)).cast(pl.Schema(ANNOTATION_SCHEMA)))

    def declare_classes(self, classes: Sequence[str]) -> None:
        """Keep the names of classes, of which some may have no annotation."""
        self._file.describe({CLASSES: list(classes)})


@contextmanager
def annotations_writer(path: Path) -> Iterator[AnnotationBatches]:
    """Write the annotations of an operation batch by batch, atomically."""
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        batches = AnnotationBatches(file)
        batches.append(annotation_frame([]))
        yield batches


def write_annotations(path: Path, annotations: pl.DataFrame) -> None:
    """Write the annotations of an operation, in ANNOTATION_SCHEMA.

    Args:
        path: of the Parquet file.
        annotations: in ANNOTATION_SCHEMA; may be empty.
    """
    with annotations_writer(path) as batches:
        batches.append(annotations)


def scan_annotations(path: Path) -> pl.LazyFrame:
    """Return the annotations of an operation as a lazy table in ANNOTATION_SCHEMA.

    Raises:
        LakeError: the file is missing.
    """
    if not path.exists():
        raise LakeError(f"The annotations {path} are missing; their collection is damaged.")
    return pl.scan_parquet(path).select(list(ANNOTATION_SCHEMA))


def read_classes(path: Path) -> list[str]:
    """Return the classes that the annotations of an operation were made with; empty where none are kept.

    Raises:
        LakeError: the file is missing.
    """
    if not path.exists():
        raise LakeError(f"The annotations {path} are missing; their collection is damaged.")
    kept = read_key_values(path).get(CLASSES)
    return [] if kept is None else list(json.loads(kept))


def objects_by_label(annotations: pl.LazyFrame, *of: str) -> pl.LazyFrame:
    """Count annotations by label; parts of one object count once.

    Args:
        annotations: `label` and `metadata`, as in ANNOTATION_SCHEMA.
        of: the columns that identify the items and operations of the annotations.

    Returns:
        `label`, `len`, ordered by label.
    """
    group = pl.col("metadata").str.json_path_match(f"$.{GROUP}")
    parts = pl.struct(*of, group.alias("group")).filter(group.is_not_null())
    counted = group.is_null().sum() + parts.n_unique()
    return annotations.group_by("label").agg(len=counted.cast(pl.UInt32)).sort("label")


def annotation_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a frame; a column that a row lacks is null, or an empty JSON object."""
    blank = dict.fromkeys(ANNOTATION_SCHEMA) | {"metadata": NOTHING, "attributes": NOTHING}
    columns: dict[str, Any] = {name: [row.get(name, empty) for row in rows] for name, empty in blank.items()}
    if any(columns["rings"]):
        # For polygons alone: where pandas is installed, Arrow imports it for this, a third of a second.
        import pyarrow as pa

        # Arrow nests their points some twenty times faster than polars, which makes a series of each.
        rings = pa.large_list(pa.large_list(pa.large_list(pa.float64())))
        columns["rings"] = pl.Series(pl.from_arrow(pa.array(columns["rings"], rings)))
    return pl.DataFrame(columns, schema=ANNOTATION_SCHEMA)


class AnnotationsHash:
    """The identity of an operation: SHA-256 of its source and of every annotation."""

    def __init__(self, source: str) -> None:
        """Start without annotations."""
        self._rows = RowsHash(f"annotations by {source}")

    def update(self, annotations: pl.DataFrame) -> None:
        """Add annotations; the result does not depend on their division into batches."""
        self._rows.update(annotations.select(list(ANNOTATION_SCHEMA)))

    def hexdigest(self) -> str:
        """Return the hash of all annotations so far, in hex."""
        return self._rows.hexdigest()


def annotations_hash(annotations: pl.DataFrame, source: str) -> str:
    """Return the AnnotationsHash of a table.

    Args:
        annotations: in ANNOTATION_SCHEMA.
        source: who annotated.
    """
    found = AnnotationsHash(source)
    found.update(annotations)
    return found.hexdigest()
