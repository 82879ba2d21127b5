import h5py
import numpy as np
import pytest

from factory_pipeline.synthetic.granules import NO_DATA, track_azimuth, usable_footprints, write_granule
from factory_pipeline.synthetic.plan import DEMO_PLAN
from factory_pipeline.synthetic.world import World

WORLD = World(22)
OVERPASS = DEMO_PLAN.overpasses[0]


@pytest.fixture(scope="module")
def granule(tmp_path_factory):
    return write_granule(tmp_path_factory.mktemp("granules"), WORLD, OVERPASS)


def layout(group, prefix=""):
    """The dtype of every dataset by its path; links are followed, as h5py's visitors don't."""
    members = {}
    for name, node in group.items():
        if isinstance(node, h5py.Group):
            members |= {f"{prefix}{name}": "group", **layout(node, f"{prefix}{name}/")}
        else:
            members[f"{prefix}{name}"] = (node.dtype, node.shape[1:], node.compression)
    return members


@pytest.mark.integration  # takes seconds
def test_layout_is_that_of_the_real_product(granule, realdata):
    for real in sorted((realdata / "gedi_l4a").glob("*.h5")):
        with h5py.File(granule) as ours, h5py.File(real) as theirs:
            assert layout(ours) == layout(theirs)


@pytest.mark.integration
def test_groups_say_what_the_real_ones_say(granule, realdata):
    real = sorted((realdata / "gedi_l4a").glob("*.h5"))[0]
    with h5py.File(granule) as ours, h5py.File(real) as theirs:
        assert dict(ours.attrs) == dict(theirs.attrs)
        for group in (name for name in theirs if name.startswith("BEAM")):
            assert dict(ours[group].attrs) == dict(theirs[group].attrs)
            prediction = ours[group]["agbd_prediction"].attrs
            assert dict(prediction) == dict(theirs[group]["agbd_prediction"].attrs)
        name = "METADATA/DatasetIdentification"
        assert set(ours[name].attrs) == set(theirs[name].attrs)
        assert ours["BEAM0000/agbd"].attrs["units"] == theirs["BEAM0000/agbd"].attrs["units"]


@pytest.mark.integration
def test_biomass_is_that_of_the_world(granule):
    with h5py.File(granule) as file:
        beam = file["BEAM1000"]
        agbd, lon, lat = (beam[name][:] for name in ("agbd", "lon_lowestmode", "lat_lowestmode"))
        elevation = beam["elev_lowestmode"][:]
    predicted = agbd != NO_DATA
    truth = WORLD.surface(lon, lat)
    np.testing.assert_allclose(agbd[predicted], truth.biomass[predicted], rtol=0.3)
    np.testing.assert_allclose(elevation, truth.elevation, atol=3)


@pytest.mark.integration
def test_shots_lie_on_tracks(granule):
    with h5py.File(granule) as file:
        beams = [name for name in file if name.startswith("BEAM")]
        lat = np.array([file[name]["lat_lowestmode"][:] for name in beams])
        lon = np.array([file[name]["lon_lowestmode"][:] for name in beams])
        time = np.array([file[name]["delta_time"][:] for name in beams])
    east, north = lon * 111_320 * np.cos(np.radians(OVERPASS.lat)), lat * 111_320
    first_segment = slice(0, OVERPASS.segments[0][1])
    along = np.hypot(np.diff(east[:, first_segment]), np.diff(north[:, first_segment]))
    np.testing.assert_allclose(along, 60, atol=1)
    np.testing.assert_allclose(np.diff(time[:, first_segment]), 60 / 7260, atol=1e-4)
    azimuth = np.radians(track_azimuth(OVERPASS.lat, ascending=True))
    across = east.mean(axis=1) * np.cos(azimuth) - north.mean(axis=1) * np.sin(azimuth)
    np.testing.assert_allclose(np.abs(np.diff(across)), 600, atol=25)


@pytest.mark.integration
def test_some_shots_fail_and_one_beam_fails_whole(granule):
    with h5py.File(granule) as file:
        assert not file[OVERPASS.rejected_beam]["l2_quality_flag"][:].any()
        agbd = np.concatenate([file[name]["agbd"][:] for name in file if name.startswith("BEAM")])
        numbers = np.concatenate([file[name]["shot_number"][:] for name in file if name.startswith("BEAM")])
    assert (agbd == NO_DATA).any()
    assert len(np.unique(numbers)) == len(numbers)
    usable = usable_footprints(granule)
    assert 0.2 * len(agbd) < len(usable) < 0.8 * len(agbd)


@pytest.mark.integration
def test_the_file_name_gives_the_start_of_the_orbit(granule):
    assert granule.name == "GEDI04_A_2020113125707_O07719_02_T03061_02_002_01_V002.h5"


def test_real_granules_have_the_known_number_of_usable_footprints(realdata):
    counts = [len(usable_footprints(path)) for path in sorted((realdata / "gedi_l4a").glob("*.h5"))]
    assert counts == [225, 708]


def test_tracks_follow_the_inclination():
    assert track_azimuth(0.0, ascending=True) == pytest.approx(90 - 51.6 - 3, abs=1)
    assert track_azimuth(0.0, ascending=False) == pytest.approx(180 - track_azimuth(0.0, ascending=True))
    assert track_azimuth(51.5, ascending=True) == pytest.approx(90, abs=6)
