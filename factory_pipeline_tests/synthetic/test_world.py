import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.config.recipe import S2_BANDS
from factory_pipeline.synthetic.world import Cover, SceneClass, Sky, World
from factory_pipeline_tests.examples import up_to

WORLD = World(22)


def area(kilometres=8.0, pixels=120, lon=15.03, lat=48.61):
    offsets = np.linspace(-0.5, 0.5, pixels) * kilometres / 111.32
    return np.meshgrid(lon + offsets / np.cos(np.radians(lat)), lat - offsets)


@settings(max_examples=up_to(25))
@given(lon=st.floats(-179, 179), lat=st.floats(-55, 55))
def test_a_place_looks_the_same_alone_and_among_others(lon, lat):
    others = np.random.default_rng(1).uniform(-50, 50, (2, 7))
    together = WORLD.surface(np.append(others[0], lon), np.append(others[1], lat))
    alone = WORLD.surface(np.array([lon]), np.array([lat]))
    sky = Sky(3, 0.1)
    for field in ("elevation", "biomass", "cover", "shade"):
        assert getattr(together, field)[-1] == getattr(alone, field)[0]
    assert (
        WORLD.reflectance(WORLD.scene(together, sky, 180), "B08")[-1]
        == WORLD.reflectance(WORLD.scene(alone, sky, 180), "B08")[0]
    )


def test_terrain_is_continuous_and_mostly_gentle():
    lon, lat = area(kilometres=30, pixels=400)
    step = 1.0 / 111_320
    rise = np.abs(WORLD.elevation(lon, lat + step) - WORLD.elevation(lon, lat))
    assert rise.max() < 2.0
    heights = WORLD.elevation(lon, lat)
    gradient = np.hypot(*np.gradient(heights, 30_000 / 399)) * 100
    assert 0.01 < (gradient > 15).mean() < 0.3


def test_land_cover_is_varied_and_biomass_follows_it():
    surface = WORLD.surface(*area(kilometres=20, pixels=300))
    mean = {cover: surface.biomass[surface.cover == cover].mean() for cover in np.unique(surface.cover)}
    assert set(mean) <= {int(cover) for cover in Cover}
    assert {Cover.TREE, Cover.SHRUB, Cover.GRASS, Cover.CROP, Cover.BUILT, Cover.WATER} <= set(mean)
    assert mean[Cover.TREE] > mean[Cover.SHRUB] > mean[Cover.GRASS] > mean[Cover.WATER]
    assert np.mean(surface.cover == Cover.WATER) < 0.1


def test_biomass_can_be_learnt_from_the_bands():
    """A linear model on the bands of half of the pixels explains most of the other half."""
    surface = WORLD.surface(*area())
    scene = WORLD.scene(surface, Sky(1, 0.0), 190)
    bands = np.stack([np.log(WORLD.reflectance(scene, band)).ravel() for band in S2_BANDS], axis=1)
    features = np.column_stack([bands, np.ones(len(bands))])
    target = surface.biomass.ravel()
    weights, *_ = np.linalg.lstsq(features[::2], target[::2], rcond=None)
    residual = target[1::2] - features[1::2] @ weights
    assert 1 - residual.var() / target[1::2].var() > 0.6


@pytest.mark.parametrize("cover", [0.05, 0.4])
def test_clouds_cover_about_what_the_product_tells(cover):
    surface = WORLD.surface(*area(kilometres=400, pixels=300))
    classes = WORLD.scene_classes(WORLD.scene(surface, Sky(5, cover), 190))
    cloudy = np.isin(classes, [SceneClass.CLOUD_MEDIUM, SceneClass.CLOUD_HIGH, SceneClass.THIN_CIRRUS])
    assert abs(cloudy.mean() - cover) < 0.05


def test_cloud_bank_hides_its_place_under_a_clear_sky():
    lon, lat = area(pixels=3, kilometres=0.2)
    scene = WORLD.scene(WORLD.surface(lon, lat), Sky(2, 0.0, bank=(15.03, 48.61, 2_000.0)), 190)
    assert (WORLD.scene_classes(scene) == SceneClass.CLOUD_HIGH).all()


def test_another_seed_is_another_world():
    lon, lat = area()
    assert not np.array_equal(World(8).elevation(lon, lat), WORLD.elevation(lon, lat))


@pytest.mark.parametrize("bank", [None, (15.03, 48.61, 3_000.0)])
def test_clouds_are_the_same_in_small_parts_of_which_most_have_a_clear_sky(bank):
    places = area(kilometres=30, pixels=240)
    surface = WORLD.surface(*places)
    for sky in (Sky(5, 0.05, bank), Sky(6, 0.3, bank)):
        whole, clear = WORLD.scene(surface, sky, 180), []
        for first in range(0, 240, 12):
            part = (slice(first, first + 12),) * 2
            seen = WORLD.scene(WORLD.surface(*(place[part] for place in places)), sky, 180)
            assert np.array_equal(seen.thickness, whole.thickness[part])
            assert np.array_equal(seen.shadow, whole.shadow[part])
            clear.append(not seen.thickness.any())
        assert any(clear)
        assert not all(clear)
