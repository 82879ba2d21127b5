"""How far the held-out images are from the nearest training image."""

import numpy as np
import scipy
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import by_parts
from factory_pipeline.imagery.overlap import Ground

_NEAREST = 4
_LOOKED_UP = 1 << 16
"""Footprints whose neighbours are looked up at a time."""
_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth."""


def distance_between(ground: Ground, held_out: NDArray[np.bool_]) -> float | None:
    """Return the smallest distance in metres between a training image and a held-out one.

    The training footprints whose centres are nearest to that of each held-out one are measured, by classes of
    size, so that a large one is not hidden by small ones.

    Args:
        ground: of the images.
        held_out: (images,) True for test and validation.

    Returns:
        0 where two overlap; None where one side has no georeferenced image.
    """
    placed = ground.number >= 0
    train = np.unique(ground.number[placed & ~held_out])
    others = np.unique(ground.number[placed & held_out])
    if not train.size or not others.size:
        return None
    if np.intersect1d(train, others, assume_unique=True).size:
        return 0.0
    return nearest_distance(ground, train, others)


def nearest_distance(
    ground: Ground, train: NDArray[np.int64], others: NDArray[np.int64], best: float = np.inf
) -> float:
    """Return the smallest distance in metres between a footprint of `train` and one of `others`, or `best`.

    Args:
        ground: of the footprints.
        train: positions in `ground.corners`, of one or more.
        others: positions in `ground.corners`, of one or more.
        best: metres; what is not nearer need not be measured.
    """
    circles = by_parts(_circles, ground.corners)
    centres, radii = circles[:, :3], circles[:, 3]
    sizes = np.floor(np.log2(np.maximum(radii[train], 1e-3))).astype(int)
    for size in np.unique(sizes).tolist():
        there = train[sizes == size]
        tree = scipy.spatial.cKDTree(centres[there])
        for start in range(0, len(others), _LOOKED_UP):
            some = others[start : start + _LOOKED_UP]
            near, nearest = tree.query(centres[some], k=min(_NEAREST, there.size))
            near, nearest = near.reshape(len(some), -1), nearest.reshape(len(some), -1)
            # The footprints can't be nearer than their circles, but a sphere is not quite the Earth.
            least = 0.99 * near - radii[some][:, None] - radii[there[nearest]]
            best = _measured(ground, there[nearest], some, least, best)
    return best


def _measured(
    ground: Ground,
    train: NDArray[np.int64],
    others: NDArray[np.int64],
    least: NDArray[np.float64],
    best: float,
) -> float:
    """Return the smallest distance of pairs and `best`; few pairs must be measured.

    Args:
        ground: of the images.
        train: (others, n) footprints.
        others: footprints.
        least: (others, n) metres that the pairs are apart at least.
        best: metres.
    """
    order = np.argsort(least, axis=None, kind="stable")
    for start in range(0, order.size, 1024):
        part = order[start : start + 1024]
        part = part[least.reshape(-1)[part] < best]
        if not part.size:
            break
        pairs = np.stack([train.reshape(-1)[part], others[part // least.shape[1]]], axis=1)
        best = min(best, float(ground.distances(pairs).min()))
    return best


def _circles(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (footprints, 4): the centre of a circle around each (x, y, z), and its radius, in metres."""
    points = _project_to_sphere(corners)
    centres = points.mean(axis=1)
    radii = np.linalg.norm(points - centres[:, None], axis=2).max(axis=1)
    return np.concatenate([centres, radii[:, None]], axis=1)


def _project_to_sphere(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (footprints, 4, 3) metres from the centre of the Earth."""
    lon, lat = np.radians(corners[..., 0]), np.radians(corners[..., 1])
    return _RADIUS_M * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
