"""What summaries of datasets say to people."""

from datetime import UTC, datetime
from typing import Any

import pytest

from factory_pipeline.datasets.versions.summaries import (
    MOST_NAMED,
    CollectionSummary,
    Comparison,
    DatasetSummary,
    OperationSummary,
    VersionSummary,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version(**more: Any) -> VersionSummary:
    given = {
        "id": "v1",
        "number": "1.0.0",
        "dataset_id": "d1",
        "dataset": "Balloons",
        "state": "ready",
        "created": NOW,
        "content_hash": "abc",
        "source_version_id": None,
        "items": 1200,
        "splits": {"train": 1000, "test": 200},
        "labels": {"Balloon": 3},
        "exports": ("COCO",),
        "request": {},
    }
    return VersionSummary(**(given | more))  # type: ignore[arg-type]


def test_a_version_tells_items_by_split_and_what_may_be_wrong_with_it() -> None:
    told = str(version(leaks="Nothing leaks."))
    assert "Items    1,200: 1000 train, 200 test, 0 validation" in told
    assert "Leaks    Nothing leaks." in told
    assert "Exports  COCO" in told
    assert "Leaks" not in str(version())
    damaged = version(damage="It is gone.", state="damaged")
    assert str(damaged) == "Balloons 1.0.0  damaged  v1\nIt is gone."
    assert "damaged. It is gone." in str(DatasetSummary(id="d", name="B", created=NOW, versions=(damaged,)))
    assert version().partition == version(items=3).partition


@pytest.mark.parametrize("kind", ["operation", "collection", "dataset", "version"])
def test_control_characters_of_names_are_not_printed(kind: str) -> None:
    name = "a\x1b[31mb"
    operation = OperationSummary(id="o", source="human", labels={name: 1}, created=NOW)
    told = {
        "operation": operation,
        "collection": CollectionSummary(
            id="c", name=name, source="upload", items=1, operations=(operation,), created=NOW
        ),
        "dataset": DatasetSummary(id="d", name=name, created=NOW, versions=()),
        "version": version(dataset=name, labels={name: 1}),
    }
    assert "\x1b" not in str(told[kind])


def comparison(**more: Any) -> Comparison:
    given: dict[str, Any] = {
        **dict.fromkeys(("added", "removed", "moved", "reannotated", "labels_added", "labels_removed"), ()),
        **dict.fromkeys(("annotations_added", "annotations_removed"), 0),
        **dict.fromkeys(("augmentations_changed", "is_same"), False),
    }
    return Comparison("1.0.0", "1.1.0", **(given | more))


def test_a_comparison_tells_what_changed_and_names_a_few() -> None:
    names = tuple(f"item {number}" for number in range(MOST_NAMED + 3))
    moved = (("a", "train", "test"), ("b", "train", "test"), ("c", "test", "validation"))
    told = str(comparison(added=names, moved=moved, annotations_added=3, labels_removed=("Cloud",)))
    assert told.splitlines()[0] == "1.0.0 -> 1.1.0"
    assert f"{MOST_NAMED + 3} (item 0, item 1, item 2, item 3, item 4, ...)" in told
    assert "1 test -> validation, 2 train -> test" in told
    assert "3 added, 0 removed" in told
    assert "Labels removed:     Cloud" in told
    assert "Items removed" not in told


def test_the_same_content_and_other_metadata_are_told_apart() -> None:
    assert str(comparison(is_same=True)) == "1.0.0 -> 1.1.0: the same content"
    assert "with other metadata" in str(comparison())
