"""Storing annotations as a table of their collection, registered as an operation with an id."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, Operation
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_hash, write_annotations
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home


def add_operation(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    source: AnnotationSource,
    annotations: pl.DataFrame,
) -> Operation:
    """Write annotations of a collection's items, in ANNOTATION_SCHEMA, and register them as one operation.

    The same annotations by the same source again are the same operation.

    Args:
        registry: contains the collection.
        home: the table is written into the folder of the collection.
        collection: that the annotations belong to.
        source: who annotated.
        annotations: in ANNOTATION_SCHEMA; may be empty.

    Raises:
        RegistryError: the collection is deleted; nothing is stored then.
    """
    files = home.collection(collection.name, collection.content_hash)
    path = files.annotations(annotations_hash(annotations, source))
    with _unlink_on_error(path):
        write_annotations(path, annotations)
        return registry.add_operation(collection.id, source, path=relative_to_home(path, home))


@contextmanager
def _unlink_on_error(path: Path) -> Iterator[None]:
    """Remove a table that the block writes and fails to register, unless it existed before."""
    known = path.exists()
    try:
        yield
    except BaseException:
        if not known:
            path.unlink(missing_ok=True)
        raise
