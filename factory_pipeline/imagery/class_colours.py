"""Colours of classes that stay distinct when there are many: each next one is farthest from all before.

Distances are those of OKLab (Ottosson 2020), in which equal steps look equally large; the choice is that of
Glasbey et al. 2007, "Colour displays for categorical images".
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_FIRST = (
    *("#3b6fb6", "#d1495b", "#edae49", "#00798c", "#8f6bb3", "#66a182", "#b0713a", "#f28fad"),
    *("#2e4057", "#a3c644"),
)
_BACKGROUNDS = ("#ffffff", "#e8ebee", "#000000")
"""Of paper, of pixels without data, of text: no class looks like one of them."""
_LIGHTNESS = 0.3, 0.9
"""Of OKLab: a colour outside is hard to tell from a background."""
_STEP = 15
"""Of the red, green and blue that are tried."""
_AT_ONCE = 32
_TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_TO_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)


def class_colour(number: int, first: tuple[str, ...] = _FIRST) -> str:
    """Return the colour of a class as `#rrggbb`; it does not depend on how many classes there are.

    Args:
        number: of the class in the order of all, from 0.
        first: the colours of the first classes; the others differ from them.
    """
    if number < len(first):
        return first[number]
    # A few more than needed: the next number is likely to be the next one.
    return _extend(first, -(-(number + 1) // _AT_ONCE) * _AT_ONCE)[number]


@cache
def _extend(first: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Continue colours until there are `count`."""
    levels = np.arange(0, 256, _STEP)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(candidates)
    usable = (lab[:, 0] >= _LIGHTNESS[0]) & (lab[:, 0] <= _LIGHTNESS[1])
    candidates, lab = candidates[usable], lab[usable]
    colours = list(first)
    taken = _oklab(np.array([tuple(bytes.fromhex(colour[1:])) for colour in (*first, *_BACKGROUNDS)]))
    nearest = np.min([np.square(lab - one).sum(axis=1) for one in taken], axis=0)
    while len(colours) < count:
        # Rounded: on every processor the same one of candidates that are as far.
        chosen = int(np.argmax(nearest.round(9)))
        colours.append("#{:02x}{:02x}{:02x}".format(*candidates[chosen].tolist()))
        nearest = np.minimum(nearest, np.square(lab - lab[chosen]).sum(axis=1))
    return tuple(colours)


def _oklab(rgb: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return lightness, green to red, blue to yellow of (colours, 3) red, green and blue up to 255."""
    shares = rgb / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    lab: NDArray[np.float64] = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    return lab
