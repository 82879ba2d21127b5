"""Pixels of bands of any dtype: which hold data, which are measured, and storing computed values."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datasets.model.sample import SampleRaster
from factory_pipeline.imagery.class_codes import holds_codes

Band = NDArray[Any]
"""(height, width) in the raster's dtype."""
Floats = NDArray[np.float64]
Valid = NDArray[np.bool_]
"""Where a band holds data."""

_LEAST_WEIGHT = 1e-9


def measured_bands(modality: str, raster: SampleRaster) -> NDArray[np.bool_]:
    """Return which bands hold measured real numbers, not codes of classes, according to their names.

    Args:
        modality: of the raster.
        raster: of a sample.

    Returns:
        (bands,).
    """
    is_real = raster.values.dtype.kind in "iuf"
    return np.array([is_real and not holds_codes(modality, name) for name in raster.bands], np.bool_)


def nodata_in(raster: SampleRaster) -> Any:
    """Return the nodata value in the raster's dtype; None if there is none that the dtype can represent."""
    dtype, nodata = raster.values.dtype, raster.nodata
    if nodata is None:
        return None
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = np.isfinite(nodata) and nodata == int(nodata) and limits.min <= nodata <= limits.max
        return dtype.type(int(nodata)) if fits else None
    with np.errstate(over="ignore"):
        held = dtype.type(nodata)
    return held if np.isinf(nodata) or not np.isinf(held) else None


def valid_pixels(band: Band, nodata: Any) -> Valid:
    """Return where a band (or several) has a finite value that isn't nodata.

    Args:
        band: (..., height, width).
        nodata: value without data; None if there is none.

    Returns:
        In the shape of `band`.
    """
    valid = np.isfinite(band)
    return valid if nodata is None else valid & (band != nodata)


def store(computed: Floats, into: Band, valid: Valid, nodata: Any) -> None:
    """Write computed values into a band where they are valid; the others stay.

    Integers are rounded half up, as GDAL does; values outside of the dtype's range are clipped. A value that
    would be nodata becomes its neighbour.

    Args:
        computed: float64, in the shape of `into`.
        into: is changed.
        valid: in the shape of `into`.
        nodata: value without data; None if there is none.
    """
    values = as_dtype(computed[valid], into.dtype)
    if nodata is not None:
        values[values == nodata] = _next_value(nodata)
    into[valid] = values


def as_dtype(computed: Floats, dtype: np.dtype) -> NDArray[Any]:
    """Convert computed values to a dtype: rounded half up for integers, and clipped to its range.

    Args:
        computed: float64, of any shape.
        dtype: an integer or floating-point type.
    """
    if dtype.kind not in "iu":
        limits = np.finfo(dtype)
        return np.clip(computed, float(limits.min), float(limits.max)).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    greatest = float(high) if int(float(high)) <= high else np.nextafter(float(high), 0)
    return np.clip(np.floor(computed + 0.5), float(low), greatest).astype(dtype)


class NormalisedFilter:
    """A linear filter of bands in which pixels without data, or outside, have no weight.

    The result is the weighted mean of pixels with data (normalised convolution: H. Knutsson, C.-F. Westin,
    1993), so they neither mix with nodata nor fade towards it. Without any the result is 0.
    """

    def __init__(self, linear: Callable[[Floats], Floats]) -> None:
        """Wrap a filter that treats pixels outside as 0."""
        self._linear = linear
        self._valid: Valid | None = None
        self._weights: Floats = np.empty(0)

    def __call__(self, band: Band, valid: Valid) -> Floats:
        """Filter a band; bands that are valid in the same pixels share the weights."""
        if self._valid is None or not np.array_equal(valid, self._valid):
            self._valid = valid
            self._weights = self._linear(valid.astype(np.float64))
        sums = self._linear(np.where(valid, band, 0).astype(np.float64))
        return np.divide(sums, self._weights, out=np.zeros_like(sums), where=self._weights > _LEAST_WEIGHT)


def _next_value(nodata: Any) -> Any:
    """Return the next greater value of the dtype, or the next smaller one of the greatest."""
    dtype = nodata.dtype
    if dtype.kind not in "iu":
        up = np.finfo(dtype).max
        return np.nextafter(nodata, -up if nodata >= up else up)
    return dtype.type(int(nodata) + (1 if nodata < np.iinfo(dtype).max else -1))
