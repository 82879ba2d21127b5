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
"""Description by group, in the order in which the beams lie across the track."""

CHANNELS = dict(zip(BEAMS, (0, 0, 1, 1, 2, 3, 4, 5), strict=True))
"""Detector channel by beam."""

ALGORITHMS = ("a1", "a2", "a3", "a4", "a5", "a6", "a10")
"""Algorithm setting groups; fields with {a} in their path are there once for each."""

TEXT = h5py.string_dtype()


class Field(NamedTuple):
    """One dataset of a beam."""

    path: str
    """Below the beam's group."""
    dtype: str
    long_name: str
    units: str = "-"


_AGBD = "Aboveground biomass density"
_OUTSIDE = "is outside the bounds of the training data"

FIELDS = (
    Field("agbd", "f4", _AGBD, "Mg / ha"),
    Field("agbd_pi_lower", "f4", f"{_AGBD} lower prediction interval", "Mg / ha"),
    Field("agbd_pi_upper", "f4", f"{_AGBD} upper prediction interval", "Mg / ha"),
    Field("agbd_se", "f4", f"{_AGBD} prediction standard error", "Mg / ha"),
    Field("agbd_t", "f4", "Model prediction"),
    Field("agbd_t_se", "f4", "Model prediction standard error"),
    Field("algorithm_run_flag", "u1", "Algorithm run flag"),
    Field("beam", "u2", "Beam"),
    Field("channel", "u1", "Channel"),
    Field("degrade_flag", "u1", "Degrade flag"),
    Field("delta_time", "f8", "Delta time", "s"),
    Field("elev_lowestmode", "f4", "Elevation of the lowest mode", "m"),
    Field("l2_quality_flag", "u1", "Level 2 quality flag"),
    Field("l4_quality_flag", "u1", "Level 4 quality flag"),
    Field("lat_lowestmode", "f8", "Latitude of the lowest mode", "degrees"),
    Field("lon_lowestmode", "f8", "Longitude of the lowest mode", "degrees"),
    Field("master_frac", "f8", "Fraction component of shot time", "s"),
    Field("master_int", "u4", "Integer component of shot time", "s"),
    Field("predict_stratum", "text", "Prediction stratum identifier"),
    Field("predictor_limit_flag", "u1", f"Predictor {_OUTSIDE}"),
    Field("response_limit_flag", "u1", f"Prediction {_OUTSIDE}"),
    Field("selected_algorithm", "u1", "Selected algorithm setting group"),
    Field("selected_mode", "u1", "Selected mode"),
    Field("selected_mode_flag", "u1", "Selected mode flag"),
    Field("sensitivity", "f4", "Beam sensitivity"),
    Field("shot_number", "u8", "Shot number"),
    Field("solar_elevation", "f4", "Solar elevation", "degrees"),
    Field("surface_flag", "u1", "Surface flag"),
    Field("xvar", "f4", "Predictor variables"),
    Field("agbd_prediction/agbd_{a}", "f4", _AGBD, "Mg / ha"),
    Field("agbd_prediction/agbd_pi_lower_{a}", "f4", f"{_AGBD} lower prediction interval", "Mg / ha"),
    Field("agbd_prediction/agbd_pi_upper_{a}", "f4", f"{_AGBD} upper prediction interval", "Mg / ha"),
    Field("agbd_prediction/agbd_se_{a}", "f4", f"{_AGBD} standard error", "Mg / ha"),
    Field("agbd_prediction/agbd_t_{a}", "f4", f"{_AGBD} in transform space", "Mg / ha"),
    Field(
        "agbd_prediction/agbd_t_pi_lower_{a}", "f4", "Lower prediction interval in transform space", "Mg / ha"
    ),
    Field(
        "agbd_prediction/agbd_t_pi_upper_{a}", "f4", "Upper prediction interval in transform space", "Mg / ha"
    ),
    Field("agbd_prediction/agbd_t_se_{a}", "f4", "Model prediction standard error"),
    Field("agbd_prediction/algorithm_run_flag_{a}", "u1", "Algorithm run flag"),
    Field("agbd_prediction/l2_quality_flag_{a}", "u1", "Level 2 quality flag"),
    Field("agbd_prediction/l4_quality_flag_{a}", "u1", "Level 4 quality flag"),
    Field("agbd_prediction/predictor_limit_flag_{a}", "u1", f"Predictor {_OUTSIDE}"),
    Field("agbd_prediction/response_limit_flag_{a}", "u1", f"Prediction {_OUTSIDE}"),
    Field("agbd_prediction/selected_mode_{a}", "u1", "Selected mode"),
    Field("agbd_prediction/selected_mode_flag_{a}", "u1", "Selected mode flag"),
    Field("agbd_prediction/xvar_{a}", "f4", "Predictor variables"),
    Field("agbd_prediction/shot_number", "u8", "Shot number"),
    Field("geolocation/elev_lowestmode_{a}", "f4", "Elevation of the lowest mode", "m"),
    Field("geolocation/lat_lowestmode_{a}", "f8", "Latitude of the lowest mode", "degrees"),
    Field("geolocation/lon_lowestmode_{a}", "f8", "Longitude of the lowest mode", "degrees"),
    Field("geolocation/sensitivity_{a}", "f4", "Beam sensitivity"),
    Field("geolocation/shot_number", "u8", "Shot number"),
    Field("geolocation/stale_return_flag", "u1", "Stale return flag"),
    Field("land_cover_data/landsat_treecover", "f8", "Landsat tree canopy cover", "percent"),
    Field("land_cover_data/landsat_water_persistence", "u1", "25 m Landsat water persistence", "percent"),
    Field("land_cover_data/leaf_off_doy", "i2", "1 km VIIRS leaf-off day-of-year", "days"),
    Field("land_cover_data/leaf_off_flag", "u1", "1 km VIIRS leaf-off flag"),
    Field("land_cover_data/leaf_on_cycle", "u1", "1 km VIIRS leaf-on cycle number"),
    Field("land_cover_data/leaf_on_doy", "i2", "1 km VIIRS leaf-on day-of-year"),
    Field("land_cover_data/pft_class", "u1", "1 km MODIS Plant Functional Type class"),
    Field("land_cover_data/region_class", "u1", "1 km geographic region class"),
    Field("land_cover_data/shot_number", "u8", "Shot number"),
    Field("land_cover_data/urban_focal_window_size", "u1", "Urban focal window size", "pixels"),
    Field("land_cover_data/urban_proportion", "u1", "25 m TDX urban percentage", "percent"),
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
