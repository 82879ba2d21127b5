"""Mixtures of pure spectra."""

import numpy as np
import pytest

from factory_pipeline.synthetic.reflectance import EndMember, band_reflectance


def test_a_mixture_is_between_its_parts():
    canopy = band_reflectance("B08", {EndMember.CANOPY: np.float32(1)})
    water = band_reflectance("B08", {EndMember.WATER: np.float32(1)})
    half = band_reflectance("B08", {EndMember.CANOPY: np.float32(0.5), EndMember.WATER: np.float32(0.5)})
    assert water < half < canopy
    assert half == pytest.approx((canopy + water) / 2)


def test_plants_reflect_near_infrared_more_than_red():
    for member in (EndMember.CANOPY, EndMember.HERBS):
        full = {member: np.ones((2, 2), np.float32)}
        assert (band_reflectance("B08", full) > 3 * band_reflectance("B04", full)).all()


def test_clouds_are_bright_in_every_band():
    for band in ("B02", "B04", "B08", "B12"):
        assert band_reflectance(band, {EndMember.CLOUD: np.float32(1)}) > 3000
