"""Runs of masks, against pycocotools."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from factory_pipeline.imagery.coco_rle import from_runs, to_runs

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


@given(masks)
def test_pycocotools_decodes_the_mask_that_was_encoded(pixels: NDArray[np.bool_]) -> None:
    runs = to_runs(pixels)
    compressed = coco.frPyObjects(runs, *pixels.shape)
    np.testing.assert_array_equal(coco.decode(compressed), pixels)
    assert coco.area(compressed) == pixels.sum()


@given(masks)
def test_what_is_encoded_is_decoded(pixels: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(from_runs(to_runs(pixels)), pixels)


def test_pixels_are_taken_column_by_column_and_the_first_run_is_of_zeros() -> None:
    pixels = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert to_runs(pixels) == {"counts": [0, 2, 1, 1, 2], "size": [2, 3]}
