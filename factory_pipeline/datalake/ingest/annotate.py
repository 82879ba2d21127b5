"""Adding annotations by people or by a model to the items of a collection, as one operation with an id."""

import re
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
from factory_pipeline.storage.folders import publish_folder, remove_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home, resolve

DOCUMENTS = (".geojson", ".json")


class AnnotationFormat(StrEnum):
    """Formats of annotations."""

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
    """Add annotations to the items of a collection and return the operation; see `annotate`.

    Args:
        registry: as for `annotate`.
        home: as for `annotate`.
        collection_id: as for `annotate`.
        source: as for `annotate`.
        path: as for `annotate`.
        **options: the keyword arguments of `annotate`.

    Raises:
        ArgumentError, LakeError, RegistryError: as `annotate`.
    """
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
    """Add annotations to the items of a collection, as one operation.

    The same annotations of the same source again are the same operation. The input files are not needed
    afterwards.

    Args:
        registry: contains the collection.
        home: contains its tables.
        collection_id: of a collection that is not deleted.
        source: who annotated: `human` or `machine`.
        path: a GeoJSON file, a COCO file, or a folder of masks; see `geojson`, `coco` and `masks`.
        format: of the annotations; None detects it.
        label_property: property of GeoJSON features that is the label.
        label_map: the name of each value of masks, or a file with it.
        name_ending: text after the names of items in the names of images or masks.
        match: a regular expression that finds the name of the item in the name of an image or mask: its first
            group, else the full match.

    Returns:
        The operation, and a report on which annotations were added.

    Raises:
        ArgumentError: source, format or match is not allowed.
        LakeError: the annotations are not valid or do not fit the items; nothing is stored then.
        RegistryError: the collection does not exist or is deleted.
    """
    by = _parse_choice(AnnotationSource, source, "source")
    kind = None if format is None else _parse_choice(AnnotationFormat, format, "format")
    pattern = _pattern(match)
    collection = registry.collection(collection_id)
    if collection.deleted_at is not None:
        raise RegistryError(f"The collection {collection_id} is deleted, so it can't be annotated.")
    if kind is AnnotationFormat.MASKS or (kind is None and path.is_dir()):
        return _add_masks(registry, home, collection, by, path, label_map, name_ending, pattern)
    if kind is None and path.suffix.lower() not in DOCUMENTS:
        raise LakeError(
            f"The format of {path.name} can't be derived from its name; allowed are"
            f" {' and '.join(DOCUMENTS)} (GeoJSON"
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
        raise ArgumentError("match", match, f"it is not a regular expression: {error}") from None


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
        raise LakeError(f"{folder} is not a folder; masks must be a folder of rasters.")
    files = home.collection(collection.name, collection.content_hash)
    with _scratch(files.root) as copies:
        items = resolve(collection.items_path, home)
        read = read_masks(folder, items, copies, label_map, name_ending, match)
        annotations = read.frame
        stored_masks = files.masks(annotations_hash(annotations, source))
        known = stored_masks.exists()
        if not known:
            publish_folder(copies, stored_masks)
    try:
        kept = pl.lit(f"{relative_to_home(stored_masks, home)}/") + pl.col("raster").struct.field("path")
        raster = pl.col("raster").struct.with_fields(kept.alias("path"))
        operation = add_operation(registry, home, collection, source, annotations.with_columns(raster))
    except BaseException:
        if not known:
            remove_folder(stored_masks)
        raise
    return operation, _report(operation, read)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder in a folder.

    It is removed at the end of the block unless the block moves it.
    """
    scratch = folder / f".{uuid.uuid4().hex}.part"
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        remove_folder(scratch)


def _parse_choice(kind: Any, value: Any, argument: str) -> Any:
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
