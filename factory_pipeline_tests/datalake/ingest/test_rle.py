"""Run lengths of masks, against pycocotools."""

import numpy as np
import pytest
import rasterio.features
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from factory_pipeline.imagery.coco_rle import decode, outlines

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


@given(mask=masks)
def test_a_compressed_mask_is_read_as_pycocotools_wrote_it(mask: np.ndarray) -> None:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = encoded["size"]
    assert np.array_equal(decode(encoded["counts"].decode(), height, width), mask)


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((700, 900), np.uint8)
    mask[3:650, 5:880] = 1
    mask[100:110] = 0
    encoded = coco_mask.encode(np.asfortranarray(mask))
    assert np.array_equal(decode(encoded["counts"].decode(), 700, 900), mask.astype(bool))


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    assert decode([1, 2, 3], 2, 3).tolist() == [[False, True, False], [True, False, False]]


@given(mask=masks)
def test_outlines_drawn_again_are_the_same_pixels(mask: np.ndarray) -> None:
    polygons = list(outlines(mask).geoms)
    drawn = rasterio.features.rasterize(polygons, mask.shape) if polygons else np.zeros(mask.shape)
    assert np.array_equal(drawn, mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], "its runs have 3 pixels, not 2 x 3"),
        ([7, -1], "negative length"),
        ("o", "it is cut off"),
        ("é", "the character 'é' means nothing"),
    ],
)
def test_broken_runs_are_told(counts: list[int] | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(counts, 2, 3)
