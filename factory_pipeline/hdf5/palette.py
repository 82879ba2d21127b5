"""The colours of a chip: each layer of a sample as an RGB picture, one pixel for one pixel."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(h, w, 3) RGB."""
Stops = tuple[tuple[float, str], ...]
"""Values and their colours, ascending; between them the colour is interpolated."""

SCL_COLOURS = dict(
    enumerate(
        (
            "#000000",
            "#ff0000",
            "#2f2f2f",
            "#643200",
            "#00a000",
            "#ffe65a",
            "#0000ff",
            "#808080",
            "#c0c0c0",
            "#ffffff",
            "#64c8ff",
            "#ff96ff",
        )
    )
)
"""By scene class (ESA, Sen2Cor's scene classification legend)."""

WORLDCOVER_COLOURS = {
    0: "#000000",
    10: "#006400",
    20: "#ffbb22",
    30: "#ffff4c",
    40: "#f096ff",
    50: "#fa0000",
    60: "#b4b4b4",
    70: "#f0f0f0",
    80: "#0064c8",
    90: "#0096a0",
    95: "#00cf75",
    100: "#fae6a0",
}
"""By class code (ESA WorldCover, product user manual); 0 is no data."""

UNKNOWN_COLOUR = "#ff00ff"
SLOPE_STOPS: Stops = ((0, "#fbf7ee"), (5, "#f9dfa6"), (10, "#f2a65a"), (15, "#d65f3c"), (30, "#6b1a3a"))
"""Percent."""
AGBD_STOPS: Stops = ((0, "#f4efb4"), (75, "#a9cf6d"), (150, "#4fa358"), (300, "#116149"), (500, "#07303b"))
"""Mg/ha."""
TERRAIN_STOPS: Stops = ((0, "#5c8f6b"), (0.3, "#b9c58a"), (0.6, "#d9b878"), (0.85, "#a67c5b"), (1, "#f2ede6"))
"""From the lowest to the highest pixel of a chip."""
SMALLEST_RELIEF = 20.0
"""Metres: flatter chips are not stretched over all terrain colours, which would show noise as hills."""
SMALLEST_CONTRAST = 600
"""Reflectance x 10000, for the same reason."""


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the components of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ramp(values: NDArray[np.floating], stops: Stops) -> Picture:
    """Colour numbers; what is outside the stops takes the colour of the nearest.

    Args:
        values: (rows, columns).
        stops: value and colour, by rising value.
    """
    at = [value for value, _ in stops]
    channels = zip(*(rgb(colour) for _, colour in stops), strict=True)
    return (
        np.stack([np.interp(values, at, channel) for channel in channels], axis=-1).round().astype(np.uint8)
    )


def classes(values: NDArray[np.integer], colours: dict[int, str]) -> Picture:
    """Colour class codes of one byte; a code without a colour is magenta.

    Args:
        values: (rows, columns), 0 to 255.
        colours: `#rrggbb` by code.
    """
    table = np.array([rgb(colours.get(code, UNKNOWN_COLOUR)) for code in range(256)], np.uint8)
    return table[values.clip(0, 255)]


def true_colour(bands: NDArray[np.uint16]) -> Picture:
    """Return (3, h, w) reflectances as a picture, stretched from their 2nd to their 98th percentile.

    One stretch for all three keeps the hue.
    """
    low, high = np.percentile(bands, (2, 98))
    stretched = (bands - low) / max(high - low, SMALLEST_CONTRAST)
    # A gamma of 1.3 opens up dark forest.
    return (np.moveaxis(stretched.clip(0, 1), 0, -1) ** (1 / 1.3) * 255).round().astype(np.uint8)


def terrain(altitude: NDArray[np.float32], pixel: float) -> Picture:
    """Return altitude [m] in terrain colours, shaded by a light from the north-west at 45 degrees.

    Args:
        altitude: (rows, columns) metres.
        pixel: its side in metres, for the slope.
    """
    middle = (altitude.min() + altitude.max()) / 2
    relief = max(float(np.ptp(altitude)), SMALLEST_RELIEF)
    colours = ramp((altitude - middle) / relief + 0.5, TERRAIN_STOPS)
    down, right = np.gradient(altitude.astype(np.float64), pixel)
    # Cosine between the surface normal (-right, +down in y-up axes, 1) and the light (-1, 1, sqrt 2) / 2.
    light = (right + down + np.sqrt(2)) / 2 / np.sqrt(right**2 + down**2 + 1)
    # Flat ground keeps its colour.
    shade = (light / np.sqrt(0.5)).clip(0.35, 1.25)
    return (colours * shade[..., None]).clip(0, 255).round().astype(np.uint8)


def label_over(picture: Picture, label: NDArray[np.float32], nodata: float) -> Picture:
    """Return the labelled pixels in AGBD colours over a pale grey picture of the scene.

    Args:
        picture: (rows, columns, 3).
        label: (rows, columns) Mg/ha.
        nodata: value of pixels without a label.
    """
    grey = picture @ np.array([0.299, 0.587, 0.114])
    pale = np.repeat((185 + grey * 60 / 255)[..., None], 3, axis=-1).round().astype(np.uint8)
    return np.where((label != nodata)[..., None], ramp(label, AGBD_STOPS), pale)
