"""GEDI L4A granules of the sample: overpasses of the International Space Station over its world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pyproj import Geod

from factory_pipeline.config.recipe import DEFAULT_RULES
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.synthetic.gedi_layout import (
    ALGORITHMS,
    BEAMS,
    CHANNELS,
    FIELDS,
    MODEL_DATA,
    PLANT_TYPES,
    PREDICTION_ATTRIBUTES,
    REGIONS,
    TEXT,
    GranuleField,
)
from factory_pipeline.synthetic.sentinel2 import Visit
from factory_pipeline.synthetic.world import Cover, World

GEDI_EPOCH = datetime(2018, 1, 1, tzinfo=UTC)
"""delta_time counts seconds from here."""

NO_DATA = -9999.0

_SHOT_SPACING = 60.0
_BEAM_SPACING = 600.0
_GROUND_SPEED = 7_260.0
_ISS_INCLINATION = np.radians(51.6)
_GEOD = Geod(ellps="WGS84")
_TEXT_TYPE = h5py.h5t.py_create(TEXT, logical=True)
_TEXT_IN_MEMORY = h5py.h5t.py_create(TEXT)
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)

Values = dict[str, NDArray[np.generic]]
"""By the path of a field: a value per shot."""


@dataclass(frozen=True)
class Overpass:
    """One crossing of the area of interest, and the Sentinel-2 acquisitions around it."""

    time: datetime
    """When the middle beam crosses the given place."""
    orbit: int
    sub_orbit: int
    track: int
    ascending: bool
    lon: float
    """Degrees."""
    lat: float
    """Degrees."""
    visits: tuple[Visit, ...]
    segments: tuple[tuple[float, int], ...] = ((-2_100.0, 13), (1_300.0, 13))
    """(metres along the track from the given place, shots per beam) of each stretch without clouds."""
    rejected_beam: str = "BEAM0011"
    """None of this beam's shots passes the level 2 quality flag."""

    @property
    def file_name(self) -> str:
        """The granule's name; its time is that of the orbit's start, about an hour before the shots."""
        start = self.time - timedelta(minutes=22 * self.sub_orbit)
        return (
            f"GEDI04_A_{start:%Y%j%H%M%S}_O{self.orbit:05d}_{self.sub_orbit:02d}_T{self.track:05d}"
            "_02_002_01_V002.h5"
        )


def write_granule(folder: Path, world: World, overpass: Overpass) -> Path:
    """Write the granule of an overpass with the full layout of the real product.

    Args:
        folder: that it is written to.
        world: the ground.
        overpass: time and track.
    """
    path = folder / overpass.file_name
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["short_name"] = "GEDI_L4A"
        _write_ancillary(file.create_group("ANCILLARY"))
        _write_identification(file.create_group("METADATA/DatasetIdentification"), path.name)
        for number, beam in enumerate(BEAMS):
            _write_beam(file.create_group(beam), beam, _beam_values(world, overpass, beam, number))
    return path


def usable_footprints(granule: Path) -> pl.DataFrame:
    """Return the footprints of a granule that pass the default quality rules: lon, lat, delta_time.

    Any granule of the product can be read, not only one that was written here.
    """
    fields = ("agbd", "agbd_se", "l2_quality_flag", "l4_quality_flag", "surface_flag", "delta_time")
    with h5py.File(granule) as file:
        beams = [
            pl.DataFrame(
                {name: file[beam][name][:] for name in (*fields, "lat_lowestmode", "lon_lowestmode")}
            )
            for beam in BEAMS
            if beam in file
        ]
    if not beams:
        return pl.DataFrame(schema={"lon": pl.Float64, "lat": pl.Float64, "delta_time": pl.Float64})
    footprints = pl.concat(beams)
    for rule in DEFAULT_RULES:
        footprints = footprints.filter(pl.sql_expr(rule.keep))
    return footprints.select(lon="lon_lowestmode", lat="lat_lowestmode", delta_time="delta_time")


def track_azimuth(lat: float, *, ascending: bool) -> float:
    """Direction of the ground track of the International Space Station, in degrees from north.

    The inertial heading follows from the inclination (spherical law of sines); the ground turns away
    eastwards below it.

    Args:
        lat: degrees.
        ascending: whether the station flies north.
    """
    eastward = np.clip(np.cos(_ISS_INCLINATION) / np.cos(np.radians(lat)), -1.0, 1.0)
    heading = np.arcsin(eastward)
    northward = np.cos(heading) * (1 if ascending else -1)
    earth_rotation = 465.1 * np.cos(np.radians(lat)) / _GROUND_SPEED
    return float(np.degrees(np.arctan2(eastward - earth_rotation, northward)))


def _beam_values(world: World, overpass: Overpass, beam: str, number: int) -> Values:
    """Return all fields of one beam."""
    rng = np.random.default_rng([world.seed, overpass.orbit, number])
    along = np.concatenate(
        [start + _SHOT_SPACING * np.arange(shots) for start, shots in overpass.segments]
    ) + rng.uniform(0.0, _SHOT_SPACING)
    lon, lat = _positions(overpass, along, (number - 3.5) * _BEAM_SPACING)
    surface = world.surface(lon, lat)
    shots = len(along)

    agbd = (surface.biomass * np.exp(rng.normal(0.0, 0.06, shots))).astype(np.float32)
    error = (3.5 + 0.9 * rng.random(shots)).astype(np.float32)
    on_water_or_built = np.isin(surface.cover, (Cover.WATER, Cover.BUILT))
    sensitivity = rng.uniform(0.93, 0.99, shots).astype(np.float32)
    l2_flag = (rng.random(shots) > 0.08) & (beam != overpass.rejected_beam)
    surface_flag = rng.random(shots) > 0.03
    l4_flag = l2_flag & (rng.random(shots) > 0.05) & ~on_water_or_built
    predicted = (rng.random(shots) > 0.06) & (l2_flag | (rng.random(shots) > 0.5))
    l4_flag &= predicted
    transformed = np.sqrt(agbd)
    seconds = (overpass.time - GEDI_EPOCH).total_seconds() + along / _GROUND_SPEED
    shot_number = (
        overpass.orbit * 10**13
        + int(beam.removeprefix("BEAM"), 2) * 10**11
        + overpass.sub_orbit * 10**8
        + (10_000 + np.rint(along / _SHOT_SPACING)).astype(np.int64)
    )

    def where_predicted(values: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.where(predicted, values, NO_DATA).astype(np.float32)

    def constant(value: float) -> NDArray[np.float64]:
        return np.full(shots, value)

    top: Values = {
        "agbd": where_predicted(agbd),
        "agbd_pi_lower": where_predicted(np.maximum(transformed - 3.2, 0.0) ** 2),
        "agbd_pi_upper": where_predicted((transformed + 3.2) ** 2),
        "agbd_se": where_predicted(error),
        "agbd_t": where_predicted(transformed),
        "agbd_t_se": where_predicted(constant(1.93)),
        "algorithm_run_flag": predicted,
        "beam": constant(int(beam.removeprefix("BEAM"), 2)),
        "channel": constant(CHANNELS[beam]),
        "degrade_flag": constant(0),
        "delta_time": seconds,
        "elev_lowestmode": surface.elevation + rng.normal(0.0, 0.4, shots),
        "l2_quality_flag": l2_flag,
        "l4_quality_flag": l4_flag,
        "lat_lowestmode": lat,
        "lon_lowestmode": lon,
        "master_frac": seconds % 1,
        "master_int": np.floor(seconds),
        "predict_stratum": np.where(surface.biomass > 50.0, "DBT_Eu", "GSW_Eu").astype(object),
        "predictor_limit_flag": constant(0),
        "response_limit_flag": constant(0),
        "selected_algorithm": constant(1),
        "selected_mode": rng.integers(0, 4, shots),
        "selected_mode_flag": constant(0),
        "sensitivity": sensitivity,
        "shot_number": shot_number,
        "solar_elevation": constant(34.0),
        "surface_flag": surface_flag,
        "xvar": np.where(predicted[:, np.newaxis], _predictors(transformed), NO_DATA),
    }
    return {**top, **_subgroup_values(top, surface.cover, constant)}


def _positions(
    overpass: Overpass, along: NDArray[np.float64], across: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of shots so many metres along and across the track."""
    azimuth = track_azimuth(overpass.lat, ascending=overpass.ascending)
    ones = np.ones(len(along))
    lon, lat, back = _GEOD.fwd(overpass.lon * ones, overpass.lat * ones, azimuth * ones, along)
    lon, lat, _ = _GEOD.fwd(lon, lat, np.asarray(back) - 90.0, across * ones)
    return np.asarray(lon), np.asarray(lat)


def _predictors(transformed: NDArray[np.floating]) -> NDArray[np.floating]:
    """Two relative heights with offset and square root, as the models take them; two are unused."""
    empty = np.zeros_like(transformed)
    return np.stack([10.0 + 0.08 * transformed, 10.1 + 0.11 * transformed, empty, empty], axis=1)


def _subgroup_values(
    top: Values, cover: NDArray[np.uint8], constant: Callable[[float], NDArray[np.float64]]
) -> Values:
    """Return the fields of the subgroups; each algorithm setting gives what the selected one gives."""
    values: Values = {
        f"agbd_prediction/{name}_{{a}}": top[name]
        for name in (
            "agbd",
            "agbd_pi_lower",
            "agbd_pi_upper",
            "agbd_se",
            "agbd_t",
            "agbd_t_se",
            "algorithm_run_flag",
            "l2_quality_flag",
            "l4_quality_flag",
            "predictor_limit_flag",
            "response_limit_flag",
            "selected_mode",
            "selected_mode_flag",
            "xvar",
        )
    }
    values |= {
        f"agbd_prediction/agbd_t_pi_{side}_{{a}}": np.where(
            top["algorithm_run_flag"], np.sqrt(np.maximum(top[f"agbd_pi_{side}"], 0)), NO_DATA
        )
        for side in ("lower", "upper")
    }
    values |= {
        f"geolocation/{name}_{{a}}": top[name]
        for name in ("elev_lowestmode", "lat_lowestmode", "lon_lowestmode", "sensitivity")
    }
    values |= {
        f"{group}/shot_number": top["shot_number"]
        for group in ("agbd_prediction", "geolocation", "land_cover_data")
    }
    is_tree = cover == Cover.TREE
    return values | {
        "geolocation/stale_return_flag": constant(0),
        "land_cover_data/landsat_treecover": np.where(is_tree, 75.0, 5.0),
        "land_cover_data/landsat_water_persistence": np.where(cover == Cover.WATER, 90, 0),
        "land_cover_data/leaf_off_doy": constant(300),
        "land_cover_data/leaf_off_flag": constant(0),
        "land_cover_data/leaf_on_cycle": constant(1),
        "land_cover_data/leaf_on_doy": constant(105),
        "land_cover_data/pft_class": np.where(is_tree, 4, 6),
        "land_cover_data/region_class": constant(1),
        "land_cover_data/urban_focal_window_size": constant(3),
        "land_cover_data/urban_proportion": np.where(cover == Cover.BUILT, 80, 0),
    }


def _write_beam(group: h5py.Group, beam: str, values: Mapping[str, NDArray[np.generic]]) -> None:
    group.attrs["description"] = BEAMS[beam]
    group.create_group("agbd_prediction").attrs.update(PREDICTION_ATTRIBUTES)
    for field in FIELDS:
        paths: Sequence[str] = [field.path]
        if "{a}" in field.path:
            paths = [field.path.format(a=algorithm) for algorithm in ALGORITHMS]
        for path in paths:
            _write_field(group, path, field, values[field.path])


def _write_field(group: h5py.Group, path: str, field: GranuleField, values: NDArray[np.generic]) -> None:
    dtype = TEXT if field.dtype == "text" else np.dtype(field.dtype)
    dataset = group.create_dataset(
        path,
        data=values if field.dtype == "text" else values.astype(dtype),
        dtype=dtype,
        chunks=values.shape if values.ndim == 1 else (values.shape[0], 1),
        maxshape=(None, *values.shape[1:]),
        compression="gzip",
        compression_opts=4,
        track_times=False,
    )
    texts = {"description": field.long_name, "long_name": field.long_name, "units": field.units}
    for name, text in texts.items():
        # As `dataset.attrs` writes a text, in a fraction of the time.
        attribute = h5py.h5a.create(dataset.id, name.encode(), _TEXT_TYPE, _SCALAR)
        attribute.write(np.asarray(text, dtype=TEXT), mtype=_TEXT_IN_MEMORY)


def _write_ancillary(group: h5py.Group) -> None:
    plant_types = np.array(list(PLANT_TYPES), dtype=[("pft_class", "u1"), ("pft_name", TEXT)])
    regions = np.array(list(REGIONS), dtype=[("region_class", "u1"), ("region_name", TEXT)])
    names = list(dict.fromkeys(name for _, name in PLANT_TYPES))
    strata = [f"{plant}_{region}" for plant in names for _, region in REGIONS]
    models = np.zeros(len(strata), dtype=MODEL_DATA)
    for column in ("predict_stratum", "model_name", "bias_correction_name", "fit_stratum"):
        models[column] = strata
    models["x_transform"] = models["y_transform"] = "sqrt"
    models["npar"] = 3
    for name, table in (("model_data", models), ("pft_lut", plant_types), ("region_lut", regions)):
        group.create_dataset(name, data=table, track_times=False)


def _write_identification(group: h5py.Group, file_name: str) -> None:
    group.attrs.update(
        {
            "PGEVersion": "002",
            "VersionID": "02",
            "abstract": "A generated sample in the layout of GEDI L4A; not a measurement.",
            "characterSet": "utf8",
            "creationDate": "2021-09-28T00:00:00.000000Z",
            "credit": "Generated sample.",
            "fileName": file_name,
            "gedi_l4a_githash": "0" * 40,
            "language": "eng",
            "originatorOrganizationName": "Generated sample.",
            "purpose": "Demonstration and tests.",
            "shortName": "GEDI_L4A",
            "spatialRepresentationType": "along-track",
            "status": "onGoing",
            "topicCategory": "geoscientificInformation",
            "uuid": "00000000-0000-0000-0000-000000000000",
        }
    )
