"""Footprints and bounds of the images of a collection, in longitude and latitude of WGS 84."""

import numpy as np
import polars as pl
import shapely

from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.geometries import geometries


def footprint_columns(placed: pl.DataFrame) -> pl.DataFrame:
    """Return the columns `geometry` and `bbox` of items, null if an image is not georeferenced.

    A footprint across 180 degrees has two parts, one on either side, and its `bbox` extends from -180 to 180,
    because queries compare the numbers.

    Args:
        placed: as for `imagery.footprints`.
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
