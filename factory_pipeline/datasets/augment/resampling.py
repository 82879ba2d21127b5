"""Pixels of an image taken to other places by an affine: the nearest ones, or bilinear between them."""

from dataclasses import replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

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
    """Where each pixel of a copy lies in its image, which is as large; all rasters of a sample share it."""

    def __init__(self, affine: Affine, size: tuple[int, int]) -> None:
        """Find the pixels.

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
        """The pixel that each lies in, as it is; `fill` outside the image."""
        return replace(raster, values=self._nearest(raster.values, fill))

    def image(self, modality: str, raster: SampleRaster, fill: Any) -> SampleRaster:
        """Measured bands bilinear, of pixels with data alone; codes of classes nearest.

        A pixel has data where the one that it lies in has, as in GDAL's warp.
        """
        nodata = nodata_in(raster)
        values = self._nearest(raster.values, fill)
        bilinear = NormalisedFilter(self._bilinear)
        for position in np.flatnonzero(measured_bands(modality, raster)):
            band = raster.values[position]
            valid = valid_pixels(band, nodata)
            store(bilinear(band, valid), values[position], self._nearest(valid, False), nodata)
        return replace(raster, values=values)

    def _nearest(self, values: NDArray[Any], fill: Any) -> NDArray[Any]:
        """(..., height, width)"""
        taken = values[..., self._rows, self._columns]
        taken[..., ~self._inside] = fill
        return taken

    def _bilinear(self, band: Floats) -> Floats:
        """scipy counts rows and columns from the centre of the first pixel."""
        a, b, c, d, e, f = self._inverse[:6]
        return ndimage.affine_transform(
            band,
            np.array([[e, d], [b, a]]),
            (f + (d + e - 1) / 2, c + (a + b - 1) / 2),
            order=1,
            mode="grid-constant",
        )
