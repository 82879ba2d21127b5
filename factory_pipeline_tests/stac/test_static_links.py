"""Items of a catalog in a folder are found wherever its links lead."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pystac
import pytest

from factory_pipeline.cog.grid import Grid
from factory_pipeline.errors import CatalogError
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline_tests.stac.small_stac import copdem_item, sentinel2_item, write_catalog

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
AROUND = ItemQuery((2, 50, 3, 51))
DAYS = ["2020-06-03", "2020-07-13", "2021-06-03"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    products = [sentinel2_item(day, f"{day}T10:00:00Z", 5, GRID) for day in DAYS]
    return write_catalog(tmp_path / "archive", [*products, copdem_item(50, 2)])


def found(address: Path) -> list[str]:
    items = open_catalog(str(address)).search("sentinel2", AROUND)
    assert all(Path(item["assets"]["B02"]["href"]).is_absolute() for item in items)
    return sorted(item["id"] for item in items)


@pytest.mark.parametrize(
    "kind",
    [
        pystac.CatalogType.SELF_CONTAINED,
        pystac.CatalogType.RELATIVE_PUBLISHED,
        pystac.CatalogType.ABSOLUTE_PUBLISHED,
    ],
)
@pytest.mark.parametrize("template", ["${year}/${month}", "${year}"])
def test_items_in_subcatalogs(root: Path, tmp_path: Path, kind: str, template: str) -> None:
    catalog = pystac.Catalog.from_file(str(root / "stac" / "catalog.json"))
    catalog.generate_subcatalogs(template)
    catalog.normalize_and_save(str(tmp_path / "deep"), kind)
    assert found(tmp_path / "deep") == DAYS


def test_items_directly_below_the_root(root: Path) -> None:
    links = [
        {"rel": "item", "href": str(path.relative_to(root / "stac"))}
        for path in sorted((root / "stac" / "sentinel-2-l2a").glob("*/item.json"))
    ]
    assert len(links) == len(DAYS)
    edit(root / "stac" / "catalog.json", lambda document: document.update(links=links))
    assert found(root) == DAYS


def test_collection_as_the_root(root: Path) -> None:
    assert found(root / "stac" / "sentinel-2-l2a" / "collection.json") == DAYS


def test_items_in_a_feature_collection(root: Path) -> None:
    folder = root / "stac" / "sentinel-2-l2a"
    features = [json.loads(path.read_text()) for path in folder.glob("*/item.json")]
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    links = [{"rel": "items", "href": "./items.json"}]
    edit(folder / "collection.json", lambda document: document.update(links=links))
    assert found(root) == DAYS


@pytest.mark.parametrize("published", ["https://stac.example/v1/", "/no/such/folder/"])
def test_published_catalog_that_was_copied_to_a_folder(root: Path, published: str) -> None:
    for path in (root / "stac").rglob("*.json"):
        here = published + str(path.relative_to(root / "stac").parent) + "/"

        def publish(document: dict[str, Any], path: Path = path, here: str = here) -> None:
            for link in document["links"]:
                link["href"] = here.replace("/./", "/") + link["href"].removeprefix("./")
            own = {"rel": "self", "href": published + str(path.relative_to(root / "stac"))}
            document["links"].append(own)

        edit(path, publish)
    assert found(root) == DAYS


def test_links_by_file_url_and_quoted_names(root: Path) -> None:
    folder = root / "stac" / "sentinel-2-l2a"
    (folder / DAYS[0]).rename(folder / "3 June")

    def quote(document: dict[str, Any]) -> None:
        document["links"] = [
            {"rel": "item", "href": "./3%20June/item.json"},
            {"rel": "item", "href": (folder / DAYS[1] / "item.json").as_uri()},
            {"rel": "item", "href": str(folder / DAYS[2] / "item.json")},
        ]

    edit(folder / "collection.json", quote)
    assert found(root) == DAYS


def test_links_in_a_ring_and_twice(root: Path) -> None:
    def ring(document: dict[str, Any]) -> None:
        document["links"] += [{"rel": "child", "href": "../catalog.json"}, *document["links"]]

    edit(root / "stac" / "sentinel-2-l2a" / "collection.json", ring)
    assert found(root) == DAYS
    assert len(StaticCatalog.load(root / "stac" / "catalog.json").items) == len(DAYS) + 1


def test_collection_without_items(root: Path) -> None:
    shutil.rmtree(root / "stac" / "sentinel-2-l2a" / DAYS[0])
    edit(root / "stac" / "sentinel-2-l2a" / "collection.json", lambda document: document.update(links=[]))
    with pytest.raises(CatalogError, match=r"leads to an item of the collection sentinel-2-l2a"):
        found(root)


def test_items_without_a_collection_are_counted(root: Path) -> None:
    item = root / "stac" / "sentinel-2-l2a" / DAYS[0] / "item.json"
    edit(item, lambda document: document.pop("collection"))
    links = [{"rel": "item", "href": str(item)}]
    edit(root / "stac" / "catalog.json", lambda document: document.update(links=links))
    with pytest.raises(CatalogError, match=r"has no collection sentinel-2-l2a; it holds: none and 1 item"):
        found(root)


@pytest.mark.parametrize(
    ("href", "says"),
    [
        ("https://stac.example/items/a.json", "links to https://stac.example/items/a.json, but"),
        ("./gone.json", r"gone.json of the STAC catalog can't be read: No such file"),
        (None, "has a link .item. without an address"),
    ],
)
def test_link_that_cannot_be_followed(root: Path, href: str | None, says: str) -> None:
    links = [{"rel": "item", "href": href}]
    edit(root / "stac" / "sentinel-2-l2a" / "collection.json", lambda document: document.update(links=links))
    with pytest.raises(CatalogError, match=says):
        found(root)


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
