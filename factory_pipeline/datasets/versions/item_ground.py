"""Where the items of a version are, and what their pixels are: what splits are assigned by."""

from pathlib import Path

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

GROUND = {
    "sha256": pl.String(),
    "epsg": pl.String(),
    "transform": pl.List(pl.Float64()),
    "width": pl.Int64(),
    "height": pl.Int64(),
    "bounds": pl.List(pl.Float64()),
}
"""Columns for `splits.groups` and `splits.leakage`. `sha256` is of the rasters of an item in any order and
wherever they are said to be, so that a pair of images and the same pair the other way round are one; null
where a raster has no hash."""

_HASHES = pl.col("media").list.eval(pl.element().struct.field("sha256"))
GROUND_SOURCE = (
    pl.when(_HASHES.list.len() > _HASHES.list.drop_nulls().list.len())
    .then(None)
    .otherwise(_HASHES.list.sort().list.join(" "))
    .replace("", None)
    .alias("hashes"),
    pl.when(pl.col("proj:transform").is_null() | pl.col("proj:code").is_null())
    .then("geometry")
    .otherwise(None)
    .alias("outline"),
    "width",
    "height",
)
"""What `ground_of` reads of a table of items, beside `proj:code` and `proj:transform`."""


def ground_of(items: pl.DataFrame) -> list[pl.Series]:
    """Return the columns GROUND of items.

    Args:
        items: `proj:code`, `proj:transform`, GROUND_SOURCE.
    """
    bounds = _bounds(shapely.from_wkb(items["outline"].to_list()))
    return [
        items["hashes"].rename("sha256"),
        items["proj:code"].rename("epsg"),
        items["proj:transform"].rename("transform"),
        items["width"],
        items["height"],
        pl.Series("bounds", bounds, dtype=pl.List(pl.Float64)),
    ]


def placed_items(path: Path, name: str) -> pl.DataFrame:
    """Return `stem`, `split` and GROUND of the items of a table, as searches for leaks and maps take them.

    Args:
        path: of the manifest of a version, or of the items of an upload.
        name: the column of their names.
    """
    table = pl.scan_parquet(path)
    absent = []
    if "width" not in table.collect_schema():
        # The items of an upload have their outline alone in a form that is needed here.
        absent = [
            pl.lit([], pl.List(pl.Struct({"sha256": pl.String}))).alias("media"),
            pl.lit(None, pl.List(pl.Float64)).alias("proj:transform"),
            *(pl.lit(None, pl.Int64).alias(side) for side in ("width", "height")),
        ]
    rows = (
        table.with_columns(absent)
        .select(pl.col(name).alias("stem"), "split", "proj:code", "proj:transform", *GROUND_SOURCE)
        .collect()
    )
    return rows.select("stem", "split").with_columns(ground_of(rows))


def _bounds(shapes: NDArray[np.object_]) -> list[list[float] | None]:
    """Return west, south, east, north of each shape; across 180 degrees west is above east."""
    bounds: list[list[float] | None] = []
    for shape in shapes.tolist():
        if shape is None or shape.is_empty:
            bounds.append(None)
            continue
        west, south, east, north = shape.bounds
        parts = list(getattr(shape, "geoms", [shape]))
        if west <= -180 and east >= 180 and len(parts) > 1:
            # In two parts, one at each side of the antimeridian.
            west = min(part.bounds[0] for part in parts if part.bounds[0] > 0)
            east = max(part.bounds[2] for part in parts if part.bounds[2] < 0)
        bounds.append([west, south, east, north])
    return bounds
