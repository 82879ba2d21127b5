"""One STAC API: pages are put together, and a host that does not answer is named without credentials."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import pytest
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.stac.api_client import MOST_IDLE_PAGES, StacApi
from factory_pipeline.stac.query import ItemQuery

NOWHERE = "http://user:SECRET@127.0.0.1:1/stac?sig=SECRET"
"""No host listens on this port."""


COLLECTION = "sentinel-2-l2a"


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[Sequence[str]]], list[dict[str, Any]]]:
    """Searches an API whose answers are these pages of ids, without a network."""

    def found(pages: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
        remaining = iter(pages)
        upcoming = next(remaining, None)

        def answer(_: StacApiIO, href: str, *__: Any, **___: Any) -> str:
            nonlocal upcoming
            if "search" in href:
                ids, upcoming = upcoming or (), next(remaining, None)
                features = [{"id": name, "page": list(ids)} for name in ids]
                more = [{"rel": "next", "href": f"{NOWHERE}/search"}]
                return json.dumps({"features": features, "links": more if upcoming is not None else []})
            return json.dumps(collection() if "collections" in href else landing())

        monkeypatch.setattr(StacApiIO, "request", answer)
        return StacApi(NOWHERE, 1).search(COLLECTION, ItemQuery((0, 0, 1, 1)))

    return found


def landing() -> dict[str, Any]:
    kinds = ("core", "collections", "ogcapi-features", "item-search")
    return {
        **{"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "An API."},
        "conformsTo": [f"https://api.stacspec.org/v1.0.0/{kind}" for kind in kinds],
        "links": [
            {"rel": "root", "href": NOWHERE},
            {"rel": "self", "href": NOWHERE},
            {"rel": "data", "href": f"{NOWHERE}/collections"},
            {"rel": "search", "href": f"{NOWHERE}/search", "type": "application/geo+json", "method": "POST"},
        ],
    }


def collection() -> dict[str, Any]:
    return {
        **{"type": "Collection", "stac_version": "1.0.0", "id": COLLECTION, "description": "Pictures."},
        **{"license": "other", "links": []},
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
    }


def test_an_item_of_several_pages_is_there_once(search: Any) -> None:
    found = search(["ab", "bc", "c", "d"])
    assert [item["id"] for item in found] == ["a", "b", "c", "d"]
    assert [item["page"] for item in found] == [["a", "b"], ["b", "c"], ["c"], ["d"]]


def test_pages_without_an_end_are_an_error_and_a_few_without_news_are_not(search: Any) -> None:
    idle = ["a"] * MOST_IDLE_PAGES
    assert len(search(["a", *idle, "b", *idle])) == 2
    for pages in (["a", *idle, "a", "b"], chain(["a", "b"], repeat("ba"))):
        with pytest.raises(CatalogError, match="page after page that has no new item") as error:
            search(pages)
        assert str(error.value).startswith("http://127.0.0.1:1/stac answers a search with page after page")
        assert "SECRET" not in str(error.value)


def test_a_host_that_does_not_answer_is_named_and_nothing_else() -> None:
    api = StacApi(NOWHERE, 0.05)
    with pytest.raises(CatalogUnavailableError) as error:
        api.check_collection(COLLECTION)
    assert str(error.value) == (
        "The STAC API at 127.0.0.1:1 could not be reached for 0.05 s; try again later."
    )
    assert error.value.__cause__ is None


def test_no_request_is_sent_before_the_first_search() -> None:
    assert StacApi(NOWHERE, 60)._client is None


@pytest.mark.parametrize("status", [200, 404])
def test_the_collection_is_requested_while_it_is_searched(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    both = threading.Barrier(2, timeout=10)
    asked: list[str] = []

    def answer(_: StacApiIO, href: str, *__: Any, **___: Any) -> str:
        if href != NOWHERE:
            asked.append(href.rpartition("/")[2])
            if len(asked) <= 2:
                both.wait()
            if status != 200:
                error = APIError("SECRET")
                error.status_code = status if "collections" in href else 500
                raise error
        return json.dumps(
            {"features": [], "links": []}
            if "search" in href
            else (collection() if "collections" in href else landing())
        )

    monkeypatch.setattr(StacApiIO, "request", answer)
    api = StacApi(NOWHERE, 1)
    if status == 200:
        assert api.search(COLLECTION, ItemQuery((0, 0, 1, 1))) == []
        assert api.search(COLLECTION, ItemQuery((0, 0, 1, 1))) == []
        assert sorted(asked) == ["collections", "search", "search"]
    else:
        with pytest.raises(CatalogError, match=f"has no collection {COLLECTION}"):
            api.search(COLLECTION, ItemQuery((0, 0, 1, 1)))
