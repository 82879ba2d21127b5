"""What must hold for every single sample, whether it is still in memory or in a file.

A predicate gives a flag per sample, True where the sample is wrong; they are written so that NaN is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.hdf5.schema import (
    LABEL_NODATA,
    SCL_CLASSES,
    WORLDCOVER_CLASSES,
    WORLDCOVER_NODATA,
    Samples,
)

BORDER = 1e-6
"""Pixels: a footprint this near to a pixel's border may be in either pixel."""
ALTITUDE_RANGE = (-500.0, 9000.0)
"""Metres."""
KNOWN_COVER = (WORLDCOVER_NODATA, *WORLDCOVER_CLASSES)

Flags = NDArray[np.bool_]

COMPLAINTS: Mapping[str, str] = {
    "footprint_in_window": "a footprint outside the middle pixel of the window",
    "scene_classes": "SCL pixels of no class from 0 to 11",
    "land_cover": f"WorldCover pixels of no class of {', '.join(map(str, KNOWN_COVER))}",
    "terrain": (
        f"altitudes outside {ALTITUDE_RANGE[0]:.0f} to {ALTITUDE_RANGE[1]:.0f} m or slopes that are negative"
        " or not finite"
    ),
    "biomass": "an AGBD that is not positive and finite, or an error that is negative or not finite",
    "label_raster": "a label raster that is empty at the footprint or differs from the AGBD",
}
"""By the name of a check: what a sample has that fails it."""


@dataclass(frozen=True)
class BadSamples:
    """The samples that fail one check."""

    check: str
    """A key of COMPLAINTS."""
    wrong: Flags
    """(n,)."""

    @property
    def sentence(self) -> str:
        """What is wrong with one of them."""
        return f"The sample has {COMPLAINTS[self.check]}."


def find_bad_samples(samples: Samples) -> list[BadSamples]:
    """Return every check that a sample fails; none where all samples are as they must be."""
    table, middle = samples.table, samples.sentinel2.shape[-1] // 2
    agbd = table["agbd"].to_numpy().astype(np.float32)
    flags = {
        "footprint_in_window": is_outside_middle(
            table["latitude"].to_numpy(),
            table["longitude"].to_numpy(),
            table["transform"].to_numpy().astype(np.float64),
            np.array(table["crs"].to_list(), dtype=object),
            middle,
        ),
        "scene_classes": has_no_scene_class(samples.sentinel2[:, 0]),
        "land_cover": has_unknown_cover(samples.worldcover),
        "terrain": has_impossible_terrain(samples.copdem),
        "biomass": has_no_biomass(agbd, table["agbd_se"].to_numpy()),
        "label_raster": has_wrong_label(samples.label[:, 0], agbd),
    }
    return [BadSamples(name, wrong) for name, wrong in flags.items() if wrong.any()]


def is_outside_middle(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    transforms: NDArray[np.float64],
    codes: NDArray[np.object_],
    middle: int,
) -> Flags:
    """Return whether the window's transform puts the footprint outside pixel [middle, middle].

    Args:
        latitude: (n,) degrees.
        longitude: (n,) degrees.
        transforms: (n, 9) affine of each window.
        codes: (n,) such as `EPSG:32640`.
        middle: row and column of the pixel.

    Returns:
        (n,) bool.
    """
    inside = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        of_code = codes == code
        to_window = crs_transformer(4326, str(code))
        x, y = to_window.transform(longitude[of_code], latitude[of_code])
        a, b, c, d, e, f = transforms[of_code, :6].T
        determinant = a * e - b * d
        column = (e * (x - c) - b * (y - f)) / determinant - middle
        row = (a * (y - f) - d * (x - c)) / determinant - middle
        inside[of_code] = np.all(
            [(place >= -BORDER) & (place <= 1 + BORDER) for place in (row, column)], axis=0
        )
    return ~inside


def has_no_scene_class(scl: NDArray[np.uint16]) -> Flags:
    """Return whether a pixel of (n, rows, columns) is of no class of SCL."""
    return _any_pixel(scl >= len(SCL_CLASSES))


def has_unknown_cover(cover: NDArray[np.uint8]) -> Flags:
    """Return whether a pixel is of no class of WorldCover and not its no data."""
    return _any_pixel(~np.isin(cover, KNOWN_COVER))


def has_impossible_terrain(copdem: NDArray[np.float32]) -> Flags:
    """Return whether an altitude of (n, 2, rows, columns) is none of the Earth's, or a slope is none."""
    low, high = ALTITUDE_RANGE
    altitude, slope = copdem[:, 0], copdem[:, 1]
    return _any_pixel(~((altitude >= low) & (altitude <= high) & (slope >= 0) & np.isfinite(slope)))


def has_no_biomass(agbd: NDArray[np.float32], error: NDArray[np.float32]) -> Flags:
    """Return whether the AGBD is not positive and finite, or its error not finite or negative.

    Args:
        agbd: (n,) Mg/ha.
        error: (n,) its standard error, Mg/ha.
    """
    return ~((agbd > 0) & np.isfinite(agbd) & (error >= 0) & np.isfinite(error))


def has_wrong_label(label: NDArray[np.float32], agbd: NDArray[np.float32]) -> Flags:
    """Return whether (n, rows, columns) is empty at the footprint, or a labelled pixel is not the AGBD.

    Args:
        label: (n, rows, columns) Mg/ha.
        agbd: (n,) Mg/ha.
    """
    half = label.shape[-1] // 2
    differs = _any_pixel((label != LABEL_NODATA) & (label != agbd[:, None, None]))
    return differs | (label[:, half, half] == LABEL_NODATA)


def _any_pixel(wrong: Flags) -> Flags:
    """Return True for each sample with a True pixel."""
    return np.any(wrong, axis=tuple(range(1, wrong.ndim)))
