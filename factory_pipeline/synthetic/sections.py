"""Sections of tissue for the sample volume: texture that changes slowly, moved by known shifts and warps.

Section z shows the tissue T at displaced places: section(p) = T(p + displacement(p)). Arrays have the axes of
a volume, (x, y); displacements and fields are (2, x, y) in pixels, channel 0 along the last axis.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.volumes.warp import warp

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MARGIN = 96
"""Pixels of tissue around the sections: more than any displacement."""
TURN = 0.18
"""Radians that the texture turns between its two fields of noise from a section to the next."""
LONGEST_SHIFT = 40
"""Pixels of MIP 0 along an axis."""
WARP = 9.0
"""Pixels of MIP 0: standard deviation of a smooth warp."""
WARP_SCALE = 90.0
"""Pixels of MIP 0: radius that the noise of a warp is smoothed by."""
MEMBRANE = 0.25
"""Distance from zero, in standard deviations of the noise, within which tissue is membrane."""


@dataclass(frozen=True)
class SectionPlan:
    """What the sections of a volume are like.

    Attributes:
        shape: pixels of a section at MIP 0 along x and y.
        sections: how many there are.
        seed: of all that is random.
    """

    shape: tuple[int, int] = (1024, 1024)
    sections: int = 13
    seed: int = 14


class Sections:
    """The sections of a plan; section 0 is the first."""

    def __init__(self, plan: SectionPlan) -> None:
        """Remember the plan; nothing is computed yet."""
        self.plan = plan

    def shift(self, z: int) -> tuple[int, int]:
        """Return the constant part of the displacement of a section, channel 0 and channel 1."""
        first, second = self._random(z, 0).integers(-LONGEST_SHIFT, LONGEST_SHIFT + 1, 2).tolist()
        return first, second

    def displacement(self, z: int) -> Floats:
        """Return the displacement of a section, its shift and its smooth warp."""
        inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        return self._padded_displacement(z)[inner]

    def coarse_field(self, z: int) -> Floats:
        """Return the field that undoes the shift of a section and leaves its warp; it is constant."""
        return np.broadcast_to(-np.array(self.shift(z), np.float32)[:, None, None], (2, *self.plan.shape))

    def image(self, z: int) -> Bytes:
        """Return a section: grey tissue, 1 to 255; 0 in cracks and where there is no tissue."""
        tissue = self._tissue(z)
        moved = warp(tissue, self._padded_displacement(z))[MARGIN:-MARGIN, MARGIN:-MARGIN]
        noisy = moved + self._random(z, 1).normal(0, 6, moved.shape)
        image = noisy.round().clip(1, 255).astype(np.uint8)
        image[self.defects(z)] = 235
        image[self._black_pixels(z)] = 0
        return image

    def defects(self, z: int) -> NDArray[np.bool_]:
        """Return where a section is stained: every third has a spot."""
        x, y = self._axes()
        if z % 3 != 1:
            return np.zeros(self.plan.shape, bool)
        centre = self._random(z, 2).uniform(0.3, 0.7, 2)
        radius = 0.05 * min(self.plan.shape)
        squares = (x - centre[0] * self.plan.shape[0]) ** 2 + (y - centre[1] * self.plan.shape[1]) ** 2
        return squares < radius**2

    def is_lost(self, z: int) -> bool:
        """Return whether a section is black altogether: the last one."""
        return z == self.plan.sections - 1

    def _black_pixels(self, z: int) -> NDArray[np.bool_]:
        """Cracks across every fourth section, a corner without tissue in every fifth, lost sections."""
        x, y = self._axes()
        width, height = self.plan.shape
        black = np.full(self.plan.shape, self.is_lost(z))
        if z % 4 == 2:
            along = 0.5 * height + 0.1 * height * np.sin(2 * np.pi * x / width + z)
            black |= np.abs(y - along) < 0.004 * height
        if z % 5 == 3:
            black |= x + y < 0.3 * min(width, height)
        return black

    def _axes(self) -> tuple[Floats, Floats]:
        x, y = (np.arange(length, dtype=np.float32) for length in self.plan.shape)
        return x[:, None], y[None, :]

    def _tissue(self, z: int) -> Floats:
        """Dark membranes around bright cytoplasm, of the sections and their margin."""
        turn = np.cos(TURN * z), np.sin(TURN * z)
        lines, shade = (turn[0] * first + turn[1] * second for first, second in self._noises)
        membranes = np.exp(-((lines / MEMBRANE) ** 2))
        return (170 + 25 * shade - 120 * membranes).astype(np.float32)

    @cached_property
    def _noises(self) -> list[tuple[Floats, Floats]]:
        """Two fields of noise for the membranes and two for the shade of what is between."""
        random = np.random.default_rng([self.plan.seed, 9])
        return [(self._noise(random, scale), self._noise(random, scale)) for scale in (9.0, 4.0)]

    def _padded_displacement(self, z: int) -> Floats:
        random = self._random(z, 3)
        bend = np.stack([WARP * self._noise(random, WARP_SCALE) for _ in range(2)])
        # A rare value beyond the margin would show what is outside of the tissue.
        most = MARGIN - LONGEST_SHIFT - 8
        return bend.clip(-most, most) + np.array(self.shift(z), np.float32)[:, None, None]

    def _noise(self, random: np.random.Generator, scale: float) -> Floats:
        """Smooth noise, mean 0 and variance 1."""
        shape = tuple(length + 2 * MARGIN for length in self.plan.shape)
        frequencies = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1]) ** 2
        blur = np.exp(-2 * (np.pi * scale) ** 2 * frequencies)
        smooth = np.fft.irfft2(np.fft.rfft2(random.standard_normal(shape)) * blur, shape)
        return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)

    def _random(self, z: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.plan.seed, purpose, z])
