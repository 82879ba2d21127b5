"""One STAC API: pages are put together, and a host that does not answer is named without credentials."""

from typing import Any

import pytest

from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.stac.api_client import MOST_IDLE_PAGES, StacApi

NOWHERE = "http://user:SECRET@127.0.0.1:1/stac?sig=SECRET"
"""No host listens on this port."""


def page(*ids: str) -> dict[str, Any]:
    return {"features": [{"id": name, "page": ids} for name in ids]}


def test_an_item_of_several_pages_is_there_once() -> None:
    found = StacApi(NOWHERE, 1)._items_of([page("a", "b"), page("b", "c"), page("c"), page("d")])
    assert [item["id"] for item in found] == ["a", "b", "c", "d"]


def test_pages_without_an_end_are_an_error_and_a_few_empty_ones_are_not() -> None:
    idle = [page("a")] * MOST_IDLE_PAGES
    assert len(StacApi(NOWHERE, 1)._items_of([page("a"), *idle, page("b"), *idle])) == 2
    with pytest.raises(CatalogError, match="page after page that has no new item") as error:
        StacApi(NOWHERE, 1)._items_of([page("a"), *idle, page("a"), page("b")])
    assert "SECRET" not in str(error.value)


def test_a_host_that_does_not_answer_is_named_and_nothing_else() -> None:
    api = StacApi(NOWHERE, 0.05)
    with pytest.raises(CatalogUnavailableError) as error:
        api.check_collection("sentinel-2-l2a")
    assert str(error.value) == (
        "The STAC API at 127.0.0.1:1 could not be reached for 0.05 s; try again later."
    )
    assert error.value.__cause__ is None


def test_no_request_is_sent_before_the_first_search() -> None:
    assert StacApi(NOWHERE, 60)._client is None
