"""Frequency of each label category in the training masks, and its weight in the loss.

There are two weightings, with n_c pixels of class c:

* `inverse`: N / (K n_c), where the K classes that occur have N pixels together, so that weight times pixels
  is the same for all.
* `median`: median(f) / f_c, where f_c is n_c divided by all pixels of the masks that hold the class (Eigen
  and Fergus, "Predicting depth, surface normals and semantic labels", 2015).

A weight of the user takes precedence. A class without a training pixel has the weight 1: it does not affect
training, and 0 would make the loss of a validation batch that contains only this class undefined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from factory_pipeline.onboarding.manifest.sections import LabelCategory

Weighting = Literal["inverse", "median"]


@dataclass(frozen=True)
class ClassStatistics:
    """One label category in the training masks."""

    id: int
    name: str
    pixels: int
    images: int
    """Masks that contain the class."""
    share: float
    """Fraction (0 to 1) of the pixels of all categories."""
    weight: float
    weight_given: bool
    """True if the user set the weight."""


class MaskCounter:
    """Counts the pixels of label categories, mask by mask."""

    def __init__(self, categories: Sequence[LabelCategory]) -> None:
        """Start without any mask."""
        self._categories = sorted(categories, key=lambda category: category.id)
        ids = [category.id for category in self._categories]
        self._pixels = dict.fromkeys(ids, 0)
        self._images = dict.fromkeys(ids, 0)
        self._around = dict.fromkeys(ids, 0)
        """By class: pixels of all categories in the masks that contain it."""
        self._unknown: dict[int, int] = {}

    def add(self, mask: Mapping[int, int]) -> None:
        """Add a mask: its pixels by value, without no data."""
        known = {id: count for id, count in mask.items() if id in self._pixels}
        everything = sum(known.values())
        for id, count in known.items():
            self._pixels[id] += count
            self._images[id] += 1
            self._around[id] += everything
        for value in mask.keys() - known.keys():
            self._unknown[value] = self._unknown.get(value, 0) + mask[value]

    @property
    def unknown(self) -> dict[int, int]:
        """Return pixels by mask value for values without a category, sorted by value."""
        return dict(sorted(self._unknown.items()))

    def statistics(self, weighting: Weighting) -> tuple[ClassStatistics, ...]:
        """Return counts and weights of each category, by id.

        `weighting` computes the weights that are not set.
        """
        weights = self._inverse() if weighting == "inverse" else self._median()
        total = sum(self._pixels.values())
        return tuple(
            ClassStatistics(
                category.id,
                category.name,
                self._pixels[category.id],
                self._images[category.id],
                self._pixels[category.id] / total if total else 0.0,
                weights.get(category.id, 1.0) if category.weight is None else category.weight,
                category.weight is not None,
            )
            for category in self._categories
        )

    def _inverse(self) -> dict[int, float]:
        present = {id: count for id, count in self._pixels.items() if count}
        total = sum(present.values())
        return {id: total / (len(present) * count) for id, count in present.items()}

    def _median(self) -> dict[int, float]:
        frequencies = {id: count / self._around[id] for id, count in self._pixels.items() if count}
        middle = median(frequencies.values()) if frequencies else 1.0
        return {id: middle / frequency for id, frequency in frequencies.items()}
