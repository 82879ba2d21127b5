"""Spectra of the pure surfaces that a pixel of the sample's world is mixed of."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class EndMember(IntEnum):
    """A pure surface; the value is its row in the table of spectra."""

    CANOPY = 0
    BARE_CANOPY = 1
    HERBS = 2
    SOIL = 3
    BUILT = 4
    ROCK = 5
    WATER = 6
    CLOUD = 7


_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")

# Counts of 1/10000, of the size that such surfaces have in Sentinel-2 L2A.
_SPECTRA = np.array(
    [
        [200, 250, 470, 290, 760, 2150, 2750, 2950, 3100, 3050, 1550, 700],
        [320, 400, 560, 640, 900, 1350, 1550, 1700, 1850, 1900, 1800, 1050],
        [350, 430, 800, 480, 1200, 2700, 3300, 3500, 3600, 3550, 2050, 1080],
        [600, 820, 1150, 1500, 1800, 2000, 2150, 2300, 2450, 2500, 2950, 2350],
        [950, 1150, 1350, 1480, 1580, 1680, 1780, 1880, 1930, 1930, 2180, 1950],
        [900, 1100, 1400, 1650, 1800, 1900, 1980, 2080, 2130, 2170, 2750, 2500],
        [330, 370, 410, 270, 230, 180, 160, 150, 130, 120, 60, 40],
        [6900, 6800, 6600, 6700, 6800, 6900, 7000, 7000, 7050, 6500, 4400, 3400],
    ],
    dtype=np.float32,
)


def band_reflectance(
    band: str, fractions: Mapping[EndMember, NDArray[np.float32] | np.float32]
) -> NDArray[np.float32]:
    """Linear mixture of the pure spectra in one band, in counts of 1/10000.

    Args:
        band: such as B04.
        fractions: of each pure spectrum, 0 to 1, which sum to 1.
    """
    spectrum = _SPECTRA[:, _BANDS.index(band)]
    total = np.float32(0.0)
    for member, fraction in fractions.items():
        total = total + spectrum[member] * fraction
    return np.asarray(total, dtype=np.float32)
