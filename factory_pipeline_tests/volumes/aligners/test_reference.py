"""The reference aligner recovers known shifts and smooth warps."""

import numpy as np
import pytest

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.reference import align
from factory_pipeline_tests.volumes.aligners.sections import error, halved, pulled, smooth_field, texture

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

NONE = 0
"""The mip, of which the reference aligner makes no use."""


@pytest.mark.parametrize(
    ("shape", "shift", "amplitude"), [((192, 256), (5, -3), 3.0), ((320, 160), (-2, 7), 2.0)]
)
def test_a_smooth_warp_is_recovered_to_half_a_pixel(shape, shift, amplitude):
    src = texture(shape, seed=1)
    known = smooth_field(shape, shift, amplitude)
    found = align(src, pulled(src, known), np.zeros_like(known), NONE)
    assert error(found, known, margin=20).max() < 0.5


def test_noise_of_half_the_contrast_leaves_the_warp_recovered():
    src = texture((256, 256), seed=2)
    known = smooth_field(src.shape, (4, 6), 3.0)
    noise = 0.5 * np.random.default_rng(0).standard_normal((2, *src.shape)).astype(np.float32)
    found = align(src + noise[0], pulled(src, known) + noise[1], np.zeros_like(known), NONE)
    assert np.quantile(error(found, known, margin=24), 0.95) < 0.5


def test_fields_are_recovered_from_coarse_to_fine_at_each_mip():
    src = texture((384, 384), seed=3)
    known = smooth_field(src.shape, (14, -22), 6.0)  # too long for the finest mip alone
    pyramid = [(src, pulled(src, known), known)]
    for _ in range(2):
        pyramid.append((*map(halved, pyramid[-1][:2]), halved(pyramid[-1][2]) / 2))
    previous = np.zeros_like(pyramid[-1][2])
    for mip in (2, 1, 0):
        src, tgt, known = pyramid[mip]
        residual = align(src, tgt, previous, mip)
        total = residual + np.stack([pulled(channel, residual, "nearest") for channel in previous])
        assert error(total, known, margin=8 + (28 >> mip)).max() < 0.5
        previous = 2 * total.repeat(2, axis=1).repeat(2, axis=2)


def test_a_previous_field_that_is_right_leaves_little_to_find():
    src = texture((256, 256), seed=4)
    known = smooth_field(src.shape, (40, -35), 4.0)
    residual = align(src, pulled(src, known), known, NONE)
    assert np.abs(residual[:, 60:-60, 60:-60]).max() < 0.2


def test_black_areas_are_bridged():
    src = texture((256, 256), seed=5)
    known = smooth_field(src.shape, (4, -6), 2.0)
    tgt = pulled(src, known)
    src[:, 120:124] = 0  # a crack
    tgt[90:150, 60:130] = 0
    distance = error(align(src, tgt, np.zeros_like(known), NONE), known, margin=20)
    assert distance.max() < 0.5


def test_sections_without_likeness_have_no_residual_field():
    first, second = texture((128, 128), seed=6), texture((128, 128), seed=7)
    assert np.abs(align(first, second, np.zeros((2, 128, 128), np.float32), NONE)).max() < 16
    assert not align(first, np.zeros_like(first), np.zeros((2, 128, 128), np.float32), NONE).any()


def test_small_images_are_refused_by_a_sentence():
    small = np.ones((15, 40), np.float32)
    with pytest.raises(AlignerError, match="15 x 40 pixels; at least 16"):
        align(small, small, np.zeros((2, 15, 40), np.float32), NONE)


def test_the_same_pair_has_the_same_field():
    src = texture((128, 128), seed=8)
    tgt = pulled(src, smooth_field(src.shape, (3, 3), 1.0))
    first, second = (align(src, tgt, np.zeros((2, 128, 128), np.float32), NONE) for _ in range(2))
    assert first.tobytes() == second.tobytes()
