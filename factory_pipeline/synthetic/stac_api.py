"""A STAC API over a static catalog: its documents, its items by pages, and the item search."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from factory_pipeline.stac.item_search import BadSearchError, ItemSearch
from factory_pipeline.stac.static_catalog import StaticCatalog, StaticItem, resolve_href
from factory_pipeline.synthetic.files import not_found

STAC_PATH = "/stac"
CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
GEOJSON = "application/geo+json"


class CatalogApi:
    """A STAC API over a static catalog: newest items first and paging by a token, as Planetary Computer."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._catalog = StaticCatalog.load(self._root / "stac" / "catalog.json")
        self._place = {(item.collection, item.id): place for place, item in enumerate(self._catalog.items)}

    def routes(self) -> list[Route]:
        """Return the API's addresses below STAC_PATH."""
        collection = f"{STAC_PATH}/collections/{{collection}}"
        return [
            Route(STAC_PATH, self.landing),
            Route(f"{STAC_PATH}/", self.landing),
            Route(f"{STAC_PATH}/conformance", self.conformance),
            Route(f"{STAC_PATH}/collections", self.collections),
            Route(collection, self.collection),
            Route(f"{collection}/items", self.collection_items),
            Route(f"{collection}/items/{{item}}", self.item),
            Route(f"{STAC_PATH}/search", self.search_by_get),
            Route(f"{STAC_PATH}/search", self.search_by_post, methods=["POST"]),
        ]

    async def landing(self, request: Request) -> Response:
        """Return the landing page."""
        api = _api_url(request)
        links = [
            {"rel": "self", "href": api},
            {"rel": "root", "href": api},
            {"rel": "data", "href": f"{api}/collections"},
            {"rel": "conformance", "href": f"{api}/conformance"},
            {"rel": "search", "type": GEOJSON, "href": f"{api}/search", "method": "GET"},
            {"rel": "search", "type": GEOJSON, "href": f"{api}/search", "method": "POST"},
            *({"rel": "child", "href": f"{api}/collections/{name}"} for name in self._catalog.collections),
        ]
        return JSONResponse({**self._catalog.document, "links": links, "conformsTo": CONFORMANCE})

    async def conformance(self, _: Request) -> Response:
        """Return the conformance classes."""
        return JSONResponse({"conformsTo": CONFORMANCE})

    async def collections(self, request: Request) -> Response:
        """Return all collections."""
        api = _api_url(request)
        documents = [self._collection(name, api) for name in self._catalog.collections]
        return JSONResponse({"collections": documents, "links": [{"rel": "root", "href": api}]})

    async def collection(self, request: Request) -> Response:
        """Return one collection."""
        name = request.path_params["collection"]
        if name not in self._catalog.collections:
            return not_found(f"no collection {name}")
        return JSONResponse(self._collection(name, _api_url(request)))

    async def collection_items(self, request: Request) -> Response:
        """Return the items of one collection, by pages."""
        name = request.path_params["collection"]
        if name not in self._catalog.collections:
            return not_found(f"no collection {name}")
        members = _members_of_url(request)
        search = ItemSearch.parse({**members, "collections": [name]})
        return self._page(search, request, partial(_turn_by_get, request))

    async def item(self, request: Request) -> Response:
        """Return one item."""
        place = self._place.get((request.path_params["collection"], request.path_params["item"]))
        if place is None:
            return not_found("no such item")
        return JSONResponse(self._item(self._catalog.items[place], request), media_type=GEOJSON)

    async def search_by_get(self, request: Request) -> Response:
        """Return the items that a search asks for, by pages; its members are in the URL."""
        search = ItemSearch.parse(_members_of_url(request))
        return self._page(search, request, partial(_turn_by_get, request))

    async def search_by_post(self, request: Request) -> Response:
        """Return the items that a search asks for, by pages; its members are in the body."""
        try:
            members = json.loads(await request.body())
        except ValueError as error:
            raise BadSearchError("the body is not JSON") from error
        if not isinstance(members, dict):
            raise BadSearchError("the body must be a JSON object")
        return self._page(ItemSearch.parse(members), request, partial(_turn_by_post, request, members))

    def _page(
        self, search: ItemSearch, request: Request, turn: Callable[[str, str], dict[str, Any]]
    ) -> Response:
        found = self._catalog.find(search)
        first = self._first_of_page(search, found)
        page = found[first : first + search.limit]
        links: list[dict[str, Any]] = [{"rel": "root", "href": _api_url(request)}]
        if first + search.limit < len(found):
            links.append(turn("next", f"next:{page[-1].collection}:{page[-1].id}"))
        if page and first > 0:
            links.append(turn("previous", f"prev:{page[0].collection}:{page[0].id}"))
        features = [self._item(item, request) for item in page]
        document = {"type": "FeatureCollection", "features": features, "links": links}
        return JSONResponse(document, media_type=GEOJSON)

    def _first_of_page(self, search: ItemSearch, found: Sequence[StaticItem]) -> int:
        """`next:<collection>:<item>` is the page after that item, `prev:...` the one before it."""
        if search.token is None:
            return 0
        direction, _, item = search.token.partition(":")
        place = self._place.get(tuple(item.split(":", 1)))  # type: ignore[arg-type]
        if direction not in ("next", "prev") or place is None:
            raise BadSearchError("token must come from the link of another page")
        before = sum(self._place[item.collection, item.id] < place for item in found)
        return before + 1 if direction == "next" else max(before - search.limit, 0)

    def _collection(self, name: str, api: str) -> dict[str, Any]:
        here = f"{api}/collections/{name}"
        links = [
            {"rel": "self", "href": here},
            {"rel": "root", "href": api},
            {"rel": "parent", "href": api},
            {"rel": "items", "type": GEOJSON, "href": f"{here}/items"},
        ]
        return {**self._catalog.collections[name], "links": links}

    def _item(self, item: StaticItem, request: Request) -> dict[str, Any]:
        api = _api_url(request)
        collection = f"{api}/collections/{item.collection}"
        links = [
            {"rel": "self", "type": GEOJSON, "href": f"{collection}/items/{quote(item.id)}"},
            {"rel": "collection", "href": collection},
            {"rel": "parent", "href": collection},
            {"rel": "root", "href": api},
        ]
        assets = {
            key: {**asset, "href": self._asset_url(item.path, asset["href"], request)}
            for key, asset in item.document.get("assets", {}).items()
        }
        return {**item.document, "collection": item.collection, "links": links, "assets": assets}

    def _asset_url(self, file: Path, href: str, request: Request) -> str:
        resolved = resolve_href(file, href)
        if "://" in resolved:
            return resolved
        return str(request.base_url) + quote(os.path.relpath(resolved, self._root))


def _api_url(request: Request) -> str:
    return str(request.base_url).rstrip("/") + STAC_PATH


def _members_of_url(request: Request) -> dict[str, Any]:
    """Return a search's members as they are in a body; what can't be read is left to be refused there."""
    members: dict[str, Any] = dict(request.query_params)
    for name in ("ids", "collections"):
        if name in members:
            members[name] = members[name].split(",")
    try:
        if "bbox" in members:
            members["bbox"] = [float(number) for number in members["bbox"].split(",")]
        if "limit" in members:
            members["limit"] = int(members["limit"])
        members |= {name: json.loads(members[name]) for name in ("intersects", "query") if name in members}
    except ValueError as error:
        raise BadSearchError(f"a parameter can't be read: {error}") from error
    return members


def _turn_by_get(request: Request, relation: str, token: str) -> dict[str, Any]:
    query = urlencode({**request.query_params, "token": token})
    return {"rel": relation, "type": GEOJSON, "method": "GET", "href": f"{_page_url(request)}?{query}"}


def _turn_by_post(request: Request, members: Mapping[str, Any], relation: str, token: str) -> dict[str, Any]:
    body = {**members, "token": token}
    return {"rel": relation, "type": GEOJSON, "method": "POST", "href": _page_url(request), "body": body}


def _page_url(request: Request) -> str:
    return str(request.url.replace(query=""))


async def bad_search(_: Request, error: Exception) -> Response:
    """Return the answer 400 to a search that can't be read.

    Args:
        _: the request.
        error: whose text is the description.
    """
    return JSONResponse({"code": "InvalidParameterValue", "description": str(error)}, status_code=400)
