"""Summaries of what is in the lake, as counts of its tables."""

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.describe import (
    describe_dataset,
    describe_version,
    label_table,
    list_collections,
    list_datasets,
    split_table,
)
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, request


def test_collections_tell_their_items_and_annotations_by_label(lake: MadeLake) -> None:
    fair = lake.add("fair", {"a": 1, "b": 2})
    lake.add("empty", {"c": 3})
    operation = lake.annotate(fair, [box("a", "Balloon"), box("b", "Balloon"), box("b", "Cloud")], "machine")
    first, second = list_collections(lake.registry, lake.home)
    assert [(each.name, each.items) for each in (first, second)] == [("fair", 2), ("empty", 1)]
    [found] = first.operations
    assert (found.id, found.source, found.labels) == (operation.id, "machine", {"Balloon": 2, "Cloud": 1})
    assert second.operations == ()


def test_datasets_tell_their_versions_splits_and_labels(lake: MadeLake) -> None:
    fair = lake.add("fair", {name: number for number, name in enumerate("abcd")})
    lake.annotate(fair, [box("a", "Balloon"), box("b", "Cloud")])
    halves = {"train": 50.0, "test": 50.0, "validation": 0.0}
    version = create_version(
        lake.registry, lake.home, request(labels=("Cloud", "Balloon"), split_info=halves)
    )
    [dataset] = list_datasets(lake.registry, lake.home)
    assert dataset == describe_dataset(lake.registry, lake.home, "Balloons")
    [summary] = dataset.versions
    assert summary == describe_version(lake.registry, lake.home, version.id)
    assert (summary.items, summary.labels) == (4, {"Cloud": 1, "Balloon": 1})
    assert split_table(summary).rows() == [("train", 2), ("test", 2), ("validation", 0)]
    assert label_table(summary).rows() == [("Cloud", 1), ("Balloon", 1)]
    assert (summary.exports, summary.state, summary.damage) == ((), "ready", None)
    assert summary.leaks


def test_what_is_not_there_is_told(lake: MadeLake) -> None:
    with pytest.raises(RegistryError):
        describe_dataset(lake.registry, lake.home, "none")
    with pytest.raises(RegistryError):
        describe_version(lake.registry, lake.home, "none")
