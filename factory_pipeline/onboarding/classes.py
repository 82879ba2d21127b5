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

from factory_pipeline.onboarding.manifest import LabelCategory

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


def class_statistics(
    masks: Sequence[Mapping[int, int]], categories: Sequence[LabelCategory], weighting: Weighting
) -> tuple[ClassStatistics, ...]:
    """Counts and weights of each category.

    Args:
        masks: pixels by value of each mask, no data left out.
        categories: what the values mean.
        weighting: how weights are computed that the user doesn't give.

    Returns:
        One per category, by id.
    """
    known = sorted(categories, key=lambda category: category.id)
    ids = [category.id for category in known]
    pixels = {id: sum(mask.get(id, 0) for mask in masks) for id in ids}
    weights = _inverse(pixels) if weighting == "inverse" else _median(pixels, masks)
    total = sum(pixels.values())
    return tuple(
        ClassStatistics(
            category.id,
            category.name,
            pixels[category.id],
            sum(category.id in mask for mask in masks),
            pixels[category.id] / total if total else 0.0,
            weights.get(category.id, 1.0) if category.weight is None else category.weight,
            category.weight is not None,
        )
        for category in known
    )


def unknown_values(masks: Sequence[Mapping[int, int]], categories: Sequence[LabelCategory]) -> dict[int, int]:
    """Pixels by mask value that no category names, by value."""
    known = {category.id for category in categories}
    unknown: dict[int, int] = {}
    for mask in masks:
        for value, count in mask.items():
            if value not in known:
                unknown[value] = unknown.get(value, 0) + count
    return dict(sorted(unknown.items()))


def _inverse(pixels: Mapping[int, int]) -> dict[int, float]:
    present = {id: count for id, count in pixels.items() if count}
    total = sum(present.values())
    return {id: total / (len(present) * count) for id, count in present.items()}


def _median(pixels: Mapping[int, int], masks: Sequence[Mapping[int, int]]) -> dict[int, float]:
    frequencies = {
        id: count / sum(sum(mask.get(known, 0) for known in pixels) for mask in masks if id in mask)
        for id, count in pixels.items()
        if count
    }
    middle = median(frequencies.values()) if frequencies else 1.0
    return {id: middle / frequency for id, frequency in frequencies.items()}
