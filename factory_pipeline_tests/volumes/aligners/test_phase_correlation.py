"""Shifts between two images, block by block."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from factory_pipeline.volumes.aligners.phase_correlation import LONGEST_SHIFT, match_blocks

BLOCK = 32


def texture(shape: tuple[int, int] = (96, 64)) -> NDArray[np.float32]:
    noise = np.random.default_rng(5).normal(size=shape)
    return (gaussian_filter(noise, 1.5) * 100 + 200).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-1.5, 2.25)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(shift: tuple[float, float]) -> None:
    target = texture()
    source = moved(target, shift, order=5, mode="nearest").astype(np.float32)
    found = match_blocks(source, target, BLOCK, BLOCK // 2)
    inner = found.weights > 0
    assert inner.mean() > 0.9
    # Channel 0 is along the last axis.
    assert np.median(found.shifts[1][inner]) == pytest.approx(shift[0], abs=0.2)
    assert np.median(found.shifts[0][inner]) == pytest.approx(shift[1], abs=0.2)


def test_blocks_cover_the_image_from_end_to_end() -> None:
    found = match_blocks(texture(), texture(), BLOCK, 20)
    assert found.rows[[0, -1]].tolist() == [BLOCK / 2, 96 - BLOCK / 2]
    assert found.columns[[0, -1]].tolist() == [BLOCK / 2, 64 - BLOCK / 2]
    assert np.diff(found.rows).max() <= 20
    assert found.shifts.shape == (2, *found.weights.shape) == (2, len(found.rows), len(found.columns))


def test_an_image_of_one_block_is_matched_as_a_whole() -> None:
    found = match_blocks(texture((40, 32)), texture((40, 32)), BLOCK, 64)
    assert (found.rows.tolist(), found.columns.tolist()) == ([16.0, 24.0], [16.0])


def test_blocks_without_enough_data_have_no_weight() -> None:
    source = texture()
    source[:40] = 0
    found = match_blocks(source, texture(), BLOCK, BLOCK)
    assert (found.weights[0] == 0).all()
    assert (found.weights[-1] > 0).all()


def test_a_shift_that_is_too_long_is_not_accepted() -> None:
    target = texture()
    source = np.roll(target, int(LONGEST_SHIFT * BLOCK) + 3, axis=0)
    found, matching = (match_blocks(image, target, BLOCK, BLOCK) for image in (source, target))
    accepted = found.shifts[:, found.weights > 0]
    assert np.abs(accepted).max(initial=0) <= LONGEST_SHIFT * BLOCK
    assert found.weights.max() < matching.weights.min() / 2
