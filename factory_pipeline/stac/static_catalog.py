"""A static STAC catalog in a folder: `catalog.json`, and whatever its links lead to, at any depth."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape

from factory_pipeline.errors import CatalogError, DocumentError
from factory_pipeline.json_document import read_json
from factory_pipeline.plain_text import count_noun
from factory_pipeline.stac.item_form import standard_item
from factory_pipeline.stac.item_search import ItemSearch
from factory_pipeline.stac.longitudes import normalize_outline, touches_area
from factory_pipeline.stac.query import ItemQuery, item_times

CHILD, ITEM, ITEMS = "child", "item", "items"
"""The relations of links that lead to further documents; `items` leads to a GeoJSON feature collection."""


@dataclass(frozen=True)
class StaticItem:
    """One item as it is on disk."""

    collection: str | None
    """The id of its collection: the one that it names, else the nearest above it; None without either."""
    path: Path
    """The item's file; relative hrefs of its assets start from its folder."""
    document: dict[str, Any]
    """The item's JSON."""
    start: datetime
    """First time of the item, in UTC."""
    end: datetime
    """Last time of the item; `start` for an instant."""
    geometry: shapely.Geometry
    """In longitude and latitude, normalised (see `longitudes`)."""

    @property
    def id(self) -> str:
        """Item id."""
        return str(self.document["id"])

    def resolved(self) -> dict[str, Any]:
        """Return the item with asset hrefs that are absolute: local paths, or the URLs that they were."""
        item = standard_item(self.document)
        assets = {
            key: {**asset, "href": resolve_href(self.path, asset["href"])}
            for key, asset in item["assets"].items()
        }
        return {**item, "assets": assets}


@dataclass(frozen=True)
class StaticCatalog:
    """A static catalog, read completely."""

    path: Path
    """The `catalog.json`."""
    document: dict[str, Any]
    """Its JSON."""
    collections: dict[str, dict[str, Any]]
    """Collection id -> the JSON of its `collection.json`."""
    items: tuple[StaticItem, ...]
    """Newest first, then by id."""
    geometries: NDArray[np.object_]
    """One shapely geometry (longitude, latitude) per item."""

    @classmethod
    def load(cls, path: Path) -> "StaticCatalog":
        """Read a `catalog.json` and every document that its links lead to, whatever contains the link.

        Links may be relative, absolute paths, `file://` URLs, or URLs below the address at which the catalog
        says that it is published (its link `self`): these are read from the folder.

        Raises:
            CatalogError: a file is missing, is no JSON, isn't the STAC object that it should be, or a link
                leads to another machine.
        """
        root = _read_json(path)
        walk = _Walk(path, root)
        walk.follow()
        items = sorted(walk.items.values(), key=lambda item: (item.start, item.id), reverse=True)
        geometries = np.empty(len(items), dtype=object)
        geometries[:] = [item.geometry for item in items]
        return cls(path, root, dict(sorted(walk.collections.items())), tuple(items), geometries)

    def find(self, search: ItemSearch) -> list[StaticItem]:
        """Return all items that fit a search, newest first, whatever its limit."""
        touches = (
            np.ones(len(self.items), dtype=np.bool_)
            if search.area is None
            else touches_area(self.geometries, search.area)
        )
        near = (self.items[index] for index in np.flatnonzero(touches))
        return [
            item
            for item in near
            if item.collection is not None
            and search.allows(item.collection, item.document, item.start, item.end)
        ]

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """Return all items of a collection that a query asks for, with absolute hrefs.

        Args:
            collection: its id.
            query: place and time.

        Raises:
            CatalogError: there is no such collection, or it contains no item at all.
        """
        self.check_collection(collection)
        search = ItemSearch(
            area=shapely.box(*query.bbox),
            start=query.start,
            end=query.end,
            collections=(collection,),
        )
        return [item.resolved() for item in self.find(search)]

    def check_collection(self, collection: str) -> None:
        """Raise CatalogError unless the catalog has items of a collection."""
        counts = dict.fromkeys(self.collections, 0)
        for item in self.items:
            if item.collection is not None:
                counts[item.collection] = counts.get(item.collection, 0) + 1
        if counts.get(collection):
            return
        held = ", ".join(counts) or "none"
        homeless = sum(item.collection is None for item in self.items)
        more = f" and {count_noun(homeless, 'item')} of no collection" if homeless else ""
        if collection not in counts:
            raise CatalogError(
                f"The catalog {self.path} has no collection {collection}; it holds: {held}{more}."
            )
        raise CatalogError(
            f"No link of the catalog {self.path} leads to an item of the collection {collection}{more};"
            " a collection in a folder must link to its items, directly or through catalogs below it."
        )


class _Walk:
    """The documents below a root, each read once, whichever links lead to it."""

    def __init__(self, path: Path, root: dict[str, Any]) -> None:
        self.collections: dict[str, dict[str, Any]] = {}
        self.items: dict[tuple[Path, str], StaticItem] = {}
        self._folder = path.parent.resolve()
        self._published = _published_folder(root)
        self._seen = {path.resolve()}
        self._pending: list[tuple[Path, dict[str, Any], str | None]] = [(path, root, None)]

    def follow(self) -> None:
        """Read everything that can be reached."""
        while self._pending:
            file, document, collection = self._pending.pop()
            if document.get("type") == "Collection":
                collection = str(document["id"])
                self.collections[collection] = document
            for relation, target in self._list_links(file, document):
                if target not in self._seen:
                    self._seen.add(target)
                    self._enter(target, relation, collection)

    def _enter(self, target: Path, relation: str, collection: str | None) -> None:
        # What a document is decides how it is read, not what the link calls it: catalogs in use mix them.
        document = _read_json(target)
        if relation == ITEMS or document.get("type") == "FeatureCollection":
            self._add(target, _features(target, document), collection)
        elif "id" not in document:
            raise CatalogError(f"{target} is not a STAC object: it has no id.")
        elif document.get("type") in ("Catalog", "Collection"):
            self._pending.append((target, document, collection))
        elif relation == ITEM or document.get("type") == "Feature":
            self._add(target, [document], collection)
        else:  # catalogs of STAC before 1.0 name no type
            self._pending.append((target, document, collection))

    def _add(self, file: Path, documents: Iterable[dict[str, Any]], collection: str | None) -> None:
        for document in documents:
            item = _parse_item(file, document, collection)
            self.items[file, item.id] = item

    def _list_links(self, file: Path, document: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
        for link in document.get("links") or []:
            relation = link.get("rel")
            if relation not in (CHILD, ITEM, ITEMS):
                continue
            if not isinstance(link.get("href"), str):
                raise CatalogError(f"{file} has a link ({relation}) without an address.")
            href = resolve_href(file, self._localize(link["href"]))
            if "://" not in href:
                yield relation, _find_existing(href)
            elif relation != ITEMS:
                # A collection that was copied from an API keeps its link to the API's items beside its own.
                raise CatalogError(
                    f"{file} links to {href}, but a catalog in a folder may link to local files only;"
                    " download what it links to, or give the URL of a STAC API."
                )

    def _localize(self, href: str) -> str:
        """An address below the one that the catalog says to be published at, as the path in its folder."""
        if self._published and href.startswith(self._published):
            local = _find_existing(str(self._folder / href.removeprefix(self._published)))
            if "://" in href or (local.exists() and not Path(href).exists()):
                return str(local)
        return href


def resolve_href(file: Path, href: str) -> str:
    """Return an href that stands in a file, made absolute: a local path, or the URL that it was.

    Args:
        file: the document with the href.
        href: relative to it, absolute, or a URL.
    """
    if href.startswith("file://"):
        return unquote(urlsplit(href).path)
    if "://" in href:
        return href
    return str(Path(file.parent, href).resolve())


def _published_folder(root: Mapping[str, Any]) -> str | None:
    """Return the folder, ending in /, of the address that a catalog has a link `self` to.

    None without one.
    """
    for link in root.get("links") or []:
        href = link.get("href")
        if link.get("rel") == "self" and isinstance(href, str) and "/" in href:
            return href.rpartition("/")[0] + "/"
    return None


def _find_existing(path: str) -> Path:
    """Return a path as it is written, or without URL quoting where only that exists."""
    written = Path(path)
    if "%" in path and not written.exists():
        unquoted = Path(unquote(path))
        return unquoted if unquoted.exists() else written
    return written


def _features(path: Path, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    features = document.get("features")
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise CatalogError(f"{path} is not a feature collection with STAC items.")
    if any(link.get("rel") == "next" for link in document.get("links") or []):
        raise CatalogError(
            f"{path} is one page of several; a catalog in a folder must hold all pages as one collection."
        )
    return features


def _parse_item(path: Path, document: dict[str, Any], above: str | None) -> StaticItem:
    try:
        start, end = item_times(document)
        outline = normalize_outline(shape(document["geometry"]))
        collection = document.get("collection") or above
        if "id" not in document or not (collection is None or isinstance(collection, str)):
            raise KeyError("id")
        return StaticItem(collection, path, document, start, end, outline)
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise CatalogError(f"{path} is not a STAC item with an id, a geometry and a time.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path, f"{path} of the STAC catalog")
    except DocumentError as error:
        raise CatalogError(str(error)) from error
    if not isinstance(document, dict) or not {"id", "features"} & document.keys():
        raise CatalogError(f"{path} is not a STAC object: it has no id.")
    links = document.get("links") or []
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise CatalogError(f"{path} is not a STAC object: its links are not a list of objects.")
    return document
