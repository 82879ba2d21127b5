"""Writing down annotations where the registry finds them: as a table of their collection, under an id."""

import polars as pl

from factory_pipeline.lake.annotations import annotations_hash, write_annotations
from factory_pipeline.lake.places import relative_to_home
from factory_pipeline.registry.records import AnnotationSource, Collection, Operation
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome


def add_operation(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    source: AnnotationSource,
    annotations: pl.DataFrame,
) -> Operation:
    """Write annotations of a collection's items, in ANNOTATION_SCHEMA, and register them as one operation.

    The same annotations by the same source again are the same operation.

    Raises:
        RegistryError: the collection is deleted; nothing is left then.
    """
    path = home.collection(collection.name, collection.content_hash).annotations(
        annotations_hash(annotations, source)
    )
    known = path.exists()
    write_annotations(path, annotations)
    try:
        return registry.add_operation(collection.id, source, path=relative_to_home(path, home))
    except BaseException:
        if not known:
            path.unlink(missing_ok=True)
        raise
