"""A catalog in a folder that isn't whole is named, not passed over."""

import json
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.errors import CatalogError
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline_tests.stac.small_stac import copdem_item, write_catalog

ITEM = "stac/cop-dem-glo-30/Copernicus_DSM_COG_10_N00_00_E006_00_DEM/item.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_catalog(tmp_path, [copdem_item(0, 6)])


def load(root: Path) -> StaticCatalog:
    return StaticCatalog.load(root / "stac" / "catalog.json")


def test_hrefs_are_resolved_from_the_item(root: Path) -> None:
    (item,) = load(root).items
    name = "Copernicus_DSM_COG_10_N00_00_E006_00_DEM"
    assert item.resolved()["assets"]["data"]["href"] == str(root / "cop-dem-glo-30" / f"{name}.tif")


def test_collection_may_lie_deeper(root: Path) -> None:
    top = {
        "id": "top",
        "links": [{"rel": "child", "href": "stac/catalog.json"}, {"rel": "self", "href": "x"}],
    }
    (root / "catalog.json").write_text(json.dumps(top))
    catalog = StaticCatalog.load(root / "catalog.json")
    assert len(catalog.items) == 1
    assert list(catalog.collections) == ["cop-dem-glo-30", "esa-worldcover", "sentinel-2-l2a"]


def test_missing_item(root: Path) -> None:
    (root / ITEM).unlink()
    with pytest.raises(CatalogError, match=r"item.json of the STAC catalog can't be read: No such file"):
        load(root)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a STAC object"),
        ("{}", "is not a STAC object"),
        ('{"id": "x"}', "is not a STAC item"),
    ],
)
def test_file_that_is_no_item(root: Path, text: str, says: str) -> None:
    (root / ITEM).write_text(text)
    with pytest.raises(CatalogError, match=f"item.json .*{says}"):
        load(root)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("geometry", None),
        ("geometry", {"type": "Circle"}),
        ("properties", {"datetime": None}),
        ("properties", {"datetime": "soon"}),
        ("properties", None),
    ],
)
def test_item_without_place_or_time(root: Path, field: str, value: Any) -> None:
    item = json.loads((root / ITEM).read_text())
    (root / ITEM).write_text(json.dumps({**item, field: value}))
    with pytest.raises(CatalogError, match="is not a STAC item with an id, a geometry and a time"):
        load(root)


def test_link_to_another_host(root: Path) -> None:
    top = {"id": "top", "links": [{"rel": "child", "href": "https://stac.example/catalog.json"}]}
    (root / "stac" / "catalog.json").write_text(json.dumps(top))
    with pytest.raises(CatalogError, match="may link to local files only") as refusal:
        load(root)
    assert "stac/catalog.json links to https://stac.example/catalog.json" in str(refusal.value)
    assert "download what it links to, or give the URL of a STAC API" in str(refusal.value)
