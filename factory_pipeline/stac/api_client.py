"""One STAC API: asking it patiently, and naming what is wrong with it."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pystac
from pystac_client import Client, ConformanceClasses
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import NoConformsTo

from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.quiet_warnings import QuietWarnings
from factory_pipeline.redaction import display
from factory_pipeline.stac.item_form import NOT_STAC
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.web_retries import TIMEOUT_S, TRANSIENT_STATUS, OnWait, PatientAdapter, request_logs

PAGE_SIZE = 250
MOST_IDLE_PAGES = 3
"""Pages in a row that may have no item that is not on an earlier page."""
_no_conformance = QuietWarnings(NoConformsTo)
"""Of a catalog without conformsTo; the error says it better."""


class StacApi:
    """A STAC API with item search. Its landing page is requested at the first search, not before."""

    def __init__(self, url: str, max_wait_s: float, on_wait: OnWait | None = None) -> None:
        self._on_wait = on_wait
        self._url = url
        self._shown_url = display(url)
        self._max_wait_s = max_wait_s
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._known_collections: set[str] = set()
        self._checking: dict[str, threading.Lock] = {}
        """By collection: held while it is requested, so that searches at the same time request it once."""

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """Return all items of a collection that a query asks for, as the API's JSON, page after page.

        Args:
            collection: its id.
            query: place and time.

        Raises:
            CatalogError: the address is no STAC API with item search, or lacks the collection.
            CatalogUnavailableError: no answer within the longest wait.
        """
        with self._errors_named():
            client = self._connect()
            if collection in self._known_collections:
                return self._search(client, collection, query)
            # pgstac returns no items for a collection that it doesn't have. So the collection is requested
            # too, at the same time; what is wrong with it is what is wrong with the search.
            with ThreadPoolExecutor(1, thread_name_prefix="search") as thread:
                searching = thread.submit(self._search, client, collection, query)
                self.check_collection(collection)
                return searching.result()

    def _search(self, client: Client, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        with request_logs.during():
            found = client.search(
                collections=[collection],
                bbox=query.bbox,
                datetime=query.interval,
                limit=PAGE_SIZE,
            )
            return self._items_of(found.pages_as_dicts())

    def _items_of(self, pages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the items of all pages; an API whose pages have no end is an error."""
        items: dict[str, dict[str, Any]] = {}
        idle = 0
        for page in pages:
            known = len(items)
            items |= {str(item["id"]): item for item in page["features"]}
            idle = 0 if len(items) > known else idle + 1
            if idle > MOST_IDLE_PAGES:
                raise CatalogError(
                    f"{self._shown_url} answers a search with page after page that has no new item."
                )
        return list(items.values())

    def check_collection(self, collection: str) -> None:
        """Make sure that the API answers and has a collection; raises as `search` does."""
        with self._errors_named():
            client = self._connect()
            with self._lock:
                checking = self._checking.setdefault(collection, threading.Lock())
            with checking:
                if collection in self._known_collections:
                    return
                if client.get_collection(collection) is None:
                    raise CatalogError(f"The STAC API {self._shown_url} has no collection {collection}.")
                self._known_collections.add(collection)

    def _connect(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = self._open()
            return self._client

    def _open(self) -> Client:
        stac_io = StacApiIO(timeout=TIMEOUT_S)
        adapter = PatientAdapter(self._max_wait_s, self._on_wait)
        stac_io.session.mount("http://", adapter)
        stac_io.session.mount("https://", adapter)
        with _no_conformance.during():
            client = Client.open(self._url, stac_io=stac_io)
        if not client.conforms_to(ConformanceClasses.ITEM_SEARCH) or client.get_search_link() is None:
            raise CatalogError(f"The STAC API {self._shown_url} offers no item search.")
        return client

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        host = urlsplit(self._shown_url).netloc
        try:
            with request_logs.during():
                yield
        except APIError as error:
            # Not chained: the texts of these errors contain the requested address, credentials included.
            status = getattr(error, "status_code", None)
            if status is None:
                raise CatalogUnavailableError(
                    f"The STAC API at {host} could not be reached for {self._max_wait_s:g} s;"
                    " try again later."
                ) from None
            if status in TRANSIENT_STATUS:
                raise CatalogUnavailableError(
                    f"The STAC API at {host} responded with status {status} for {self._max_wait_s:g} s;"
                    " try again later."
                ) from None
            raise CatalogError(
                f"{self._shown_url} answers {status}: check that it is the address of a STAC API."
            ) from None
        except (
            *NOT_STAC,
            RecursionError,
            pystac.STACError,
            ClientTypeError,
        ) as error:
            raise CatalogError(f"{self._shown_url} answers, but not as a STAC API does.") from error
