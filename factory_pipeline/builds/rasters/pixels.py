"""From the pixels that a reader returns to those of a sample: meaning, clear ground, one value over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.raster_collection import AssetDescription, ClearPixels
from factory_pipeline.stac.scenes import PixelMeaning

Values = NDArray[Any]
Valid = NDArray[np.bool_]


def convert(
    values: Values,
    valid: Valid,
    meaning: PixelMeaning,
    described: AssetDescription,
    dtype: np.dtype[Any],
    physical: bool,
) -> Values:
    """Give stored values the meaning that those of the collection have, or the physical one.

    An item may state another scale and offset than its collection (such as the offset of Sentinel-2 since
    baseline 04.00); its values are then rewritten once, rounded half up. None becomes the value without data,
    also where an item or a file states another one than its collection.

    Args:
        values: (rows, columns) as they are stored.
        valid: of the same shape; where it is False, the result is any value.
        meaning: of these values.
        described: the asset in its collection.
        dtype: of the sample.
        physical: whether values in the unit are wanted, not stored ones.
    """
    if described.is_categorical:
        return values.astype(dtype)
    if physical:
        return (values * meaning.scale + meaning.offset).astype(dtype)
    if (meaning.scale, meaning.offset) == (described.scale, described.offset):
        if meaning.nodata != described.nodata:
            values = _spare_nodata(values, valid, described)
        return _clip_to_dtype(values, dtype)
    rewritten = (values * meaning.scale + (meaning.offset - described.offset)) / described.scale
    if np.dtype(described.dtype).kind == "f":
        return rewritten.astype(dtype)
    # Decimal scales leave errors of 1e-12: without them, a half is rounded up, not down.
    whole = np.floor(np.round(rewritten, 6) + 0.5)
    limits = np.iinfo(np.dtype(described.dtype))
    whole = _spare_nodata(np.clip(whole, limits.min, limits.max), valid, described)
    return _clip_to_dtype(whole, dtype)


def _spare_nodata(values: Values, valid: Valid, described: AssetDescription) -> Values:
    """Return values of which none that is data equals the nodata value: the next one replaces it."""
    nodata, dtype = described.nodata, np.dtype(described.dtype)
    if nodata is None or dtype.kind == "f":
        return values
    beside = nodata + (1 if nodata < np.iinfo(dtype).max else -1)
    is_nodata = values == nodata
    if not is_nodata.any():
        return values
    return np.where(is_nodata & valid, np.asarray(beside, values.dtype), values)


def _clip_to_dtype(values: Values, dtype: np.dtype[Any]) -> Values:
    """Return values in another type; what doesn't fit becomes the nearest that does, nothing wraps."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(values, limits.min, limits.max).astype(dtype)


def is_without_holes(valid: Valid) -> bool:
    """Return whether it is True everywhere because it is a single True, as readers give it.

    An operation on it would take longer than on an array: nothing is vectorized that repeats its operand.
    """
    return not any(valid.strides) and valid.size > 0 and bool(valid.flat[0])


def fill_holes(values: Values, valid: Valid, nodata: Sequence[float]) -> None:
    """Write the value without data wherever a picture holds none.

    Args:
        values: (bands, rows, columns), written to.
        valid: (rows, columns), or (bands, rows, columns).
        nodata: of each band; each can be represented.
    """
    if valid.all():
        return
    empty = np.broadcast_to(~valid, values.shape)
    for band, holes, none in zip(values, empty, nodata, strict=True):
        np.copyto(band, values.dtype.type(none), where=holes)


def clear_ground(values: Values, valid: Valid, clear: ClearPixels) -> Valid:
    """Return which pixels show the ground, by the values of the asset that says so.

    Args:
        values: of the asset that tells clouds.
        valid: where it holds data.
        clear: the classes or bits of clear ground.
    """
    if clear.keep is not None:
        return valid & np.isin(values, clear.keep)
    bits = sum(1 << bit for bit in clear.clear_bits or ())
    return valid & ((values.astype(np.int64) & bits) == 0)


def composite(kind: str, values: Values, valid: Valid, nodata: Sequence[float]) -> tuple[Values, Valid]:
    """Make one picture of several.

    Args:
        kind: `none` and `first_valid` take the first that holds data at a pixel, `best_clear` that of the
            picture with the largest share of data, `mean` and `median` combine all that hold data; integers
            are rounded half up.
        values: (pictures, bands, rows, columns), first choice first.
        valid: (pictures, rows, columns).
        nodata: of each band.

    Returns:
        (bands, rows, columns) and (rows, columns).
    """
    holds = np.asarray(valid.any(axis=0), dtype=np.bool_)
    if kind in ("mean", "median"):
        made = np.stack([_combine(kind, values[:, band], valid) for band in range(values.shape[1])])
        if values.dtype.kind != "f":
            made = np.floor(made + 0.5)
    else:
        if kind == "best_clear":
            order = np.argsort(-valid.mean(axis=(1, 2)), kind="stable")
            values, valid = values[order], valid[order]
        chosen = valid.argmax(axis=0)
        made = np.take_along_axis(values, chosen[None, None], axis=0)[0]
    filled = np.where(holds, made, np.asarray(nodata)[:, None, None])
    return filled.astype(values.dtype), holds


def _combine(kind: str, values: Values, valid: Valid) -> NDArray[np.float64]:
    """Return the mean or median of (pictures, rows, columns) where it holds data; anything elsewhere."""
    if kind == "mean":
        total = np.where(valid, values, 0).sum(axis=0, dtype=np.float64)
        return np.asarray(total / np.maximum(valid.sum(axis=0), 1))
    # Pixels without data last: the middle of the others is found by their number.
    ordered = np.sort(np.where(valid, values, np.inf), axis=0)
    count = np.maximum(valid.sum(axis=0), 1)
    low = np.take_along_axis(ordered, ((count - 1) // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, (count // 2)[None], axis=0)[0]
    return np.asarray(np.where(valid.any(axis=0), low / 2 + high / 2, 0))
