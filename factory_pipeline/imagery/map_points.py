"""Points mapped by an affine transform."""

from collections.abc import Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray


def map_points(transform: Affine | Sequence[float], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points that an affine transform maps points to.

    Args:
        transform: a, b, c, d, e, f (and more, which is ignored): x' = a x + b y + c, y' = d x + e y + f.
        points: (n, 2) x, y.

    Returns:
        (n, 2) x', y'.
    """
    a, b, c, d, e, f = transform[:6]
    x, y = points.T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
