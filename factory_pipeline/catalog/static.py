"""A static STAC catalog in a folder: `catalog.json`, linked collections, linked items."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape

from factory_pipeline.catalog.item_search import ItemSearch
from factory_pipeline.catalog.query import ItemQuery, item_times
from factory_pipeline.errors import CatalogError


@dataclass(frozen=True)
class StaticItem:
    """One item as it lies on disk."""

    collection: str
    """The id of the collection that links to it."""
    path: Path
    """The item's file; relative hrefs of its assets start from its folder."""
    document: dict[str, Any]
    """The file's JSON."""
    start: datetime
    """First time of the item, in UTC."""
    end: datetime
    """Last time of the item; `start` for an instant."""
    geometry: shapely.Geometry
    """In longitude and latitude."""

    @property
    def id(self) -> str:
        """Item id."""
        return str(self.document["id"])

    def resolved(self) -> dict[str, Any]:
        """The item with asset hrefs that are absolute: local paths, or the URLs that they were."""
        assets = {
            key: {**asset, "href": resolve_href(self.path, asset["href"])}
            for key, asset in self.document.get("assets", {}).items()
        }
        return {**self.document, "assets": assets}


@dataclass(frozen=True)
class StaticCatalog:
    """A static catalog, read whole."""

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
        """Read a `catalog.json` and everything that it links to as `child` or `item`.

        Raises:
            CatalogError: a file is missing, is no JSON, or isn't the STAC object that it should be.
        """
        root = _read_json(path)
        collections: dict[str, dict[str, Any]] = {}
        items: list[StaticItem] = []
        pending = [(path, root)]
        while pending:
            parent, document = pending.pop()
            if document.get("type") == "Collection":
                collections[document["id"]] = document
                items += [_read_item(document["id"], target) for target in _linked(parent, document, "item")]
            pending += [(target, _read_json(target)) for target in _linked(parent, document, "child")]
        items.sort(key=lambda item: (item.start, item.id), reverse=True)
        geometries = np.empty(len(items), dtype=object)
        geometries[:] = [item.geometry for item in items]
        return cls(path, root, dict(sorted(collections.items())), tuple(items), geometries)

    def find(self, search: ItemSearch) -> list[StaticItem]:
        """All items that fit a search, newest first, whatever its limit."""
        touches = (
            np.ones(len(self.items), dtype=np.bool_)
            if search.area is None
            else shapely.intersects(self.geometries, search.area)
        )
        near = (self.items[index] for index in np.flatnonzero(touches))
        return [item for item in near if search.allows(item.collection, item.document, item.start, item.end)]

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """All items of a collection that a query asks for, with absolute hrefs.

        Raises:
            CatalogError: there is no such collection.
        """
        if collection not in self.collections:
            held = ", ".join(self.collections) or "none"
            raise CatalogError(f"The catalog {self.path} has no collection {collection}; it holds: {held}.")
        below = query.max_cloud_cover
        search = ItemSearch(
            area=shapely.box(*query.bbox),
            start=query.start,
            end=query.end,
            collections=(collection,),
            comparisons=() if below is None else (("eo:cloud_cover", "lt", below),),
        )
        return [item.resolved() for item in self.find(search)]


def resolve_href(file: Path, href: str) -> str:
    """An href that stands in a file, made absolute: a local path, or the URL that it was."""
    if "://" in href:
        return href
    return str(Path(file.parent, href).resolve())


def _linked(file: Path, document: dict[str, Any], relation: str) -> list[Path]:
    hrefs = [link["href"] for link in document.get("links", []) if link.get("rel") == relation]
    remote = next((href for href in hrefs if "://" in href), None)
    if remote is not None:
        raise CatalogError(
            f"{file} links to {remote}, but a catalog in a folder may link to local files only."
        )
    return [Path(resolve_href(file, href)) for href in hrefs]


def _read_item(collection: str, path: Path) -> StaticItem:
    document = _read_json(path)
    try:
        start, end = item_times(document)
        return StaticItem(collection, path, document, start, end, shape(document["geometry"]))
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise CatalogError(f"{path} is no STAC item with an id, a geometry and a time.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{path} of the STAC catalog can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise CatalogError(f"{path} of the STAC catalog is not JSON.") from error
    if not isinstance(document, dict) or "id" not in document:
        raise CatalogError(f"{path} is no STAC object: it has no id.")
    return document
