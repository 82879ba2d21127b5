"""Operations that move pixels: images, masks, targets, shapes and the geotransform by the same affine.

An affine maps pixels of a sample to those of its copy: x to the right and y down from the upper left corner,
the centre of the first pixel at (0.5, 0.5).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.datasets.augment.pixels import nodata_in
from factory_pipeline.datasets.augment.resampling import Resampler
from factory_pipeline.datasets.augment.shapes import move_shapes
from factory_pipeline.datasets.model.sample import Sample, SampleRaster

Pixels = NDArray[Any]
"""(bands, height, width)"""


def flip_horizontal(sample: Sample) -> Sample:
    """Exchange left and right."""
    width = sample.size[1]
    return _move_pixels(sample, lambda pixels: pixels[:, :, ::-1], Affine(-1, 0, width, 0, 1, 0))


def flip_vertical(sample: Sample) -> Sample:
    """Exchange top and bottom."""
    height = sample.size[0]
    return _move_pixels(sample, lambda pixels: pixels[:, ::-1, :], Affine(1, 0, 0, 0, -1, height))


def turn_clockwise(sample: Sample) -> Sample:
    """Turn by 90 degrees to the right; height and width change places."""
    height = sample.size[0]
    return _move_pixels(sample, lambda pixels: np.rot90(pixels, -1, (1, 2)), Affine(0, -1, height, 1, 0, 0))


def turn_counter_clockwise(sample: Sample) -> Sample:
    """Turn by 90 degrees to the left; height and width change places."""
    width = sample.size[1]
    return _move_pixels(sample, lambda pixels: np.rot90(pixels, 1, (1, 2)), Affine(0, 1, 0, -1, 0, width))


def turn_upside_down(sample: Sample) -> Sample:
    """Turn by 180 degrees."""
    height, width = sample.size
    return _move_pixels(sample, lambda pixels: pixels[:, ::-1, ::-1], Affine(-1, 0, width, 0, -1, height))


def crop(sample: Sample, row: int, column: int, height: int, width: int) -> Sample:
    """Cut out a window; it is not resized.

    Args:
        sample: not changed.
        row: of the window's first pixel.
        column: of the window's first pixel.
        height: pixels.
        width: pixels.
    """
    rows, columns = slice(row, row + height), slice(column, column + width)
    return _move_pixels(sample, lambda pixels: pixels[:, rows, columns], Affine.translation(-column, -row))


def rotate(sample: Sample, degrees: float) -> Sample:
    """Rotate about the centre; the size stays.

    Args:
        sample: not changed.
        degrees: counter-clockwise if positive.
    """
    height, width = sample.size
    # Affine counts angles from x to y, which is clockwise because y goes down.
    return _resample(sample, Affine.rotation(-degrees, (width / 2, height / 2)))


def shear(sample: Sample, horizontal: float, vertical: float) -> Sample:
    """Shear about the centre, along the rows and then along the columns; size and areas stay.

    Args:
        sample: the sample to shear.
        horizontal: degrees; positive moves the lower rows to the right.
        vertical: degrees; positive moves the right columns down.
    """
    height, width = sample.size
    centre = Affine.translation(width / 2, height / 2)
    along_rows = Affine(1, math.tan(math.radians(horizontal)), 0, 0, 1, 0)
    along_columns = Affine(1, 0, 0, math.tan(math.radians(vertical)), 1, 0)
    return _resample(sample, centre @ along_columns @ along_rows @ ~centre)


def _move_pixels(sample: Sample, take: Callable[[Pixels], Pixels], affine: Affine) -> Sample:
    """Move pixels without interpolation."""

    def taken(raster: SampleRaster) -> SampleRaster:
        return replace(raster, values=np.ascontiguousarray(take(raster.values)))

    images = {modality: taken(raster) for modality, raster in sample.images.items()}
    mask = None if sample.mask is None else taken(sample.mask)
    target = None if sample.target is None else taken(sample.target)
    return _move_geometry(replace(sample, images=images, mask=mask, target=target), sample, affine)


def _resample(sample: Sample, affine: Affine) -> Sample:
    """Interpolate images, use the nearest pixel for codes and labels; the size stays."""
    resampler = Resampler(affine, sample.size)
    images = {tag: resampler.image(tag, raster, _fill(raster)) for tag, raster in sample.images.items()}
    mask, target = sample.mask, sample.target
    resampled = replace(
        sample,
        images=images,
        mask=None if mask is None else resampler.nearest(mask, _fill(mask)),
        target=None if target is None else resampler.nearest(target, _fill_of_target(target)),
    )
    return _move_geometry(resampled, sample, affine)


def _move_geometry(copy: Sample, sample: Sample, affine: Affine) -> Sample:
    """Move shapes and geotransform of a copy whose rasters are moved already."""
    transform = sample.transform
    if transform is not None:
        a, b, c, d, e, f = (float(value) + 0.0 for value in (Affine(*transform) @ ~affine)[:6])
        transform = (a, b, c, d, e, f)
    shapes = move_shapes(sample.shapes, affine, sample.size, copy.size)
    return replace(copy, shapes=shapes, transform=transform)


def _fill(raster: SampleRaster) -> Any:
    """Return the value of pixels from outside the image: nodata, or 0 if there is none."""
    nodata = nodata_in(raster)
    return 0 if nodata is None else nodata


def _fill_of_target(raster: SampleRaster) -> Any:
    """As `_fill`, but NaN if the dtype allows it: 0 would be a measured value."""
    return np.nan if nodata_in(raster) is None and raster.values.dtype.kind == "f" else _fill(raster)
