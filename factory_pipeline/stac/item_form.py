"""The form of STAC items: what a catalog gives in another form is treated as if it was not there."""

from collections.abc import Mapping
from typing import Any

from factory_pipeline.errors import CatalogError

_LISTS_OF_OBJECTS = ("bands", "eo:bands", "raster:bands")
NOT_STAC = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What reading a value raises that is of another form than STAC defines."""


def standard_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item whose properties, assets and bands are objects and lists of objects.

    Args:
        item: of a catalog.

    Raises:
        CatalogError: it has no id.
    """
    if not isinstance(item, Mapping) or "id" not in item:
        raise CatalogError("The catalog has an item without an id, so it is not a STAC catalog.")
    assets = _object(item.get("assets"))
    return {
        **item,
        "id": str(item["id"]),
        "properties": _object(item.get("properties")),
        "assets": {
            key: _standard_asset(asset)
            for key, asset in assets.items()
            if isinstance(asset, Mapping) and isinstance(asset.get("href"), str)
        },
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _standard_asset(asset: Mapping[str, Any]) -> dict[str, Any]:
    standard = dict(asset)
    for key in _LISTS_OF_OBJECTS:
        if key in standard:
            listed = standard[key] if isinstance(standard[key], list) else []
            standard[key] = [each if isinstance(each, Mapping) else {} for each in listed]
    return standard
