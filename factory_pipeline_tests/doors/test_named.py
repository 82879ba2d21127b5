"""Items by the names that annotation files give them."""

import logging
from pathlib import Path

import pytest

from factory_pipeline.doors import named
from factory_pipeline.doors.named import item_batches, items_named
from factory_pipeline.errors import LakeError
from factory_pipeline.lake.places import resolve
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome
from factory_pipeline_tests.doors.made import collection_of, picture, placed


@pytest.fixture
def items(registry: Registry, tmp_path: Path) -> Path:
    """The items of a collection in which two have the original name `twin`."""
    home = FactoryHome(tmp_path / "home")
    twins = [placed(name, number, **{"metadata.original_name": "twin"}) for number, name in enumerate("ab")]
    other = picture("c", **{"metadata.original_name": "Müller.2"})
    confusing = placed("d", 2, **{"metadata.original_name": "c"})
    return resolve(collection_of(registry, home, *twins, other, confusing).items_path, home)


@pytest.mark.parametrize(
    "name",
    ["c", "c.png", "x/y/c.jpg", "x\\c.tif", "Müller.2", "Müller.2.tif", "Mu\u0308ller.2", "Müller.2_s2.tif"],
)
def test_a_name_is_an_id_an_original_name_or_a_file(items: Path, name: str) -> None:
    assert items_named(items, [name], "a file")[name].id == "c"


def test_what_follows_the_names_is_taken_off(items: Path) -> None:
    found = items_named(items, ["a_pred.png", "b.png"], "a file", name_ending="_pred")
    assert {name: item.id for name, item in found.items()} == {"a_pred.png": "a", "b.png": "b"}


def test_a_name_of_several_items_is_an_error(items: Path) -> None:
    with pytest.raises(
        LakeError, match=r"The name 'twin.tif' in a.json means several items: a, b; give the id"
    ):
        items_named(items, ["c", "twin.tif"], "a.json")


def test_names_of_no_item_are_left_out_and_counted(items: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = items_named(items, ["a", "x", "y"], "a.json")
    assert (set(found), found["a"].is_placed) == ({"a"}, True)
    assert "2 of the 3 images in a.json are no items" in caplog.text


def test_no_names_are_no_items(items: Path) -> None:
    assert items_named(items, [], "a.json") == {}


def test_items_with_a_place_come_some_at_a_time(items: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "ITEMS_AT_ONCE", 3)
    batches = [([item.id for item in some], len(wkb)) for some, wkb in item_batches(items)]
    assert batches == [(["a", "b"], 2), (["d"], 1)]
