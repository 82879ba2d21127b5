"""Weights of classes."""

import pytest

from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline.onboarding.products.class_weights import MaskCounter

CATEGORIES = [
    LabelCategory.model_validate({"id": 1, "name": "water", "color": "#0000ff"}),
    LabelCategory.model_validate({"id": 0, "name": "land", "color": "#00ff00"}),
    LabelCategory.model_validate({"id": 2, "name": "ice", "color": "#ffffff"}),
]
MASKS = [{0: 60, 1: 40}, {0: 100}, {0: 50, 9: 7}]


def counted() -> MaskCounter:
    """Three masks; one has a value without a category."""
    counter = MaskCounter(CATEGORIES)
    for mask in MASKS:
        counter.add(mask)
    return counter


def test_inverse_weights_make_all_classes_that_occur_equal():
    land, water, ice = counted().statistics("inverse")
    assert land.weight * land.pixels == pytest.approx(water.weight * water.pixels)
    assert (land.pixels, water.images, ice.weight) == (210, 1, 1.0)
    assert land.share + water.share == pytest.approx(1)


def test_median_weights_look_at_the_masks_that_have_the_class():
    land, water, _ = counted().statistics("median")
    frequencies = 210 / 250, 40 / 100
    middle = sum(frequencies) / 2
    assert (land.weight, water.weight) == pytest.approx((middle / frequencies[0], middle / frequencies[1]))


def test_values_without_a_category_are_counted_apart():
    assert counted().unknown == {9: 7}


def test_a_weight_of_the_user_stays():
    counter = MaskCounter(
        [LabelCategory.model_validate({"id": 0, "name": "a", "color": "#000000", "weight": 3})]
    )
    counter.add({0: 5})
    (only,) = counter.statistics("inverse")
    assert (only.weight, only.weight_given) == (3, True)
