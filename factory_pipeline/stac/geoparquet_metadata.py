"""The metadata of a table of STAC items: GeoParquet 1.1 and stac-geoparquet 1.0.

https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import shapely

STAC_VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
ANY_TIME = {
    "start_datetime": datetime(1, 1, 1, tzinfo=UTC),
    "end_datetime": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
}
"""Columns of an item without a time: STAC asks for an interval then, and this one contains any time."""
EDGES = ("xmin", "ymin", "xmax", "ymax")
"""Fields of the column `bbox`."""

_GEOMETRY_TYPES = {
    shapely.GeometryType.POLYGON.value: "Polygon",
    shapely.GeometryType.MULTIPOLYGON.value: "MultiPolygon",
}
_GLOBE = (-180.0, -90.0, 180.0, 90.0)


def items_metadata(
    collection: str,
    geometry_types: Iterable[int],
    bounds: Sequence[float] | None,
    description: str = "",
    times: Sequence[datetime] = (),
    credits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Metadata of a Parquet table whose rows are the items of a collection.

    Args:
        collection: id of the STAC collection.
        geometry_types: of the footprints, by shapely's numbers.
        bounds: west, south, east and north of all footprints in degrees; None if no item has one.
        description: of the collection; its id where it is empty.
        times: of the first and of the last item; empty where they have none.
        credits: `license`, `providers` and `links` of the collection; None if these are not known.

    Returns:
        `geo` and `stac-geoparquet`, to be written as JSON.
    """
    column: dict[str, Any] = {
        "encoding": "WKB",
        # An empty list, "not known", makes rustac panic where no item has a geometry.
        "geometry_types": sorted(_GEOMETRY_TYPES[kind] for kind in set(geometry_types)) or ["Polygon"],
        "edges": "planar",
        "covering": {"bbox": {edge: ["bbox", edge] for edge in EDGES}},
    }
    if bounds is not None:
        column["bbox"] = list(bounds)
    interval = [time.isoformat() for time in times] if times else [None, None]
    described = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": collection,
        "description": description or collection,
        "license": "other",
        "links": [],
        "extent": {
            # STAC asks for one; where no item is georeferenced, they may be anywhere.
            "spatial": {"bbox": [list(bounds or _GLOBE)]},
            "temporal": {"interval": [interval]},
        },
        **(credits or {}),
    }
    # Without `crs` coordinates are longitude and latitude in WGS 84 (OGC:CRS84).
    return {
        "geo": {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}},
        "stac-geoparquet": {"version": "1.0.0", "collections": {collection: described}},
    }
