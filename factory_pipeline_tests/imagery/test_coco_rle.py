"""Runs of masks, against pycocotools."""

import numpy as np
import pytest
import rasterio.features
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from factory_pipeline.imagery.coco_rle import decode_counts, encode_counts, mask_to_polygons

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


@given(masks)
def test_pycocotools_decodes_the_mask_that_was_encoded(pixels: NDArray[np.bool_]) -> None:
    runs = encode_counts(pixels)
    compressed = coco.frPyObjects(runs, *pixels.shape)
    np.testing.assert_array_equal(coco.decode(compressed), pixels)
    assert coco.area(compressed) == pixels.sum()


@given(masks)
def test_what_is_encoded_is_decoded(pixels: NDArray[np.bool_]) -> None:
    runs = encode_counts(pixels)
    np.testing.assert_array_equal(decode_counts(runs["counts"], *runs["size"]), pixels)


def test_pixels_are_taken_column_by_column_and_the_first_run_is_of_zeros() -> None:
    pixels = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert encode_counts(pixels) == {"counts": [0, 2, 1, 1, 2], "size": [2, 3]}


@given(masks)
def test_a_compressed_mask_is_read_as_pycocotools_wrote_it(mask: np.ndarray) -> None:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = encoded["size"]
    assert np.array_equal(decode_counts(encoded["counts"].decode(), height, width), mask)


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((700, 900), np.uint8)
    mask[3:650, 5:880] = 1
    mask[100:110] = 0
    encoded = coco.encode(np.asfortranarray(mask))
    assert np.array_equal(decode_counts(encoded["counts"].decode(), 700, 900), mask.astype(bool))


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    assert decode_counts([1, 2, 3], 2, 3).tolist() == [[False, True, False], [True, False, False]]


@given(masks)
def test_polygons_of_a_mask_drawn_again_are_the_same_pixels(mask: np.ndarray) -> None:
    polygons = list(mask_to_polygons(mask).geoms)
    drawn = rasterio.features.rasterize(polygons, mask.shape) if polygons else np.zeros(mask.shape)
    assert np.array_equal(drawn, mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], "its runs have 3 pixels, not 2 x 3"),
        ([7, -1], "negative length"),
        ("o", "it is truncated"),
        ("é", "the character 'é' is not valid"),
    ],
)
def test_broken_runs_are_told(counts: list[int] | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_counts(counts, 2, 3)
