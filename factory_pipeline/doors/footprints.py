"""Where images lie on the Earth, as items say it: geometry and bounds in WGS 84."""

from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.lake.tables import ITEM_SCHEMA
from factory_pipeline.onboarding.overlap import footprints

WORLD = shapely.box(-180, -90, 180, 90)


def footprint_columns(placed: pl.DataFrame) -> pl.DataFrame:
    """The columns `geometry` and `bbox` of items, null where an image is not georeferenced.

    A footprint across 180 degrees is in two parts, one on either side (RFC 7946, section 3.1.9).

    Args:
        placed: as for `onboarding.overlap.footprints`.
    """
    corners = footprints(placed)
    there = np.isfinite(corners).all(axis=(1, 2))
    geometry: NDArray[Any] = np.full(len(corners), None, dtype=object)
    # Corners go clockwise from the upper left; a ring goes the other way round.
    geometry[there] = shapely.polygons(corners[there][:, ::-1])
    for row in np.flatnonzero(np.abs(corners[:, :, 0]).max(axis=1) > 180):
        geometry[row] = _wrapped(geometry[row])
    bounds = pl.DataFrame(shapely.bounds(geometry), schema=["xmin", "ymin", "xmax", "ymax"])
    return pl.DataFrame(
        {
            "geometry": pl.Series(shapely.to_wkb(geometry).tolist(), dtype=pl.Binary),
            "bbox": bounds.select(pl.when(pl.Series(there)).then(pl.struct(pl.all()))).to_series(),
        },
        schema_overrides={"bbox": ITEM_SCHEMA["bbox"]},
    )


def _wrapped(polygon: Any) -> Any:
    """A polygon that passes 180 degrees, as its parts within -180 and 180."""
    turned = [shapely.transform(polygon, lambda at, by=by: at + np.array([by, 0])) for by in (-360, 0, 360)]
    parts = [shapely.intersection(part, WORLD) for part in turned]
    return shapely.multipolygons([part for part in parts if shapely.area(part)])
