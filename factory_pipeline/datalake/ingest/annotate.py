"""Adding annotations to the items of a collection: an operation with an id, by people or by a model."""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import polars as pl

from factory_pipeline.datalake.ingest.json_input import read_json
from factory_pipeline.datalake.ingest.operations import add_operation
from factory_pipeline.datalake.ingest.read_coco import LISTS, read_coco
from factory_pipeline.datalake.ingest.read_geojson import read_geojson
from factory_pipeline.datalake.ingest.read_masks import LabelMap, read_masks
from factory_pipeline.datalake.ingest.report import AnnotationReport, ReadAnnotations
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, Operation
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_hash, objects_by_label
from factory_pipeline.errors import ArgumentError, LakeError, RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve

DOCUMENTS = (".geojson", ".json")


class AnnotationFormat(StrEnum):
    """What annotations come in."""

    GEOJSON = "geojson"
    COCO = "coco"
    MASKS = "masks"


def add_annotations(
    registry: Registry,
    home: FactoryHome,
    collection_id: str,
    source: Literal["human", "machine"] | AnnotationSource,
    path: Path,
    **options: Any,
) -> Operation:
    """Add annotations to items that a collection has; as `annotate`, without its report."""
    return annotate(registry, home, collection_id, source, path, **options)[0]


def annotate(
    registry: Registry,
    home: FactoryHome,
    collection_id: str,
    source: Literal["human", "machine"] | AnnotationSource,
    path: Path,
    *,
    format: Literal["geojson", "coco", "masks"] | AnnotationFormat | None = None,
    label_property: str = "label",
    label_map: LabelMap | Path | None = None,
    name_ending: str = "",
    match: str | None = None,
) -> tuple[Operation, AnnotationReport]:
    """Add annotations to items that a collection has; they are one operation.

    The same annotations of the same source again are the same operation. Nothing refers to the given files
    afterwards.

    Args:
        registry: knows the collection.
        home: holds its tables.
        collection_id: of a living collection.
        source: who annotated: `human` or `machine`.
        path: a GeoJSON file, a COCO file, or a folder of masks; see `geojson`, `coco` and `masks`.
        format: what it is; None finds out.
        label_property: which property of GeoJSON features is the label.
        label_map: the name of each value of masks, or a file with it.
        name_ending: what follows the names of items in the names of images or masks.
        match: a regular expression that finds the name of the item in the name of an image or mask: its first
            group, else all that it matches.

    Returns:
        The operation, and what became of the annotations that were given.

    Raises:
        ArgumentError: source, format or match is not allowed.
        LakeError: the annotations are broken or do not fit the items; nothing is left then.
        RegistryError: there is no such living collection.
    """
    by = _one_of(AnnotationSource, source, "source")
    kind = None if format is None else _one_of(AnnotationFormat, format, "format")
    pattern = _pattern(match)
    collection = registry.collection(collection_id)
    if collection.deleted_at is not None:
        raise RegistryError(f"The collection {collection_id} is deleted; only a living one can be annotated.")
    if kind is AnnotationFormat.MASKS or (kind is None and path.is_dir()):
        return _add_masks(registry, home, collection, by, path, label_map, name_ending, pattern)
    if kind is None and path.suffix.lower() not in DOCUMENTS:
        raise LakeError(
            f"What {path.name} is can't be told from its name; allowed are {' and '.join(DOCUMENTS)} (GeoJSON"
            " or COCO), and a folder of masks."
        )
    document, items = read_json(path), resolve(collection.items_path, home)
    if (kind or _kind_of(document, path)) is AnnotationFormat.GEOJSON:
        read = read_geojson(document, path.name, items, label_property, name_ending, pattern)
    else:
        read = read_coco(document, path.name, items, name_ending, pattern)
    operation = add_operation(registry, home, collection, by, read.frame)
    return operation, _report(operation, read)


def _report(operation: Operation, read: ReadAnnotations) -> AnnotationReport:
    count = sum(count for _, count in objects_by_label(read.frame.lazy(), "item").collect().iter_rows())
    return AnnotationReport(operation.id, read.matched, tuple(read.unmatched), count, read.left_out)


def _pattern(match: str | None) -> re.Pattern[str] | None:
    try:
        return None if match is None else re.compile(match)
    except re.error as error:
        raise ArgumentError("match", match, f"it is no regular expression: {error}") from None


def _add_masks(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    source: AnnotationSource,
    folder: Path,
    label_map: LabelMap | Path | None,
    name_ending: str,
    match: re.Pattern[str] | None,
) -> tuple[Operation, AnnotationReport]:
    if not folder.is_dir():
        raise LakeError(f"{folder} is no folder; masks are given as a folder of rasters.")
    files = home.collection(collection.name, collection.content_hash)
    with _scratch(files.root) as copies:
        items = resolve(collection.items_path, home)
        read = read_masks(folder, items, copies, label_map, name_ending, match)
        annotations = read.frame
        place = files.masks(annotations_hash(annotations, source))
        known = place.exists()
        if not known:
            os.sync()
            copies.rename(place)
    try:
        kept = pl.lit(f"{relative_to_home(place, home)}/") + pl.col("raster").struct.field("path")
        raster = pl.col("raster").struct.with_fields(kept.alias("path"))
        operation = add_operation(registry, home, collection, source, annotations.with_columns(raster))
    except BaseException:
        if not known:
            shutil.rmtree(place, ignore_errors=True)
        raise
    return operation, _report(operation, read)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder in a folder for as long as the block lasts, unless the block moves it."""
    scratch = folder / f".{uuid.uuid4().hex}.part"
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _one_of(kind: Any, value: Any, argument: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(repr(member.value) for member in kind)
        raise ArgumentError(argument, value, f"allowed are {allowed}") from None


def _kind_of(document: Any, path: Path) -> AnnotationFormat:
    if isinstance(document, dict) and all(key in document for key in LISTS):
        return AnnotationFormat.COCO
    if isinstance(document, dict) and document.get("type") in ("FeatureCollection", "Feature"):
        return AnnotationFormat.GEOJSON
    raise LakeError(
        f"The file {path.name} is neither GeoJSON (a FeatureCollection) nor COCO (with the lists"
        f" {', '.join(LISTS)})."
    )
