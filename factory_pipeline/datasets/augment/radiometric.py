"""Operations that change the values of pixels, not their positions.

Pixels without data do not change and do not affect others; no pixel with data becomes one without. Bands of
class codes, such as Sentinel-2's SCL, do not change either. Labels are not touched.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import scipy

from factory_pipeline.datasets.augment.pixels import (
    Band,
    Floats,
    NormalisedFilter,
    Valid,
    measured_bands,
    nodata_in,
    store,
    valid_pixels,
)
from factory_pipeline.datasets.model.sample import Sample, SampleRaster

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""
USUAL_SPAN = (2.0, 98.0)
"""Percentiles of a band that bound its usual values; a few saturated pixels don't widen this range."""

_BandChange = Callable[[Band, Valid], Floats]
_ColourChange = Callable[[Floats, float], Floats]
"""From red, green and blue (3, pixels) and the value of black."""


def blur(sample: Sample, radius: float) -> Sample:
    """Blur by a Gaussian.

    Args:
        sample: not changed.
        radius: standard deviation in pixels, as in Pillow.
    """
    changed = {}
    for modality, raster in sample.images.items():
        gaussian = NormalisedFilter(lambda band: scipy.ndimage.gaussian_filter(band, radius, mode="constant"))
        changed[modality] = _band_by_band(modality, raster, gaussian)
    return replace(sample, images=changed)


def brighten(sample: Sample, percent: float) -> Sample:
    """Add a percentage of its range to each band.

    The range is 255 for 8 bits, else the distance between the percentiles USUAL_SPAN of the band. A band
    without negative values does not get any.

    Args:
        sample: not changed.
        percent: of the range; negative darkens.
    """

    def brighter(band: Band, valid: Valid) -> Floats:
        held = band[valid]
        low, high = np.percentile(held, USUAL_SPAN)
        reach = 255.0 if band.dtype == np.uint8 else float(high - low)
        changed = band.astype(np.float64) + percent / 100 * reach
        return np.maximum(changed, 0.0) if held.min() >= 0 else changed

    return _change_bands(sample, brighter)


def add_noise(sample: Sample, percent: float, noise: np.random.Generator) -> Sample:
    """Replace a percentage of the pixels by random ones.

    Each pixel is chosen with this probability, in all bands and modalities at once. Its new value in a band
    is uniform between the least and the greatest value there.

    Args:
        sample: not changed.
        percent: 0 to 100.
        noise: is advanced.
    """
    chosen = noise.random(sample.size) < percent / 100

    def noisy(band: Band, valid: Valid) -> Floats:
        held = band[valid].astype(np.float64)
        low, high = held.min(), held.max()
        # Every integer of the range is equally likely, also the outer ones.
        margin = 0.5 if band.dtype.kind in "iu" else 0.0
        share = noise.random(np.count_nonzero(chosen))
        changed = band.astype(np.float64)
        drawn = (low - margin) * (1 - share) + (high + margin) * share
        changed[chosen] = np.clip(drawn, low, high)
        return changed

    return _change_bands(sample, noisy)


def turn_grey(sample: Sample, percent: float) -> Sample:
    """Mix red, green and blue with their luminance.

    Args:
        sample: not changed.
        percent: 0 changes nothing, 100 makes them grey.
    """

    def greyer(colours: Floats, _: float) -> Floats:
        red, green, blue = (weight * band for weight, band in zip(LUMINANCE, colours, strict=True))
        return colours + percent / 100 * (red + green + blue - colours)

    return _with_colours(sample, greyer)


def turn_hue(sample: Sample, degrees: float) -> Sample:
    """Turn the hue of red, green and blue; their greatest and least value (V and S of HSV) stay.

    Args:
        sample: not changed.
        degrees: on the colour circle, from red towards green if positive.
    """

    def turned(colours: Floats, _: float) -> Floats:
        high, chroma = colours.max(axis=0), np.ptp(colours, axis=0)
        # H from V and back (A. R. Smith, Color gamut transform pairs, 1978), in sixths of the circle.
        sixths = _sixths(colours, high, chroma) + degrees / 60
        distance = (np.array([[5.0], [3.0], [1.0]]) + sixths) % 6
        return high - chroma * np.clip(np.minimum(distance, 4 - distance), 0, 1)

    return _with_colours(sample, turned)


def saturate(sample: Sample, percent: float) -> Sample:
    """Multiply the saturation of red, green and blue (S of HSV) by 1 + `percent` / 100; up to 1 at most.

    Args:
        sample: not changed.
        percent: -100 makes them grey.
    """

    def saturated(colours: Floats, black: float) -> Floats:
        high, chroma = colours.max(axis=0), np.ptp(colours, axis=0)
        most = np.divide(high - black, chroma, out=np.ones_like(high), where=chroma > 0)
        return high - (high - colours) * np.minimum(1 + percent / 100, most)

    return _with_colours(sample, saturated)


def has_colours(images: Mapping[str, SampleRaster]) -> bool:
    """Return whether the red, green and blue bands of any modality are known."""
    return any(raster.rgb is not None for raster in images.values())


def _change_bands(sample: Sample, change: _BandChange) -> Sample:
    images = {tag: _band_by_band(tag, raster, change) for tag, raster in sample.images.items()}
    return replace(sample, images=images)


def _band_by_band(modality: str, raster: SampleRaster, change: _BandChange) -> SampleRaster:
    """Change the bands of measured values that contain data."""
    nodata = nodata_in(raster)
    values = raster.values.copy()
    for position in np.flatnonzero(measured_bands(modality, raster)):
        valid = valid_pixels(raster.values[position], nodata)
        if valid.any():
            store(change(raster.values[position], valid), values[position], valid, nodata)
    return replace(raster, values=values)


def _with_colours(sample: Sample, change: _ColourChange) -> Sample:
    images = {tag: _change_colours(raster, change) for tag, raster in sample.images.items()}
    return replace(sample, images=images)


def _change_colours(raster: SampleRaster, change: _ColourChange) -> SampleRaster:
    """Change the colours of pixels that are valid in red, green and blue.

    HSV works for any range: hue and saturation don't depend on the value of white, and black is 0, or the
    least value if there are negative ones.
    """
    if raster.rgb is None:
        return raster
    nodata = nodata_in(raster)
    values = raster.values.copy()
    colours = raster.values[list(raster.rgb)]
    valid = valid_pixels(colours, nodata).all(axis=0)
    if valid.any():
        held = colours[:, valid].astype(np.float64)
        every = np.ones(held.shape[1], np.bool_)
        for position, changed in zip(raster.rgb, change(held, min(0.0, held.min())), strict=True):
            stored = values[position][valid]
            store(changed, stored, every, nodata)
            values[position][valid] = stored
    return replace(raster, values=values)


def _sixths(colours: Floats, high: Floats, chroma: Floats) -> Floats:
    """Return the hue, in sixths of the circle from red; 0 for greys."""
    red, green, blue = colours
    divisor = np.where(chroma > 0, chroma, 1.0)
    return np.select(
        [high == red, high == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
