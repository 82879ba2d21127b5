"""What is cut from one section: its field, and its image, normalised and masked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.sources import Sources
from factory_pipeline.volumes.volume import Pixels, VolumeMip
from factory_pipeline.volumes.warp import Resampling, resample

NO_VECTOR = "no finite vector of the field in the reference box"
NO_PIXEL = "no valid pixel"
NO_REFERENCE_PIXEL = "no valid pixel in the reference box"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SectionField:
    """The field of a section without its mean translation."""

    moved: tuple[int, int]
    """x and y that the box of the image is moved by: MIP 0 pixels, multiples of 2**mip of the reference."""
    residual: Pixels
    """(2, x, y) at the mip of the volume, in MIP 0 pixels; vectors that are not finite are 0."""
    missing: float
    """Share of vectors that are not finite."""


@dataclass(frozen=True)
class SectionImage:
    """The image of a section, (x, y) at the mip of the pairs."""

    pixels: Pixels
    masked: float
    """Share of pixels that a mask removes."""
    black: float
    """Share of pixels that are 0 or not finite before anything is changed."""
    fault: str | None
    """Why pairs of this section are rejected; None if they are not."""


def read_field(sources: Sources, box: Box) -> SectionField | None:
    """Read the field of a section.

    The translation is floor(mean / 2**m) * 2**m of the finite vectors of the reference box, with the mip m of
    the reference; so up to 2**m - 1 pixels of it stay in the field.

    Args:
        sources: the volumes; one of fields is among them.
        box: the box of the place.

    Returns:
        The field, or None if the reference box has no finite vector.
    """
    assert sources.field is not None
    reference = sources.field_reference
    pending = sources.field.start_read(box)
    reference_pending = reference.volume.start_read(box.around(*reference.extent)) if reference else pending
    field = pending()
    vectors = reference_pending() if reference else field
    finite = np.isfinite(vectors).all(axis=0)
    if not finite.any():
        return None
    step = 2 ** (reference.volume if reference else sources.field).mip
    mean = vectors[:, finite].mean(axis=1, dtype=np.float64)
    translation = np.floor(mean / step) * step
    present = np.isfinite(field).all(axis=0)
    residual = np.where(present, field - translation[:, None, None], 0).astype(np.float32)
    # Channel 0 is along y, channel 1 along x.
    return SectionField((int(translation[1]), int(translation[0])), residual, _share(np.logical_not(present)))


def read_image(
    sources: Sources, box: Box, mip: int, *, normalise: bool = True, resampling: Resampling = "bilinear"
) -> SectionImage:
    """Read the image of a section, normalise it, and set masked and black pixels to 0.

    Mean and sample variance are of the valid pixels of the reference box, or of the image if there is none:
    those that are unmasked, not 0 and finite. A variance of 0 counts as 1.

    Args:
        sources: the volumes.
        box: the box that is read.
        mip: of the image.
        normalise: subtract the mean and divide by the standard deviation.
        resampling: from the mips of the volumes to `mip`.
    """
    reference = sources.image_reference if normalise else None
    parts = [_start(sources, sources.image, box, mip, resampling)]
    if reference is not None:
        around = box.around(*reference.extent)
        parts.append(_start(sources, reference.volume, around, reference.mip, resampling))
    image, masked = parts[0]()
    black = (image == 0) | ~np.isfinite(image)
    valid = image[~(masked | black)]
    fault = None if valid.size else NO_PIXEL
    if normalise and fault is None:
        counted = valid
        if reference is not None:
            other, other_masked = parts[1]()
            counted = other[~other_masked & np.isfinite(other) & (other != 0)]
        if counted.size:
            mean, deviation = _statistics(counted)
            image = (image - np.float32(mean)) / np.float32(deviation)
        else:
            fault = NO_REFERENCE_PIXEL
    pixels = np.where(masked | black, np.float32(0), image)
    return SectionImage(pixels, _share(masked), _share(black), fault)


def _start(
    sources: Sources, volume: VolumeMip, box: Box, mip: int, resampling: Resampling
) -> Callable[[], tuple[Pixels, Mask]]:
    """Start to read an image and its masks; what is returned waits for both, at `mip`."""
    pending = volume.start_read(box)
    masks = [(mask.start_read(box), mask.mip, threshold) for mask, threshold in sources.masks]

    def finish() -> tuple[Pixels, Mask]:
        image = resample(pending()[0], volume.mip, mip, resampling)
        masked = np.zeros(image.shape, np.bool_)
        for mask, mask_mip, threshold in masks:
            masked |= resample(mask()[0], mask_mip, mip, resampling) >= threshold
        return image, masked

    return finish


def _statistics(pixels: Pixels) -> tuple[float, float]:
    """Return mean and standard deviation (n - 1); a variance of 0, and that of one pixel, counts as 1."""
    mean = float(pixels.mean(dtype=np.float64))
    variance = float(pixels.var(dtype=np.float64, ddof=1)) if pixels.size > 1 else 0.0
    return mean, variance**0.5 or 1.0


def _share(mask: Mask) -> float:
    return int(np.count_nonzero(mask)) / mask.size
