"""Checks of the values of samples."""

import numpy as np

from factory_pipeline.hdf5.sample_checks import has_no_biomass, has_wrong_label


def test_biomass_is_positive_and_finite_with_an_error():
    agbd = np.array([100.0, 0.0, -1.0, np.nan, 50.0, 50.0], np.float32)
    error = np.array([5.0, 5.0, 5.0, 5.0, -1.0, np.inf], np.float32)
    assert has_no_biomass(agbd, error).tolist() == [False, True, True, True, True, True]


def test_a_label_is_the_biomass_at_the_footprint():
    label = np.full((3, 4, 4), -9999.0, np.float32)
    label[0, 2, 2] = 100.0
    label[1, 2, 2] = 99.0
    assert has_wrong_label(label, np.full(3, 100.0, np.float32)).tolist() == [False, True, True]
