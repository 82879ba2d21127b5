"""How often each label category occurs in the training masks, and what it weighs in the loss.

Two ways of weighting, both with n_c pixels of class c:

* `inverse`: N / (K n_c), where the K classes that occur have N pixels together, so that weight times pixels
  is the same for all.
* `median`: median(f) / f_c, where f_c is n_c divided by all pixels of the masks that hold the class (Eigen
  and Fergus, "Predicting depth, surface normals and semantic labels", 2015).

A weight that the user gives wins. A class without a training pixel weighs 1: it takes no part in training,
and 0 would make the loss of a validation batch that holds nothing else undefined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from factory_pipeline.onboarding.manifest.model import LabelCategory

Weighting = Literal["inverse", "median"]


@dataclass(frozen=True)
class ClassStatistics:
    """One label category in the training masks."""

    id: int
    name: str
    pixels: int
    images: int
    """Masks that hold the class."""
    share: float
    """Part (0 to 1) of the pixels of all categories."""
    weight: float
    weight_given: bool
    """True where the user gave the weight."""


class MaskTally:
    """Pixels of label categories, added up mask by mask."""

    def __init__(self, categories: Sequence[LabelCategory]) -> None:
        """No mask yet."""
        self._categories = sorted(categories, key=lambda category: category.id)
        ids = [category.id for category in self._categories]
        self._pixels = dict.fromkeys(ids, 0)
        self._images = dict.fromkeys(ids, 0)
        self._around = dict.fromkeys(ids, 0)
        """Pixels of all categories in the masks that hold a class."""
        self._unknown: dict[int, int] = {}

    def add(self, mask: Mapping[int, int]) -> None:
        """Take in a mask: its pixels by value, no data left out."""
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
        """Pixels by mask value that no category names, by value."""
        return dict(sorted(self._unknown.items()))

    def statistics(self, weighting: Weighting) -> tuple[ClassStatistics, ...]:
        """Counts and weights of each category, by id; `weighting` makes the weights that nobody gave."""
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
