"""Licences and makers of what a version contains, as the tables of its collections state them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.manifest import scan_manifest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

NOT_KNOWN = "other"
"""What STAC has for the licence of a collection that does not say it."""


def credits_of(registry: Registry, home: FactoryHome, manifest: Path) -> tuple[dict[str, Any], ...]:
    """Return the credits of each collection that a version has items of and that states any.

    Args:
        registry: contains the collections.
        home: contains their tables.
        manifest: of the version.

    Returns:
        By name of the collection: `collection`, `license` (SPDX, or `other`), `providers` and `links`, as in
        STAC.
    """
    used = scan_manifest(manifest).select(pl.col("collection").unique()).collect().to_series()
    found = []
    for collection in map(registry.collection, used.to_list()):
        table = resolve(collection.items_path, home)
        # A version is whole without the tables of its collections: its manifest has all items.
        metadata = (pq.read_metadata(table).metadata or {}) if table.exists() else {}
        stated = json.loads(metadata.get(b"stac-geoparquet", b"{}")).get("collections", {})
        for each in stated.values():
            providers, links = each.get("providers", []), each.get("links", [])
            if providers or links or each.get("license", NOT_KNOWN) != NOT_KNOWN:
                facts = {"license": each.get("license", NOT_KNOWN), "providers": providers, "links": links}
                found.append({"collection": collection.name, **facts})
    return tuple(sorted(found, key=lambda each: str(each["collection"])))
