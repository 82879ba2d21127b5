"""A manifest that was changed or is broken: no reader of the version takes it, and lists mark it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datasets.request import ItemType
from factory_pipeline.datasets.versions.compare import compare_versions
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.describe import describe_version, list_collections, list_datasets
from factory_pipeline.datasets.versions.manifest import check_manifest
from factory_pipeline.errors import LakeError
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, mask, measured, polygon, request

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SPLIT = {"train": 50.0, "test": 50.0, "validation": 0.0}


@pytest.fixture
def version(lake: MadeLake) -> Version:
    """A version with all kinds of annotations and metadata."""
    collection = lake.add(
        "a", {"one": 1, "two": 2}, {"tags": [["water", "öl"], None], "height": [7.5, float("nan")]}
    )
    raster = lake.raster("classes", 3, nodata=0)
    rows = [
        box("one", "Balloon", confidence=0.1),
        polygon("two", "Balloon"),
        mask("one", "Balloon", raster, 3),
        measured("two", "AGBD", lake.raster("agbd", 1.5, "float32")),
    ]
    lake.annotate(collection, rows)
    return create_version(lake.registry, lake.home, request(split_info=SPLIT, labels=("Balloon", "AGBD")))


def rewrite(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change the rows of a manifest and keep its header, as somebody might who means no harm."""
    stored = pq.read_table(path)
    changed = change(pl.DataFrame(pl.from_arrow(stored))).to_arrow().cast(stored.schema)
    pq.write_table(changed.replace_schema_metadata(stored.schema.metadata), path)


def move_to_test(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(split=pl.lit("test"))


def test_a_manifest_as_it_was_made_fits_its_hash(lake: MadeLake, version: Version) -> None:
    path = lake.home.version(version.id).manifest
    assert check_manifest(path, version.content_hash).content_hash == version.content_hash
    rewrite(path, lambda rows: rows)
    check_manifest(path, version.content_hash)


READERS: dict[str, Callable[[MadeLake, Version], Any]] = {
    "export": lambda lake, version: open_content(lake.registry, lake.home, version.id),
    "update": lambda lake, version: create_version(
        lake.registry, lake.home, request(dataset_version_id=version.id)
    ),
    "compare": lambda lake, version: compare_versions(lake.home, version, version),
    "datasets": lambda lake, _: create_version(
        lake.registry, lake.home, request(dataset_name="Other", item_type=ItemType.DATASET)
    ),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "change",
    [move_to_test, lambda rows: rows.head(1), lambda rows: rows.with_columns(annotations=pl.lit([]))],
    ids=["moved", "removed", "unlabelled"],
)
def test_whatever_reads_a_version_refuses_a_manifest_that_was_changed(
    lake: MadeLake,
    version: Version,
    read: Callable[[MadeLake, Version], Any],
    change: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    rewrite(lake.home.version(version.id).manifest, change)
    with pytest.raises(LakeError, match=r"manifest\.parquet has changed since its version was made"):
        read(lake, version)
    assert len(lake.registry.datasets()) == 1
    assert len(lake.registry.versions(version.dataset_id, with_deleted=True)) == 1


def test_counts_in_the_header_are_checked_too(lake: MadeLake, version: Version) -> None:
    path = lake.home.version(version.id).manifest
    stored = pq.read_table(path)
    header = stored.schema.metadata[b"factory-version"].replace(b'"train": 1', b'"train": 9')
    assert header != stored.schema.metadata[b"factory-version"]
    metadata = {**stored.schema.metadata, b"factory-version": header}
    pq.write_table(stored.replace_schema_metadata(metadata), path)
    with pytest.raises(LakeError, match="has changed since its version was made; restore the original"):
        open_content(lake.registry, lake.home, version.id)


@pytest.mark.parametrize("harm", ["missing", "cut off", "no header", "odd header", "of another version"])
def test_one_damaged_version_is_listed_as_such_and_the_others_as_they_are(
    lake: MadeLake, version: Version, harm: str
) -> None:
    other = create_version(lake.registry, lake.home, request(dataset_name="Others"))
    path = lake.home.version(version.id).manifest
    stored = pq.read_table(path)
    match harm:
        case "missing":
            path.unlink()
        case "cut off":
            path.write_bytes(path.read_bytes()[:-100])
        case "no header":
            pq.write_table(stored.replace_schema_metadata({}), path)
        case "odd header":
            pq.write_table(stored.replace_schema_metadata({"factory-version": "{}"}), path)
        case "of another version":
            path.write_bytes(lake.home.version(other.id).manifest.read_bytes())
    damaged, whole = list_datasets(lake.registry, lake.home)
    assert [each.state for each in (*damaged.versions, *whole.versions)] == ["damaged", "ready"]
    assert whole.versions[0].items == 2
    [summary] = damaged.versions
    assert summary == describe_version(lake.registry, lake.home, version.id)
    assert (summary.items, summary.content_hash) == (0, version.content_hash)
    assert "manifest" in str(summary.damage)
    assert f"1.0.0    {version.id}  damaged. The " in str(damaged)
    assert str(summary).splitlines()[1] == summary.damage


def test_damaged_annotations_leave_the_list_of_collections_readable(lake: MadeLake, version: Version) -> None:
    whole = lake.add("b", {"three": 3})
    lake.annotate(whole, [box("three", "Bird")])
    [operation] = lake.registry.operations(lake.registry.collections()[0].id)
    (lake.home.root / operation.path).write_bytes(b"no table")
    first, second = list_collections(lake.registry, lake.home)
    assert (first.operations[0].labels, second.operations[0].labels) == ({}, {"Bird": 1})
    assert "can't be read" in str(first)
    (lake.home.root / operation.path).unlink()
    assert "are missing" in str(list_collections(lake.registry, lake.home)[0])
    assert version.content_hash
