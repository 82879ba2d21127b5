"""The tables of a collection, and the identity of its items."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import AnnotationSource, Operation
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, MEDIA
from factory_pipeline.datasets.versions.collection_tables import CONTENT, content_hashes, operation_order
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import LakeError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    request,
)

pytestmark = pytest.mark.integration


def test_missing_tables_are_named(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    (lake.home.root / collection.items_path).unlink()
    with pytest.raises(LakeError, match=r"items\.parquet are missing"):
        create_version(lake.registry, lake.home, request())


def operation(source: str, path: str, name: str = "o") -> Operation:
    return Operation(name, "c", AnnotationSource(source), path, datetime(2026, 1, 1, tzinfo=UTC))


def test_operations_come_in_one_order_in_every_registry() -> None:
    """Those of people first, then by the names of their files, which depend on their content."""
    given = [
        operation("machine", "x/annotations-a.parquet"),
        operation("human", "x/annotations-c.parquet"),
        operation("human", "y/annotations-b.parquet"),
    ]
    assert [each.path for each in sorted(given, key=operation_order)] == [
        "y/annotations-b.parquet",
        "x/annotations-c.parquet",
        "x/annotations-a.parquet",
    ]


def item(name: str, *hashes: str | None, transform: list[float] | None = None) -> dict[str, Any]:
    blank = dict.fromkeys(MEDIA.to_schema()) | {"path": f"{name}.h5", "member": "data/S2", "row": 3}
    media = [blank | {"modality": f"m{number}", "sha256": each} for number, each in enumerate(hashes)]
    return dict.fromkeys(ITEM_SCHEMA) | {"id": name, "media": media, "proj:transform": transform}


def test_the_identity_of_an_item_is_that_of_its_rasters_and_its_place() -> None:
    items = [
        item("a", "x", "y"),
        item("b", "x", "y"),
        item("c", "y", "x"),
        item("d", "x", "y", transform=[10.0, 0, 0, 0, -10, 0]),
        item("e", None),
        item("f", None),
        item("g"),
    ]
    found = content_hashes(pl.DataFrame(items, schema=ITEM_SCHEMA).select(CONTENT))
    assert found[0] == found[1]
    assert found.n_unique() == len(items) - 1
    backwards = [each | {"media": each["media"][::-1]} for each in items]
    assert content_hashes(pl.DataFrame(backwards, schema=ITEM_SCHEMA).select(CONTENT)).equals(found)
