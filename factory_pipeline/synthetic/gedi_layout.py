"""The layout of a GEDI L4A granule, version 2: groups, fields and their types.

Source: the product's user guide at ORNL DAAC, DOI 10.3334/ORNLDAAC/2056, and published granules.
"""

from typing import NamedTuple

import h5py
import numpy as np

BEAMS = {
    "BEAM0000": "Coverage beam",
    "BEAM0001": "Coverage beam",
    "BEAM0010": "Coverage beam",
    "BEAM0011": "Coverage beam",
    "BEAM0101": "Full power beam",
    "BEAM0110": "Full power beam",
    "BEAM1000": "Full power beam",
    "BEAM1011": "Full power beam",
}
"""Description by group, in the order in which the beams are across the track."""

CHANNELS = dict(zip(BEAMS, (0, 0, 1, 1, 2, 3, 4, 5), strict=True))
"""Detector channel by beam."""

ALGORITHMS = ("a1", "a2", "a3", "a4", "a5", "a6", "a10")
"""Algorithm setting groups; fields with {a} in their path are there once for each."""

TEXT = h5py.string_dtype()


class GranuleField(NamedTuple):
    """One dataset of a beam."""

    path: str
    """Below the beam's group."""
    dtype: str
    long_name: str
    units: str = "-"


_AGBD = "Aboveground biomass density"
_OUTSIDE = "is outside the bounds of the training data"

FIELDS = (
    GranuleField("agbd", "f4", _AGBD, "Mg / ha"),
    GranuleField("agbd_pi_lower", "f4", f"{_AGBD} lower prediction interval", "Mg / ha"),
    GranuleField("agbd_pi_upper", "f4", f"{_AGBD} upper prediction interval", "Mg / ha"),
    GranuleField("agbd_se", "f4", f"{_AGBD} prediction standard error", "Mg / ha"),
    GranuleField("agbd_t", "f4", "Model prediction"),
    GranuleField("agbd_t_se", "f4", "Model prediction standard error"),
    GranuleField("algorithm_run_flag", "u1", "Algorithm run flag"),
    GranuleField("beam", "u2", "Beam"),
    GranuleField("channel", "u1", "Channel"),
    GranuleField("degrade_flag", "u1", "Degrade flag"),
    GranuleField("delta_time", "f8", "Delta time", "s"),
    GranuleField("elev_lowestmode", "f4", "Elevation of the lowest mode", "m"),
    GranuleField("l2_quality_flag", "u1", "Level 2 quality flag"),
    GranuleField("l4_quality_flag", "u1", "Level 4 quality flag"),
    GranuleField("lat_lowestmode", "f8", "Latitude of the lowest mode", "degrees"),
    GranuleField("lon_lowestmode", "f8", "Longitude of the lowest mode", "degrees"),
    GranuleField("master_frac", "f8", "Fraction component of shot time", "s"),
    GranuleField("master_int", "u4", "Integer component of shot time", "s"),
    GranuleField("predict_stratum", "text", "Prediction stratum identifier"),
    GranuleField("predictor_limit_flag", "u1", f"Predictor {_OUTSIDE}"),
    GranuleField("response_limit_flag", "u1", f"Prediction {_OUTSIDE}"),
    GranuleField("selected_algorithm", "u1", "Selected algorithm setting group"),
    GranuleField("selected_mode", "u1", "Selected mode"),
    GranuleField("selected_mode_flag", "u1", "Selected mode flag"),
    GranuleField("sensitivity", "f4", "Beam sensitivity"),
    GranuleField("shot_number", "u8", "Shot number"),
    GranuleField("solar_elevation", "f4", "Solar elevation", "degrees"),
    GranuleField("surface_flag", "u1", "Surface flag"),
    GranuleField("xvar", "f4", "Predictor variables"),
    GranuleField("agbd_prediction/agbd_{a}", "f4", _AGBD, "Mg / ha"),
    GranuleField("agbd_prediction/agbd_pi_lower_{a}", "f4", f"{_AGBD} lower prediction interval", "Mg / ha"),
    GranuleField("agbd_prediction/agbd_pi_upper_{a}", "f4", f"{_AGBD} upper prediction interval", "Mg / ha"),
    GranuleField("agbd_prediction/agbd_se_{a}", "f4", f"{_AGBD} standard error", "Mg / ha"),
    GranuleField("agbd_prediction/agbd_t_{a}", "f4", f"{_AGBD} in transform space", "Mg / ha"),
    GranuleField(
        "agbd_prediction/agbd_t_pi_lower_{a}", "f4", "Lower prediction interval in transform space", "Mg / ha"
    ),
    GranuleField(
        "agbd_prediction/agbd_t_pi_upper_{a}", "f4", "Upper prediction interval in transform space", "Mg / ha"
    ),
    GranuleField("agbd_prediction/agbd_t_se_{a}", "f4", "Model prediction standard error"),
    GranuleField("agbd_prediction/algorithm_run_flag_{a}", "u1", "Algorithm run flag"),
    GranuleField("agbd_prediction/l2_quality_flag_{a}", "u1", "Level 2 quality flag"),
    GranuleField("agbd_prediction/l4_quality_flag_{a}", "u1", "Level 4 quality flag"),
    GranuleField("agbd_prediction/predictor_limit_flag_{a}", "u1", f"Predictor {_OUTSIDE}"),
    GranuleField("agbd_prediction/response_limit_flag_{a}", "u1", f"Prediction {_OUTSIDE}"),
    GranuleField("agbd_prediction/selected_mode_{a}", "u1", "Selected mode"),
    GranuleField("agbd_prediction/selected_mode_flag_{a}", "u1", "Selected mode flag"),
    GranuleField("agbd_prediction/xvar_{a}", "f4", "Predictor variables"),
    GranuleField("agbd_prediction/shot_number", "u8", "Shot number"),
    GranuleField("geolocation/elev_lowestmode_{a}", "f4", "Elevation of the lowest mode", "m"),
    GranuleField("geolocation/lat_lowestmode_{a}", "f8", "Latitude of the lowest mode", "degrees"),
    GranuleField("geolocation/lon_lowestmode_{a}", "f8", "Longitude of the lowest mode", "degrees"),
    GranuleField("geolocation/sensitivity_{a}", "f4", "Beam sensitivity"),
    GranuleField("geolocation/shot_number", "u8", "Shot number"),
    GranuleField("geolocation/stale_return_flag", "u1", "Stale return flag"),
    GranuleField("land_cover_data/landsat_treecover", "f8", "Landsat tree canopy cover", "percent"),
    GranuleField(
        "land_cover_data/landsat_water_persistence", "u1", "25 m Landsat water persistence", "percent"
    ),
    GranuleField("land_cover_data/leaf_off_doy", "i2", "1 km VIIRS leaf-off day-of-year", "days"),
    GranuleField("land_cover_data/leaf_off_flag", "u1", "1 km VIIRS leaf-off flag"),
    GranuleField("land_cover_data/leaf_on_cycle", "u1", "1 km VIIRS leaf-on cycle number"),
    GranuleField("land_cover_data/leaf_on_doy", "i2", "1 km VIIRS leaf-on day-of-year"),
    GranuleField("land_cover_data/pft_class", "u1", "1 km MODIS Plant Functional Type class"),
    GranuleField("land_cover_data/region_class", "u1", "1 km geographic region class"),
    GranuleField("land_cover_data/shot_number", "u8", "Shot number"),
    GranuleField("land_cover_data/urban_focal_window_size", "u1", "Urban focal window size", "pixels"),
    GranuleField("land_cover_data/urban_proportion", "u1", "25 m TDX urban percentage", "percent"),
)
"""Every dataset of a beam."""

PREDICTION_ATTRIBUTES: dict[str, int | float] = {
    "alpha": 0.1,
    "l2a_alg_count": len(ALGORITHMS),
    "max_nvar": 4,
    "pft_grid_version": 4,
    "pft_infilled_grid_version": 6,
    "phenology_grid_version": 5,
    "predictor_offset": 100,
    "region_grid_version": 5,
    "response_offset": 0,
    "urban_grid_version": 1,
    "water_grid_version": 1,
}
"""Attributes of the group agbd_prediction."""

PLANT_TYPES = ((1, "ENT"), (3, "DNT"), (2, "EBT"), (4, "DBT"), (5, "GSW"), (6, "GSW"), (11, "GSW"))
"""ANCILLARY/pft_lut."""

REGIONS = ((1, "Eu"), (2, "NAs"), (5, "SAs"), (3, "Au"), (4, "Af"), (6, "SA"), (7, "NAm"))
"""ANCILLARY/region_lut."""

MODEL_DATA = np.dtype(
    [
        ("predict_stratum", TEXT),
        ("model_group", "u1"),
        ("model_name", TEXT),
        ("model_id", "u1"),
        ("x_transform", TEXT),
        ("y_transform", TEXT),
        ("bias_correction_name", TEXT),
        ("fit_stratum", TEXT),
        ("rh_index", "u1", (8,)),
        ("predictor_id", "u1", (8,)),
        ("predictor_max_value", "<f4", (8,)),
        ("vcov", "<f8", (5, 5)),
        ("par", "<f8", (5,)),
        ("rse", "<f4"),
        ("dof", "<u4"),
        ("response_max_value", "<f4"),
        ("bias_correction_value", "<f4"),
        ("npar", "u1"),
    ]
)
"""ANCILLARY/model_data, a row per prediction stratum."""
