"""Where the images of a collection lie: footprint and bounds in longitude and latitude of WGS 84."""

import numpy as np
import polars as pl
import shapely

from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.imagery.geometries import geometries
from factory_pipeline.imagery.overlap import footprints


def footprint_columns(placed: pl.DataFrame) -> pl.DataFrame:
    """The columns `geometry` and `bbox` of items, null where an image is not georeferenced.

    A footprint across 180 degrees is in two parts, one on either side, and its `bbox` reaches from -180 to
    180: queries compare the numbers.

    Args:
        placed: as for `onboarding.overlap.footprints`.
    """
    corners = footprints(placed)
    there = np.isfinite(corners).all(axis=(1, 2))
    geometry = geometries(corners)
    bounds = pl.DataFrame(shapely.bounds(geometry), schema=["xmin", "ymin", "xmax", "ymax"])
    return pl.DataFrame(
        {
            "geometry": pl.Series(shapely.to_wkb(geometry).tolist(), dtype=pl.Binary),
            "bbox": bounds.select(pl.when(pl.Series(there)).then(pl.struct(pl.all()))).to_series(),
        },
        schema_overrides={"bbox": ITEM_SCHEMA["bbox"]},
    )
