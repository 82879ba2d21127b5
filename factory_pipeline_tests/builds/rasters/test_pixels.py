"""Values keep one meaning, and pictures become one, as plain loops over pixels would have it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factory_pipeline.builds.rasters.composites import start_composite
from factory_pipeline.builds.rasters.pixels import clear_ground, composite, convert, is_without_holes
from factory_pipeline.config.raster_collection import AssetDescription, ClearPixels, known_collections
from factory_pipeline.stac.scenes import PixelMeaning

S2 = known_collections()["sentinel-2-l2a"].assets["B04"]
EVERYWHERE = np.ones((1, 4), np.bool_)


def test_an_offset_is_taken_away_once_and_dark_ground_stays_data() -> None:
    stored = np.array([[500, 1000, 1001, 3000]], np.uint16)
    meaning = PixelMeaning(0, 0.0001, -0.1)
    rewritten = convert(stored, EVERYWHERE, meaning, S2, np.dtype(np.uint16), physical=False)
    np.testing.assert_array_equal(rewritten, [[1, 1, 1, 2000]])
    same = convert(stored, EVERYWHERE, PixelMeaning(0, 0.0001, 0.0), S2, np.dtype(np.uint16), physical=False)
    np.testing.assert_array_equal(same, stored)


def test_what_another_tile_calls_data_is_not_taken_for_none() -> None:
    """A tile whose own value without data is 65535 may hold 0, which is no data in the dataset."""
    stored = np.array([[0, 1, 7, 65535]], np.uint16)
    valid = stored != 65535
    values = convert(stored, valid, PixelMeaning(65535, 0.0001, 0.0), S2, np.dtype(np.uint16), physical=False)
    np.testing.assert_array_equal(values[valid], [1, 1, 7])
    np.testing.assert_array_equal(stored, [[0, 1, 7, 65535]])


def test_physical_values_are_those_of_the_unit() -> None:
    landsat = known_collections()["landsat-c2-l2"].assets["red"]
    stored = np.array([[7273, 43636, 1, 65535]], np.uint16)
    meaning = PixelMeaning(0, 0.0000275, -0.2)
    values = convert(stored, EVERYWHERE, meaning, landsat, np.dtype(np.float32), physical=True)
    np.testing.assert_allclose(values, stored * 0.0000275 - 0.2, rtol=1e-5)


def test_nothing_wraps() -> None:
    described = AssetDescription(dtype="int16", nodata=-9999, pixel_size=30, scale=0.0001)
    values = np.array([[40_000, -40_000, 5, -9999]], np.int32)
    known = convert(values, EVERYWHERE, PixelMeaning(-9999, 0.0001, 0), described, np.dtype(np.int16), False)
    np.testing.assert_array_equal(known, [[32767, -32768, 5, -9999]])


def test_clear_ground_by_classes_and_by_bits() -> None:
    values = np.array([[4, 8, 5, 4]], np.uint16)
    valid = np.array([[True, True, True, False]])
    by_class = clear_ground(values, valid, ClearPixels(asset="SCL", keep=(4, 5)))
    np.testing.assert_array_equal(by_class, [[True, False, True, False]])
    by_bits = clear_ground(values, valid, ClearPixels(asset="qa", clear_bits=(0, 3)))
    np.testing.assert_array_equal(by_bits, [[True, False, False, False]])


pictures = st.integers(1, 5).flatmap(
    lambda count: st.tuples(
        hnp.arrays(np.uint16, (count, 2, 3, 3), elements=st.integers(1, 60_000)),
        hnp.arrays(np.bool_, (count, 3, 3)),
    )
)


@pytest.mark.parametrize("kind", ["first_valid", "best_clear", "mean", "median"])
@given(given_pictures=pictures)
def test_a_composite_is_what_a_loop_over_pixels_gives(
    kind: str, given_pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    values, valid = given_pictures
    made, holds = composite(kind, values, valid, (0, 7))
    # One after the other, those of a median in a file.
    builder = start_composite(kind, (0, 7), most_in_memory=1)
    for picture in range(len(values)):
        builder.add(values[picture], valid[picture])
    for one, other in zip(builder.finish(), (made, holds), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    order = list(range(len(values)))
    if kind == "best_clear":
        order.sort(key=lambda picture: -int(valid[picture].sum()))
    for row, column in np.ndindex(3, 3):
        known = [picture for picture in order if valid[picture, row, column]]
        assert holds[row, column] == bool(known)
        for band, none in enumerate((0, 7)):
            seen = values[known, band, row, column].astype(np.float64)
            if not known:
                wanted = none
            elif kind in ("mean", "median"):
                wanted = np.floor((seen.mean() if kind == "mean" else np.median(seen)) + 0.5)
            else:
                wanted = seen[0]
            assert made[band, row, column] == wanted


def test_only_a_single_true_is_known_to_be_without_holes() -> None:
    assert is_without_holes(np.broadcast_to(np.True_, (3, 4, 4))[1])
    assert not is_without_holes(np.broadcast_to(np.False_, (4, 4)))
    assert not is_without_holes(np.broadcast_to(np.array([True, False]), (4, 2)))
    assert not is_without_holes(np.ones((4, 4), np.bool_))


def test_floats_without_data_are_nan() -> None:
    values = np.ones((2, 1, 1, 2), np.float32)
    valid = np.array([[[True, False]], [[True, False]]])
    made, holds = composite("median", values, valid, (float("nan"),))
    np.testing.assert_array_equal(made, [[[1, np.nan]]])
    np.testing.assert_array_equal(holds, [[True, False]])
