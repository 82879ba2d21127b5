"""Footprints of images in degrees."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.imagery.footprints import at_pole, footprints

SCHEMA = {
    "epsg": pl.String,
    "transform": pl.List(pl.Float64),
    "width": pl.Int64,
    "height": pl.Int64,
    "bounds": pl.List(pl.Float64),
}


def image(**given: object) -> pl.DataFrame:
    """One image; what is not given is null."""
    return pl.DataFrame({name: [given.get(name)] for name in SCHEMA}, schema=SCHEMA)


def test_a_transform_counts_before_bounds():
    made = image(
        epsg="EPSG:4326",
        transform=[0.1, 0.0, 10.0, 0.0, -0.1, 50.0],
        width=10,
        height=20,
        bounds=[0, 0, 1, 1],
    )
    assert footprints(made)[0] == pytest.approx(np.array([[10, 50], [11, 50], [11, 48], [10, 48]]))


def test_bounds_across_180_degrees_have_no_jump():
    assert footprints(image(bounds=[179.0, 0.0, -179.0, 1.0]))[0, :, 0].tolist() == [179, 181, 181, 179]


def test_an_image_without_a_place_is_nan():
    assert np.isnan(footprints(image(width=10, height=10))).all()
    assert footprints(image()[:0]).shape == (0, 4, 2)


def test_only_what_is_near_a_pole_is_at_a_pole():
    square = np.array([[-135.0, 88.0], [-45.0, 88.0], [45.0, 88.0], [135.0, 88.0]])
    box = np.array([[10.0, 50.0], [11.0, 50.0], [11.0, 48.0], [10.0, 48.0]])
    assert at_pole(np.stack([square, box, box + np.array([0, 39.5])])).tolist() == [True, False, True]
