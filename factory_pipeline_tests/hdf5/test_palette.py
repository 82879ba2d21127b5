"""Colours of chips."""

import numpy as np

from factory_pipeline.hdf5.palette import classes, label_over, ramp, terrain, true_colour

STOPS = ((0.0, "#000000"), (10.0, "#ffffff"))


def test_a_ramp_is_linear_and_ends_at_its_stops():
    assert ramp(np.array([[-5.0, 0.0, 5.0, 20.0]]), STOPS)[0, :, 0].tolist() == [0, 0, 128, 255]


def test_a_code_without_a_colour_is_seen():
    drawn = classes(np.array([[10, 11]]), {10: "#006400"})
    assert drawn[0, 0].tolist() == [0, 100, 0]
    assert drawn[0, 1].tolist() == [255, 0, 255]


def test_true_colour_keeps_the_order_of_brightness():
    bands = np.stack([np.arange(100, dtype=np.uint16).reshape(10, 10) + offset for offset in (0, 50, 100)])
    drawn = true_colour(bands)
    assert drawn.shape == (10, 10, 3)
    assert drawn.dtype == np.uint8
    assert (np.diff(drawn[..., 0].ravel().astype(int)) >= 0).all()


def test_slopes_to_the_light_are_brighter_than_those_away():
    east = np.tile(np.arange(9, dtype=np.float32) * 10, (9, 1))
    assert terrain(east[:, ::-1], 10.0)[4, 4].sum() < terrain(east, 10.0)[4, 4].sum()


def test_only_labelled_pixels_are_coloured():
    picture = np.full((1, 2, 3), 90, np.uint8)
    drawn = label_over(picture, np.array([[-9999.0, 120.0]], np.float32), -9999.0)
    assert len(set(drawn[0, 0].tolist())) == 1, "grey"
    assert len(set(drawn[0, 1].tolist())) > 1
