"""The API over a static catalog: its pages hold every item once, newest first, by either method."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from factory_pipeline.cog.grid import Grid
from factory_pipeline.stac.item_search import BadSearchError
from factory_pipeline.synthetic.stac_api import CONFORMANCE, CatalogApi, bad_search
from factory_pipeline_tests.stac.small_stac import copdem_item, sentinel2_item, write_catalog

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
NAMES = [f"product {day}" for day in range(1, 8)]
SENTINEL2 = "sentinel-2-l2a"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    root = tmp_path_factory.mktemp("api")
    items = [sentinel2_item(name, f"2020-06-0{day}T10:00:00Z", 1, GRID) for day, name in enumerate(NAMES, 1)]
    write_catalog(root, [*items, copdem_item(50, 2)])
    app = Starlette(routes=CatalogApi(root).routes(), exception_handlers={BadSearchError: bad_search})
    return TestClient(app, base_url="http://archive")


def ids(document: dict[str, Any]) -> list[str]:
    return [item["id"] for item in document["features"]]


def follow(client: TestClient, document: dict[str, Any], relation: str) -> dict[str, Any] | None:
    for link in document["links"]:
        if link["rel"] == relation:
            asked = client.request(link["method"], link["href"], json=link.get("body"))
            assert asked.status_code == 200
            return dict(asked.json())
    return None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_hold_every_item_once_and_lead_back(client: TestClient, method: str) -> None:
    if method == "GET":
        page = client.get("/stac/search", params={"collections": SENTINEL2, "limit": 3}).json()
    else:
        page = client.post("/stac/search", json={"collections": [SENTINEL2], "limit": 3}).json()
    pages = [page]
    while (page := follow(client, page, "next")) is not None:
        pages.append(page)
    assert [len(ids(page)) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in ids(page)] == NAMES[::-1], "the newest first"
    back = follow(client, pages[-1], "previous")
    assert back is not None
    assert ids(back) == ids(pages[1])
    assert follow(client, pages[0], "previous") is None


def test_the_landing_page_leads_to_collections_and_items(client: TestClient) -> None:
    landing = client.get("/stac").json()
    assert landing["conformsTo"] == list(CONFORMANCE)
    assert client.get("/stac/conformance").json()["conformsTo"] == list(CONFORMANCE)
    collections = client.get("/stac/collections").json()["collections"]
    assert {each["id"] for each in collections} >= {SENTINEL2, "cop-dem-glo-30"}
    [items] = [link["href"] for link in collections[0]["links"] if link["rel"] == "items"]
    assert client.get(items).json()["features"]
    item = client.get(f"/stac/collections/{SENTINEL2}/items/{NAMES[0]}").json()
    assert item["id"] == NAMES[0]
    assert item["assets"]["B04"]["href"].startswith("http://archive/")


@pytest.mark.parametrize(
    "path",
    ["/stac/collections/none", "/stac/collections/none/items", f"/stac/collections/{SENTINEL2}/items/none"],
)
def test_what_is_not_there_is_answered_with_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"params": {"limit": "many"}}, "a parameter can't be read"),
        ({"params": {"token": "next:none:none"}}, "token must come from the link of another page"),
        ({"content": b"no JSON"}, "the body is not JSON"),
        ({"json": [1]}, "the body must be a JSON object"),
    ],
)
def test_a_search_that_can_not_be_read_is_told(client: TestClient, asked: dict[str, Any], told: str) -> None:
    answer = client.request("GET" if "params" in asked else "POST", "/stac/search", **asked)
    assert answer.status_code == 400
    assert told in answer.json()["description"]


def test_items_are_read_from_a_folder(tmp_path: Path) -> None:
    write_catalog(tmp_path, [copdem_item(50, 2)])
    api = CatalogApi(tmp_path)
    assert {route.path for route in api.routes()} >= {"/stac", "/stac/search"}
