"""Copies of images in other bytes: encoded again, shifted by pixels, resampled."""

import numpy as np
import polars as pl
import pytest
from scipy.ndimage import zoom

from factory_pipeline.splits.near_identical import SIDE, find_copies, thumbnail
from factory_pipeline_tests.splits.pictures import as_jpeg, scene


@pytest.mark.integration
def test_copies_are_found_and_nothing_else_is() -> None:
    count, kinds = 20, ("jpeg", "shifted", "half", "scaled")
    stems, thumbnails = [], []
    for number in range(count):
        whole = scene(number)
        image = whole[:, 16:272, 16:272]
        copies = {
            "": image,
            "jpeg": as_jpeg(image),
            "shifted": whole[:, 19:275, 14:270],
            "half": image[:, ::2, ::2],
            "scaled": zoom(image, (1, 0.4, 0.4), order=1),
        }
        for name, pixels in copies.items():
            stems.append(f"{number:02}{name}")
            thumbnails.append(thumbnail(pixels))
    found = find_copies(pl.Series(stems), np.array(thumbnails))
    pairs = set(found.select("stem", "other_stem").rows())
    assert all(one[:2] == other[:2] for one, other in pairs), "no two scenes are one"
    for kind in kinds:
        assert sum((f"{number:02}", f"{number:02}{kind}") in pairs for number in range(count)) >= 19
    assert found["correlation"].min() >= 0.94


def test_images_without_contrast_are_no_copies_of_one_another() -> None:
    black, grey = np.zeros((1, 64, 64), np.uint8), np.full((3, 50, 40), 7, np.uint16)
    flat = np.array([thumbnail(black), thumbnail(grey), thumbnail(black)])
    assert find_copies(pl.Series(["a", "b", "c"]), flat).is_empty()
    assert find_copies(pl.Series([], dtype=pl.String), np.empty((0, SIDE, SIDE), np.uint8)).is_empty()


def test_a_thumbnail_is_the_mean_of_areas_whatever_the_size_and_ignores_no_data() -> None:
    pixels = np.arange(64 * 96, dtype=np.float32).reshape(1, 64, 96)
    small = pixels.reshape(32, 2, 32, 3).mean(axis=(1, 3))
    expected = np.round(255 * (small - small.min()) / (small.max() - small.min()))
    assert (thumbnail(pixels) == expected).all()
    holed = pixels.copy()
    holed[0, 10:12, 10:12] = np.nan
    assert np.abs(thumbnail(holed).astype(int) - thumbnail(pixels)).max() < 120
    assert thumbnail(np.ones((2, 3, 5)) * np.arange(5)).shape == (SIDE, SIDE)
