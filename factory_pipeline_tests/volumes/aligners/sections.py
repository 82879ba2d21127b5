"""Sections and fields for tests, with a warp of their own: SciPy's."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float32]


def texture(shape: tuple[int, int], seed: int) -> Array:
    """Membrane-like texture: noise of two scales, mean 0, variance 1."""
    noise = np.random.default_rng(seed).standard_normal((2, *shape))
    image = gaussian_filter(noise[0], 1.5) * 3 + gaussian_filter(noise[1], 6) * 10
    return ((image - image.mean()) / image.std()).astype(np.float32)


def smooth_field(shape: tuple[int, int], shift: tuple[float, float], amplitude: float) -> Array:
    """A constant shift (channel 0, channel 1) and one wave along each axis, in pixels."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    wave = np.stack(
        [
            np.sin(2 * np.pi * rows / shape[0]) * np.cos(np.pi * columns / shape[1]),
            np.cos(np.pi * rows / shape[0]) * np.sin(2 * np.pi * columns / shape[1]),
        ]
    )
    return (np.array(shift)[:, None, None] + amplitude * wave).astype(np.float32)


def pulled(image: Array, field: Array, edges: str = "grid-constant") -> Array:
    """The image at p + field(p), zeros outside or as `edges` says; channel 0 is along the last axis."""
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    at = [rows + field[1], columns + field[0]]
    return map_coordinates(image, at, order=1, mode=edges, cval=0.0).astype(np.float32)


def halved(values: Array) -> Array:
    """Means over 2 x 2 pixels of the last two axes."""
    rows, columns = values.shape[-2:]
    return values.reshape(*values.shape[:-2], rows // 2, 2, columns // 2, 2).mean((-3, -1)).astype(np.float32)


def error(found: Array, known: Array, margin: int) -> Array:
    """Distance of two fields in the interior, in pixels."""
    return np.hypot(*(found - known)[:, margin:-margin, margin:-margin])
