"""The footprints of images: their four corners in WGS 84, from georeferences or from bounds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer

FOOTPRINT_COLUMNS = ("epsg", "transform", "width", "height", "bounds")
"""The columns of an item that `footprints` reads."""
_POLAR_CAP = 89.0
"""Latitude in degrees.

A footprint that extends beyond it counts as at the pole, even if it does not contain it.
"""
_CHUNK = 32768
"""Footprints converted at a time."""


def footprints(items: pl.DataFrame) -> NDArray[np.float64]:
    """Return the four corners of each image in WGS 84.

    Args:
        items: `epsg`, `transform` (a, b, c, d, e, f of the affine map from column and row), `width`,
            `height`, and `bounds` (west, south, east, north in degrees), which is used if the others are
            null.

    Returns:
        (items, 4, 2) longitude and latitude in degrees, the longitudes of an image without a jump at 180
        (they may pass it); NaN for an image that is not georeferenced.
    """
    corners = np.empty((items.height, 4, 2))
    for start in range(0, items.height, _CHUNK):
        corners[start : start + _CHUNK] = _footprints(items.slice(start, _CHUNK))
    return corners


def _footprints(items: pl.DataFrame) -> NDArray[np.float64]:
    corners = np.full((items.height, 4, 2), np.nan)
    rows = items.select(FOOTPRINT_COLUMNS).with_row_index("row")
    exact = rows.filter(pl.col("epsg").is_not_null() & pl.col("transform").is_not_null())
    for (epsg,), group in exact.group_by("epsg"):
        affine = _rows_of(group["transform"], 6)
        width = group["width"].to_numpy().astype(np.float64)
        height = group["height"].to_numpy().astype(np.float64)
        columns = np.stack([width * 0, width, width, width * 0], axis=1)
        lines = np.stack([height * 0, height * 0, height, height], axis=1)
        x = affine[:, 0:1] * columns + affine[:, 1:2] * lines + affine[:, 2:3]
        y = affine[:, 3:4] * columns + affine[:, 4:5] * lines + affine[:, 5:6]
        lon, lat = crs_transformer(epsg, 4326).transform(x, y)
        corners[group["row"].to_numpy()] = np.stack([lon, lat], axis=-1)
    boxes = rows.filter(
        (pl.col("epsg").is_null() | pl.col("transform").is_null()) & pl.col("bounds").is_not_null()
    )
    if boxes.height:
        west, south, east, north = _rows_of(boxes["bounds"], 4).T
        east = np.where(east < west, east + 360, east)
        lon = np.stack([west, east, east, west], axis=1)
        lat = np.stack([north, north, south, south], axis=1)
        # Bounds all around a pole: the square whose corners are at their lowest latitude.
        around = east - west >= 360
        lon[around] = [-135.0, -45.0, 45.0, 135.0]
        lat[around] = np.where(np.abs(north) > np.abs(south), south, north)[around, None]
        corners[boxes["row"].to_numpy()] = np.stack([lon, lat], axis=-1)
    corners[~np.isfinite(corners).all(axis=(1, 2))] = np.nan
    first = corners[:, :1, 0]
    corners[:, :, 0] = first + (corners[:, :, 0] - first + 180) % 360 - 180
    return corners


def _rows_of(lists: pl.Series, width: int) -> NDArray[np.float64]:
    return lists.explode().to_numpy().astype(np.float64).reshape(-1, width)


def by_parts(function: Callable[..., NDArray[Any]], *arrays: NDArray[np.generic]) -> NDArray[Any]:
    """Apply a function of rows to some rows at a time, so that its intermediate values stay small.

    Args:
        function: takes rows of all arrays, and returns as many rows.
        arrays: of one length.
    """
    length = len(arrays[0])
    made = function(*(array[:_CHUNK] for array in arrays))
    if length <= _CHUNK:
        return made
    all_rows = np.empty((length, *made.shape[1:]), made.dtype)
    all_rows[:_CHUNK] = made
    for start in range(_CHUNK, length, _CHUNK):
        part = slice(start, start + _CHUNK)
        all_rows[part] = function(*(array[part] for array in arrays))
    return all_rows


def at_pole(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each footprint contains a pole, or is so near to one that longitudes become unreliable.

    Args:
        corners: (items, 4, 2) longitude and latitude in degrees; False for a footprint of NaN.
    """
    lon = corners[:, :, 0]
    steps = (np.roll(lon, -1, axis=1) - lon + 180) % 360 - 180
    return (np.abs(steps.sum(axis=1)) > 180) | (np.abs(corners[:, :, 1]).max(axis=1) > _POLAR_CAP)
