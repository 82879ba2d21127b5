"""Fractions of scene classes and the checks of a window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.chips.scene_classification import (
    compute_scl_stats,
    describe_check,
    failed_checks,
)
from factory_pipeline.config.recipe import SceneChecks
from factory_pipeline_tests.examples import up_to

CHECKS = SceneChecks()


def scene(pixels: dict[int, int], size: int = 32, center: int = 4) -> np.ndarray:
    """A vegetated window with so many pixels of some classes, none of them at the footprint."""
    window = np.full((size, size), 4, np.uint8)
    middle = slice(size // 2 - 2, size // 2 + 2)
    free = np.ones((size, size), bool)
    free[middle, middle] = False
    places = np.argwhere(free)[::-1].tolist()
    for code, count in pixels.items():
        for _ in range(count):
            window[tuple(places.pop())] = code
    window[middle, middle] = center
    return window[None]


@settings(max_examples=up_to(30), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), windows=st.integers(0, 4))
def test_fractions_are_counts_over_pixels(seed, windows):
    scl = np.random.default_rng(seed).integers(0, 12, (windows, 32, 32), dtype=np.uint8)
    fractions = compute_scl_stats(scl)
    assert fractions.shape == (windows, 12)
    for window, found in zip(scl, fractions, strict=True):
        np.testing.assert_array_equal(found, np.bincount(window.ravel(), minlength=12) / 1024)


def test_codes_that_are_no_class_count_for_none():
    scl = np.full((1, 32, 32), 255, np.uint8)
    scl[0, :16] = 4
    scl[0, 16, 0] = 12
    fractions = compute_scl_stats(scl)
    assert fractions[0, 4] == 0.5
    assert fractions.sum() == 0.5
    assert failed_checks(scl, CHECKS) == ["scl_center"]


@pytest.mark.parametrize(
    ("reason", "classes", "allowed"),
    [
        ("cloud", (8, 9, 10), 256),
        ("shadow", (2, 3), 256),
        ("snow", (11,), 256),
        ("water", (6,), 256),
        ("invalid", (0, 1, 7), 51),
    ],
)
def test_a_threshold_may_be_reached_but_not_passed(reason, classes, allowed):
    """A quarter of 1024 pixels is 256; 51 of 1024 are 4.98 %, 52 are 5.08 %: nothing is rounded."""
    shares = np.full(len(classes), allowed // len(classes))
    shares[0] += allowed - shares.sum()
    within = dict(zip(classes, shares.tolist(), strict=True))
    assert failed_checks(scene(within), CHECKS) == [None]
    assert failed_checks(scene(within | {classes[-1]: within[classes[-1]] + 1}), CHECKS) == [reason]


def test_classes_are_counted_together_in_windows_of_any_size():
    """For 225 of 900 pixels 0.1 + 0.15 would come out above a quarter by its rounding alone."""
    assert failed_checks(scene({8: 90, 9: 135}, size=30), CHECKS) == [None]
    assert failed_checks(scene({8: 91, 9: 135}, size=30), CHECKS) == ["cloud"]


@pytest.mark.parametrize("code", [4, 5])
def test_the_footprint_may_be_vegetated_or_not(code):
    assert failed_checks(scene({}, center=code), CHECKS) == [None]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 6, 7, 8, 9, 10, 11])
@pytest.mark.parametrize("corner", [(14, 14), (14, 17), (17, 14), (17, 17)])
def test_a_single_other_pixel_at_the_footprint_fails(code, corner):
    scl = scene({})
    scl[0][corner] = code
    assert failed_checks(scl, CHECKS) == ["scl_center"]


@pytest.mark.parametrize("place", [(13, 13), (13, 16), (18, 18), (16, 18), (0, 0)])
def test_pixels_beside_the_footprint_do_not_matter(place):
    scl = scene({})
    scl[0][place] = 9
    assert failed_checks(scl, CHECKS) == [None]


def test_the_first_check_that_fails_is_the_reason():
    everything = {8: 300, 2: 300, 0: 300}
    assert failed_checks(scene(everything, center=9), CHECKS) == ["scl_center"]
    assert failed_checks(scene(everything), CHECKS) == ["cloud"]
    assert failed_checks(scene({2: 300, 0: 300}), CHECKS) == ["shadow"]


def test_each_window_is_judged_by_itself():
    windows = np.concatenate([scene({6: 400}), scene({}), scene({11: 400})])
    assert failed_checks(windows, CHECKS) == ["water", None, "snow"]


def test_thresholds_are_the_recipes():
    lenient = SceneChecks(center_classes=(4, 5, 6), water=0.9)
    assert failed_checks(scene({6: 900}, center=6), lenient) == [None]


def test_a_failed_check_is_told_with_its_numbers():
    scl = scene({8: 200, 10: 112})
    told = describe_check("cloud", compute_scl_stats(scl)[0], CHECKS)
    assert told == "cloud covers 30.47% of the window, 25.00% is allowed"
    assert "SCL class 4 or 5" in describe_check("scl_center", compute_scl_stats(scl)[0], CHECKS)
