"""The scene classification of a window: fractions of its classes, and whether the window is accepted.

Classes: ESA, Sentinel-2 products specification document, scene classification (SCL).
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips.windows import footprint_pixels
from factory_pipeline.config.recipe import SceneChecks
from factory_pipeline.hdf5.schema import SCL_CLASSES

CHECKED_CLASSES = {
    "cloud": (8, 9, 10),
    "shadow": (2, 3),
    "snow": (11,),
    "water": (6,),
    "invalid": (0, 1, 7),
}
"""Which classes each threshold of the recipe bounds, in the order in which they are checked."""
CENTER = "scl_center"
"""The reason of a window whose pixels at the footprint are of another class than the recipe allows."""
FRACTIONS_DTYPE = pl.Array(pl.Float64(), len(SCL_CLASSES))


def compute_scl_stats(scl: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the fraction of each window in each scene class.

    Args:
        scl: (windows, rows, columns), class codes. A code that is no class counts for none.

    Returns:
        (windows, 12), unrounded.
    """
    return count_classes(scl) / (scl.shape[1] * scl.shape[2])


def count_classes(scl: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many pixels of each window are of each scene class: (windows, 12)."""
    windows, codes = len(scl), np.iinfo(np.uint8).max + 1
    own_codes = scl + codes * np.arange(windows)[:, None, None]
    counts = np.bincount(own_codes.ravel(), minlength=windows * codes).reshape(windows, codes)
    return counts[:, : len(SCL_CLASSES)]


def failed_checks(scl: NDArray[np.uint8], checks: SceneChecks) -> list[str | None]:
    """Return the first check that each window fails, `scl_center` or a name of CHECKED_CLASSES.

    Args:
        scl: (windows, rows, columns).
        checks: a fraction may be as large as its threshold.

    Returns:
        None for a window that passes them all.
    """
    rows, columns = footprint_pixels(scl.shape[1])
    failed = {CENTER: ~np.isin(scl[:, rows, columns], checks.center_classes).all(axis=(1, 2))}
    counts, pixels = count_classes(scl), scl.shape[1] * scl.shape[2]
    for name, classes in CHECKED_CLASSES.items():
        # Counted together: a sum of fractions may pass the threshold by its rounding.
        failed[name] = counts[:, classes].sum(axis=1) / pixels > getattr(checks, name)
    return [
        next((reason for reason, fails in zip(failed, window, strict=True) if fails), None)
        for window in np.stack([*failed.values()], axis=1).tolist()
    ]


def describe_check(reason: str, fractions: NDArray[np.float64], checks: SceneChecks) -> str:
    """Return why one window failed a check, for a person.

    Args:
        reason: from `failed_checks`.
        fractions: (12,) of this window.
        checks: the thresholds.
    """
    if reason == CENTER:
        allowed = " or ".join(map(str, checks.center_classes))
        return f"not all of the 4x4 pixels at the footprint are of SCL class {allowed}"
    found = fractions[list(CHECKED_CLASSES[reason])].sum()
    return f"{reason} covers {found:.2%} of the window, {getattr(checks, reason):.2%} is allowed"
