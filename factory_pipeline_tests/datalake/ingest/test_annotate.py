"""Adding annotations to a collection: what is the same in every format."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import shapely

from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.ingest.delete import delete_collection
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import ArgumentError, LakeError, RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.factories import (
    collection_of,
    picture,
    rows_of,
    tables_in,
    written,
)


def features(*labels: str) -> dict[str, Any]:
    """A square for each label on the picture `one`."""
    geometry = shapely.geometry.mapping(shapely.box(1, 1, 4, 4))
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": geometry, "properties": {"label": label, "item": "one"}}
            for label in labels
        ],
    }


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


@pytest.fixture
def collection(registry: Registry, home: FactoryHome) -> Collection:
    return collection_of(registry, home, picture("one", 8))


def test_the_same_annotations_are_the_same_operation(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat", "Buoy"))
    again = written(tmp_path / "b.json", features("Boat", "Buoy"))
    other = written(tmp_path / "c.json", features("Buoy"))
    first = add_annotations(registry, home, collection.id, "human", path)
    assert add_annotations(registry, home, collection.id, "human", again) == first
    by_machine = add_annotations(registry, home, collection.id, "machine", path)
    third = add_annotations(registry, home, collection.id, "human", other)
    assert registry.operations(collection.id) == [first, by_machine, third]
    assert [row["label"] for row in rows_of(first, home)] == ["Boat", "Buoy"]


def test_many_writers_of_the_same_annotations_make_one_operation(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat"))
    writers = [
        threading.Thread(target=add_annotations, args=(registry, home, collection.id, "human", path))
        for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (operation,) = registry.operations(collection.id)
    assert [row["label"] for row in rows_of(operation, home)] == ["Boat"]


def test_annotations_are_found_after_the_home_was_moved(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat"))
    operation = add_annotations(registry, home, collection.id, "human", path)
    moved = FactoryHome(tmp_path / "moved")
    home.root.rename(moved.root)
    assert [row["label"] for row in rows_of(operation, moved)] == ["Boat"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "robot"}, "source is 'robot'; allowed are 'human', 'machine'"),
        ({"format": "voc"}, "format is 'voc'; allowed are 'geojson', 'coco', 'masks'"),
    ],
)
def test_arguments_that_are_not_allowed_are_told(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    tmp_path: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat"))
    with pytest.raises(ArgumentError, match=message):
        add_annotations(registry, home, collection.id, **{"source": "human", "path": path, **changes})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.json", "gone.json can't be read: No such file"),
        ("a.csv", "can't be derived from its name"),
        ("a.json", "is neither"),
    ],
)
def test_what_is_no_annotation_file_is_told(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path, name: str, message: str
) -> None:
    if name != "gone.json":
        written(tmp_path / name, {"type": "Topology"})
    with pytest.raises(LakeError, match=message):
        add_annotations(registry, home, collection.id, "human", tmp_path / name)


def test_a_collection_that_is_deleted_takes_nothing(
    registry: Registry, home: FactoryHome, collection: Collection, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat"))
    delete_collection(registry, home, collection.id)
    for collection_id in (collection.id, "unknown"):
        with pytest.raises(RegistryError, match=r"is deleted|has no collection"):
            add_annotations(registry, home, collection_id, "human", path)
    assert tables_in(home) == set()


def test_a_collection_deleted_meanwhile_leaves_nothing(
    registry: Registry,
    home: FactoryHome,
    collection: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = written(tmp_path / "a.geojson", features("Boat"))
    with closing(Registry.open(tmp_path / "registry.db")) as other:
        known = registry.collection(collection.id)
        other.delete_collection(collection.id)
        before = tables_in(home)
        monkeypatch.setattr(registry, "collection", lambda _: known)
        with pytest.raises(RegistryError, match="is deleted"):
            add_annotations(registry, home, collection.id, "human", path)
    assert tables_in(home) == before
