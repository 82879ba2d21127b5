"""Items by the names that annotation files give them."""

import re
from pathlib import Path

import pytest

from factory_pipeline.datalake.ingest import match_items
from factory_pipeline.datalake.ingest.match_items import find_named_items, item_batches
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.factories import collection_of, picture, placed


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
    assert find_named_items(items, [name], "a file")[name].id == "c"


def test_what_follows_the_names_is_taken_off(items: Path) -> None:
    found = find_named_items(items, ["a_pred.png", "b.png"], "a file", name_ending="_pred")
    assert {name: item.id for name, item in found.items()} == {"a_pred.png": "a", "b.png": "b"}


def test_a_name_of_several_items_is_an_error(items: Path) -> None:
    with pytest.raises(
        LakeError, match=r"The name 'twin.tif' in a.json matches several items: a, b; use the id"
    ):
        find_named_items(items, ["c", "twin.tif"], "a.json")


def test_names_of_no_item_are_left_out(items: Path) -> None:
    found = find_named_items(items, ["a", "x", "y"], "a.json")
    assert (set(found), found["a"].is_georeferenced) == ({"a"}, True)


@pytest.fixture
def folders(registry: Registry, tmp_path: Path) -> Path:
    """Items of two folders in which the same names occur, and one whose id is such a name."""
    home = FactoryHome(tmp_path / "home")
    originals = {"x1": "data/north/tile_1", "x2": "data/south/tile_1", "x3": "data/north/tile_2"}
    images = [picture(id, **{"metadata.original_name": original}) for id, original in originals.items()]
    images.append(picture("tile_3", **{"metadata.original_name": "elsewhere"}))
    return resolve(collection_of(registry, home, *images).items_path, home)


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("data/north/tile_1.png", "x1"),
        ("north/tile_1.png", "x1"),
        ("south\\tile_1.png", "x2"),
        ("/home/ann/data/south/tile_1.jpg", "x2"),
        ("data/north/tile_2", "x3"),
        ("tile_2.png", "x3"),
        ("north/tile_3.png", "tile_3"),
    ],
)
def test_full_paths_come_before_base_names(folders: Path, name: str, item: str) -> None:
    assert find_named_items(folders, [name], "a.json")[name].id == item


def test_a_base_name_of_two_folders_is_an_error_and_one_of_another_folder_is_no_item(folders: Path) -> None:
    with pytest.raises(LakeError, match=r"'tile_1.png' in a.json matches several items: x1, x2"):
        find_named_items(folders, ["tile_1.png"], "a.json")
    assert set(find_named_items(folders, ["east/tile_1.png", "tile_3"], "a.json")) == {"tile_3"}


def test_names_of_two_folders_are_not_one_item(folders: Path) -> None:
    with pytest.raises(
        LakeError, match=r"'north/tile_3\.png' and 'south/tile_3.png' in a.json both match the item"
    ):
        find_named_items(folders, ["north/tile_3.png", "south/tile_3.png"], "a.json")
    assert len(find_named_items(folders, ["a/tile_3.png", "a/tile_3.tif"], "a.json")) == 2


def test_a_regular_expression_finds_names(items: Path) -> None:
    pattern = re.compile(r"^[0-9a-f]{4}-(.*)\.[a-z]+$")
    found = find_named_items(items, ["12ab-a.png", "b.png", "12ab-Müller.2.tif"], "a.json", match=pattern)
    assert {name: item.id for name, item in found.items()} == {"12ab-a.png": "a", "12ab-Müller.2.tif": "c"}


def test_no_names_are_no_items(items: Path) -> None:
    assert find_named_items(items, [], "a.json") == {}


def test_items_with_a_place_come_some_at_a_time(items: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_items, "ITEMS_AT_ONCE", 3)
    batches = [([item.id for item in some], len(wkb)) for some, wkb in item_batches(items)]
    assert batches == [(["a", "b"], 2), (["d"], 1)]
