"""Annotations are stored and registered together or not at all."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.datalake.ingest.operations import add_operation
from factory_pipeline.datalake.registry.records import AnnotationSource
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA
from factory_pipeline.errors import RegistryError
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, made_lake

HUMAN = AnnotationSource.HUMAN


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as made:
        yield made


def annotations(*labels: str) -> pl.DataFrame:
    blank = dict.fromkeys(ANNOTATION_SCHEMA) | {"metadata": "{}", "attributes": "{}"}
    return pl.DataFrame([blank | box("a", label) for label in labels], schema=ANNOTATION_SCHEMA)


def tables(lake: MadeLake) -> list[Path]:
    return sorted(lake.home.root.rglob("annotations-*.parquet"))


def test_the_same_annotations_by_the_same_source_are_one_operation(lake: MadeLake) -> None:
    collection, said = lake.add("fair", {"a": 1}), annotations("Balloon")
    first = add_operation(lake.registry, lake.home, collection, HUMAN, said)
    assert add_operation(lake.registry, lake.home, collection, HUMAN, said) == first
    other = add_operation(lake.registry, lake.home, collection, AnnotationSource.MACHINE, said)
    assert other.id != first.id
    stored = scan_annotations(resolve(first.path, lake.home)).collect()
    assert stored["label"].to_list() == ["Balloon"]
    assert len(tables(lake)) == 2


def test_of_a_deleted_collection_nothing_new_is_stored_and_what_was_there_stays(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    add_operation(lake.registry, lake.home, collection, HUMAN, annotations("Balloon"))
    before = tables(lake)
    lake.registry.delete_collection(collection.id)
    for said in (annotations("Balloon"), annotations("Cloud")):
        with pytest.raises(RegistryError):
            add_operation(lake.registry, lake.home, collection, HUMAN, said)
    assert tables(lake) == before
