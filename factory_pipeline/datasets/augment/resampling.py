"""Resampling an image by an affine: nearest or bilinear."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.datasets.augment.pixels import (
    Floats,
    NormalisedFilter,
    measured_bands,
    nodata_in,
    store,
    valid_pixels,
)
from factory_pipeline.datasets.model.sample import SampleRaster


class Resampler:
    """The position of each pixel of a copy in its image, which has the same size.

    All rasters of a sample share it.
    """

    def __init__(self, affine: Affine, size: tuple[int, int]) -> None:
        """Compute the positions.

        Args:
            affine: from pixels of the image to those of the copy, counted from the upper left corner.
            size: height and width of both.
        """
        height, width = size
        self._size = size
        self._inverse = ~affine
        a, b, c, d, e, f = self._inverse[:6]
        x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
        columns, rows = a * x + b * y + c, d * x + e * y + f
        self._inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        self._rows = np.where(self._inside, rows, 0).astype(np.int32)
        self._columns = np.where(self._inside, columns, 0).astype(np.int32)

    def nearest(self, raster: SampleRaster, fill: Any) -> SampleRaster:
        """Return the nearest pixels unchanged; `fill` outside the image.

        Args:
            raster: of the original size.
            fill: value outside the image.
        """
        return replace(raster, values=self._take_nearest(raster.values, fill))

    def image(self, modality: str, raster: SampleRaster, fill: Any) -> SampleRaster:
        """Return measured bands bilinear, from pixels with data only; codes of classes nearest.

        A pixel has data if the source pixel at its centre has, as in GDAL's warp.

        Args:
            modality: of the raster.
            raster: of the original size.
            fill: value outside the image.
        """
        nodata = nodata_in(raster)
        values = self._take_nearest(raster.values, fill)
        bilinear = NormalisedFilter(self._bilinear)
        for position in np.flatnonzero(measured_bands(modality, raster)):
            band = raster.values[position]
            valid = valid_pixels(band, nodata)
            store(bilinear(band, valid), values[position], self._take_nearest(valid, False), nodata)
        return replace(raster, values=values)

    def _take_nearest(self, values: NDArray[Any], fill: Any) -> NDArray[Any]:
        """Return the values at the nearest pixels, (..., height, width); `fill` outside the source."""
        taken = values[..., self._rows, self._columns]
        taken[..., ~self._inside] = fill
        return taken

    def _bilinear(self, band: Floats) -> Floats:
        """Interpolate a band; scipy counts rows and columns from the centre of the first pixel."""
        a, b, c, d, e, f = self._inverse[:6]
        return scipy.ndimage.affine_transform(
            band,
            np.array([[e, d], [b, a]]),
            (f + (d + e - 1) / 2, c + (a + b - 1) / 2),
            order=1,
            mode="grid-constant",
        )
