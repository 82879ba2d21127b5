"""Warping and resampling against loops that are written from the description."""

import numpy as np
import pytest

from factory_pipeline.errors import ArgumentError
from factory_pipeline.volumes import warp
from factory_pipeline.volumes.warp import compose, resample, resample_field
from factory_pipeline_tests.volumes.reference import averaged, pulled, resampled


def noise(*shape: int, seed: int = 0) -> warp.Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_warp_is_that_of_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp, "WARP_ROWS", 5)
    image, field = noise(13, 9), 4 * noise(2, 13, 9, seed=1)
    np.testing.assert_allclose(warp.warp(image, field), pulled(image, field), atol=1e-5)


def test_channel_0_moves_along_y_and_channel_1_along_x() -> None:
    image = noise(6, 5)
    along_y, along_x = np.zeros((2, 6, 5), np.float32), np.zeros((2, 6, 5), np.float32)
    along_y[0], along_x[1] = 1, 2
    np.testing.assert_array_equal(warp.warp(image, along_y)[:, :-1], image[:, 1:])
    np.testing.assert_array_equal(warp.warp(image, along_y)[:, -1], 0)
    np.testing.assert_array_equal(warp.warp(image, along_x)[:-2], image[2:])
    np.testing.assert_array_equal(warp.warp(image, along_x)[-2:], 0)


def test_half_a_pixel_outside_counts_half() -> None:
    field = np.zeros((2, 2, 3), np.float32)
    field[0] = 0.5
    np.testing.assert_allclose(warp.warp(np.ones((2, 3), np.float32), field), [[1, 1, 0.5], [1, 1, 0.5]])


def test_a_field_of_another_shape_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"field is \(2, 3, 2\); an image of shape \(2, 3\)"):
        warp.warp(noise(2, 3), noise(2, 3, 2))
    with pytest.raises(ArgumentError, match="residual"):
        compose(noise(2, 3, 2), noise(2, 2, 3))


def test_a_composed_field_does_what_both_do() -> None:
    x, y = np.meshgrid(np.arange(24), np.arange(20), indexing="ij")
    image = (np.sin(x / 7) + np.cos(y / 6)).astype(np.float32)
    previous = np.stack([np.sin(x / 20) + 1, np.cos(y / 25) - 2]).astype(np.float32)
    residual = np.stack([np.cos(x / 30), np.sin(y / 20)]).astype(np.float32)
    twice = warp.warp(warp.warp(image, previous), residual)
    once = warp.warp(image, compose(previous, residual))
    # Interpolating twice smooths what interpolating once does not.
    np.testing.assert_allclose(once[5:-5, 5:-5], twice[5:-5, 5:-5], atol=0.02)
    two = compose(np.full((2, 4, 5), 3, np.float32), np.full((2, 4, 5), -1, np.float32))
    np.testing.assert_array_equal(two, np.full((2, 4, 5), 2, np.float32))


@pytest.mark.parametrize(("src_mip", "dst_mip"), [(2, 2), (3, 2), (5, 2), (2, 3), (2, 4)])
@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (16, 4)])
def test_resampling_is_that_of_the_loops(shape: tuple[int, int], src_mip: int, dst_mip: int) -> None:
    image = noise(*shape)
    np.testing.assert_allclose(
        resample(image, src_mip, dst_mip), resampled(image, src_mip, dst_mip), atol=1e-6
    )


def test_shrinking_by_area_averages_and_growing_is_bilinear() -> None:
    image = noise(8, 12)
    np.testing.assert_allclose(resample(image, 1, 3, "area"), averaged(image, 4), atol=1e-6)
    np.testing.assert_array_equal(resample(image, 3, 1, "area"), resample(image, 3, 1))
    assert not np.allclose(resample(image, 1, 3, "area"), resample(image, 1, 3))


def test_leading_axes_are_resampled_each() -> None:
    images = noise(3, 8, 4)
    np.testing.assert_array_equal(resample(images, 2, 1)[1], resample(images[1], 2, 1))


def test_vectors_of_a_field_become_pixels_of_the_finer_mip() -> None:
    field = noise(2, 6, 4)
    finer = resample_field(field, 5, 3)
    assert finer.shape == (2, 24, 16)
    for channel in range(2):
        np.testing.assert_allclose(finer[channel], 4 * resampled(field[channel], 5, 3), atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 4), (8, 10), (24, 16)])
def test_what_hangs_over_is_cropped_equally_on_all_sides(shape: tuple[int, int]) -> None:
    field = noise(2, 6, 4)
    left, low = (24 - shape[0]) // 2, (16 - shape[1]) // 2
    np.testing.assert_allclose(
        resample_field(field, 5, 3, shape),
        resample_field(field, 5, 3)[:, left : left + shape[0], low : low + shape[1]],
        atol=1e-6,
    )


def test_a_field_at_its_own_mip_is_cropped_alone() -> None:
    field = noise(2, 6, 4)
    np.testing.assert_array_equal(resample_field(field, 3, 3, (4, 4)), field[:, 1:5])


def test_fields_go_to_finer_mips_that_they_cover() -> None:
    with pytest.raises(ArgumentError, match="finer mips only"):
        resample_field(noise(2, 6, 4), 3, 4)
    with pytest.raises(ArgumentError, match=r"covers only \(12, 8\) pixels of MIP 2"):
        resample_field(noise(2, 6, 4), 3, 2, (12, 9))
