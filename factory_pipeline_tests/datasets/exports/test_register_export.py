"""Exports that the registry knows."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.datalake.registry.records import ExportState, Version
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.listing import read_exported
from factory_pipeline.datasets.exports.register_export import export_registered
from factory_pipeline.errors import ExportError, RegistryError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.registry.factories import ready_dataset
from factory_pipeline_tests.datasets.model.factories import MadeVersion

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


@pytest.fixture
def registry(home: FactoryHome) -> Iterator[Registry]:
    opened = Registry.open(str(home.registry))
    yield opened
    opened.close()


@pytest.fixture
def version(registry: Registry) -> Version:
    return ready_dataset(registry)


def test_an_export_is_registered_with_its_hash_and_its_place_in_the_home(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    export = export_registered(registry, home, version.id, "YOLO Darknet", photos)
    assert registry.exports(version.id) == [export]
    assert export.state is ExportState.READY
    assert export.path == f"versions/{version.id}/exports/yolo-darknet"
    folder = home.version(version.id).export("yolo-darknet")
    assert read_exported(folder).content_hash == export.content_hash


def test_an_export_that_is_ready_is_given_back_as_it_is(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    first = export_registered(registry, home, version.id, "COCO", photos)
    told: list[int] = []
    again = export_registered(registry, home, version.id, "COCO", photos, lambda done, _: told.append(done))
    assert again == first
    assert told == []


def test_an_export_that_fails_leaves_neither_files_nor_rows(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    bad = replace(photos, values={"a\nb": 1, "c": 2, "d": 3})
    with pytest.raises(ExportError, match="can't be a line"):
        export_registered(registry, home, version.id, "YOLO Darknet", bad)
    assert registry.exports(version.id) == []
    assert list(home.version(version.id).export("yolo-darknet").parent.iterdir()) == []
    export_registered(registry, home, version.id, "YOLO Darknet", photos)


def test_what_a_killed_writer_left_is_cleared_away(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    folder = home.version(version.id).export("raw")
    for left in (folder, folder.with_name(".raw.0123abcd.part")):
        left.mkdir(parents=True)
        (left / "half.tif").touch()
    kept = folder.with_name("coco")
    kept.mkdir()
    export_registered(registry, home, version.id, "RAW", photos)
    assert {path.name for path in folder.parent.iterdir()} == {"raw", "coco"}
    assert not (folder / "half.tif").exists()


def test_what_another_is_writing_is_not_touched(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    folder = home.version(version.id).export("raw")
    part = folder.with_name(".raw.0123abcd.part")
    part.mkdir(parents=True)
    with registry.exporting(version.id, "RAW") as begun:
        with pytest.raises(RegistryError, match="is being exported as RAW by"):
            export_registered(registry, home, version.id, "RAW", photos)
        assert part.exists()
        registry.finish_export(begun.id, path="elsewhere", content_hash="e0")


HARMS = {
    "deleted": lambda folder: (folder / "labels.json").unlink(),
    "changed": lambda folder: (folder / "labels.json").write_bytes(
        (folder / "labels.json").read_bytes().replace(b"road", b"rope")
    ),
    "cut off": lambda folder: (folder / "labels.json").write_bytes(b""),
    "no listing": lambda folder: (folder / "export.json").unlink(),
    "changed listing": lambda folder: (folder / "export.json").write_text("{}"),
    "linked": lambda folder: (
        (folder / "data").rename(folder / "moved") and (folder / "data").symlink_to(folder / "moved")
    ),
    "no folder": lambda folder: shutil.rmtree(folder),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_export_is_made_again_and_that_is_said(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion, harm: Callable[[Path], Any]
) -> None:
    first = export_registered(registry, home, version.id, "RAW", photos)
    folder = home.version(version.id).export("raw")
    harm(folder)
    told: list[str] = []
    again = export_registered(registry, home, version.id, "RAW", photos, on_damage=told.append)
    assert (again.content_hash, again.path, again.id != first.id) == (first.content_hash, first.path, True)
    assert registry.exports(version.id) == [again]
    assert list(find_damage(folder, first.content_hash)) == []
    assert len(told) == 1
    assert told[0].startswith("The RAW export is damaged and is written again: ")


def test_a_damaged_export_that_another_makes_again_is_left_to_that(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    first = export_registered(registry, home, version.id, "RAW", photos)
    with registry.exporting(version.id, "RAW", replaces=first.id) as begun:
        with pytest.raises(RegistryError, match="is being exported as RAW by"):
            export_registered(registry, home, version.id, "RAW", photos)
        registry.finish_export(begun.id, path="elsewhere", content_hash="e0")


def test_files_that_are_not_of_the_export_are_no_damage(
    registry: Registry, home: FactoryHome, version: Version, photos: MadeVersion
) -> None:
    export = export_registered(registry, home, version.id, "RAW", photos)
    (home.version(version.id).export("raw") / "notes.txt").touch()
    assert export_registered(registry, home, version.id, "RAW", photos) == export
