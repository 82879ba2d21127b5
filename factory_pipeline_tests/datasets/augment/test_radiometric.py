"""Operations that change values, against scikit-image, Pillow and plain numpy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage import color, filters

from factory_pipeline.datasets.augment.radiometric import (
    add_noise,
    blur,
    brighten,
    saturate,
    turn_grey,
    turn_hue,
)
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline_tests.datasets.augment.factories import DTYPES, NODATA, made_raster, made_sample
from factory_pipeline_tests.examples import up_to


def noise(sample: Sample, percent: float) -> Sample:
    return add_noise(sample, percent, np.random.default_rng(7))


OPERATIONS: dict[str, tuple[Callable[[Sample, float], Sample], float, float]] = {
    "blur": (blur, 0, 15),
    "brightness": (brighten, -50, 50),
    "noise": (noise, 0, 100),
    "grayscale": (turn_grey, 0, 100),
    "hue": (turn_hue, -50, 50),
    "saturation": (saturate, -50, 50),
}
COLOURS = ("grayscale", "hue", "saturation")


def image(sample: Sample) -> Any:
    return sample.images["S2"].values


def photograph(seed: int = 0) -> SampleRaster:
    values = np.random.default_rng(seed).integers(0, 256, (3, 32, 40), np.uint8)
    values[:, :4] = values[0, :4]  # greys
    return SampleRaster(values, ("red", "green", "blue"), None, (0, 1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", [1, 3, 12])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("end", [1, 2])
def test_values_change_and_nothing_else(operation: str, end: int, bands: int, dtype: str) -> None:
    change = OPERATIONS[operation][0]
    sample = made_sample(made_raster(dtype, bands, nodata=True))
    copy = change(sample, OPERATIONS[operation][end])
    raster, before = copy.images["S2"], sample.images["S2"]
    assert replace(raster, values=None) == replace(before, values=None)
    assert (raster.values.dtype, raster.values.shape) == (dtype, before.values.shape)
    np.testing.assert_array_equal(raster.values == NODATA[dtype], before.values == NODATA[dtype])
    assert replace(copy, images=sample.images) == sample
    if OPERATIONS[operation][end] and not (operation in COLOURS and bands < 3):
        assert (raster.values != before.values).any()


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=up_to(25), deadline=None)
@given(data=st.data())
def test_no_pixel_gains_or_loses_data(operation: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]))
    values = data.draw(hnp.arrays(dtype, (3, 4, 5), elements=st.integers(-5, 5) if dtype[0] != "u" else None))
    nodata = data.draw(st.integers(-2, 2))
    change, low, high = OPERATIONS[operation]
    sample = Sample("a", "train", {"S2": SampleRaster(values, ("r", "g", "b"), nodata, (0, 1, 2))})
    changed = image(change(sample, data.draw(st.floats(low, high))))
    np.testing.assert_array_equal(changed == nodata, values == nodata)
    assert np.isfinite(changed).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_band_without_any_data_stays_as_it_is(operation: str) -> None:
    values = np.full((3, 4, 5), np.nan, np.float32)
    sample = Sample("a", "train", {"S2": SampleRaster(values, ("r", "g", "b"), None, (0, 1, 2))})
    np.testing.assert_array_equal(image(OPERATIONS[operation][0](sample, 10)), values)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_class_codes_among_the_bands_are_kept(operation: str) -> None:
    raster = replace(made_raster("uint16", 4), bands=("B02", "B03", "B04", "SCL"))
    sample = made_sample({"S2": raster, "LULC": made_raster("uint8", 1)})
    copy = OPERATIONS[operation][0](sample, 40)
    np.testing.assert_array_equal(image(copy)[3], raster.values[3])
    np.testing.assert_array_equal(copy.images["LULC"].values, sample.images["LULC"].values)
    assert (image(copy)[:3] != raster.values[:3]).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", [1, 3, 12])
@pytest.mark.parametrize("radius", [0.7, 2, 15])
def test_a_blur_is_that_of_scikit_image(dtype: str, bands: int, radius: float) -> None:
    sample = made_sample(made_raster(dtype, bands, (70, 90)))
    how = {"sigma": radius, "mode": "constant", "preserve_range": True}
    edges = filters.gaussian(np.ones((70, 90)), **how)
    for blurred, before in zip(image(blur(sample, radius)), image(sample), strict=True):
        expected = filters.gaussian(before.astype(np.float64), **how) / edges
        tolerance = 1e-5 if dtype == "float32" else 0.5 + 1e-6
        np.testing.assert_allclose(blurred, expected, atol=tolerance)


def test_the_radius_of_a_blur_is_the_standard_deviation_as_in_pillow() -> None:
    point = np.zeros((1, 61, 61), np.float64)
    point[0, 30, 30] = 1
    sample = Sample("a", "train", {"S2": SampleRaster(point, ("B1",))})
    blurred = image(blur(sample, 4))[0]
    rows = np.arange(61) - 30
    assert np.sqrt((blurred.sum(axis=1) * rows**2).sum()) == pytest.approx(4, rel=0.01)


def test_a_blur_takes_nothing_from_pixels_without_data() -> None:
    raster = made_raster("float32", 1, nodata=True)
    valid = raster.values[0] != raster.nodata
    even = replace(raster, values=np.where(valid, np.float32(0.25), raster.values))
    np.testing.assert_array_equal(image(blur(made_sample(even), 3)), even.values)


def test_grey_is_the_luminance_of_pillow() -> None:
    sample = made_sample(photograph())
    expected = np.asarray(Image.fromarray(np.moveaxis(image(sample), 0, 2)).convert("L"))
    grey = image(turn_grey(sample, 100))
    assert np.abs(grey.astype(int) - expected).max() <= 1
    half = (grey.astype(float) + image(sample)) / 2
    np.testing.assert_allclose(image(turn_grey(sample, 50)), half, atol=1)
    np.testing.assert_array_equal(image(turn_grey(sample, 0)), image(sample))


@pytest.mark.parametrize("amount", [-50.0, -7, 0, 12.5, 50])
@pytest.mark.parametrize("darkest", [0, 90])
def test_hue_and_saturation_are_those_of_scikit_image(amount: float, darkest: int) -> None:
    photo = photograph()
    sample = made_sample(replace(photo, values=np.maximum(photo.values, np.uint8(darkest))))
    hsv = color.rgb2hsv(image(sample), channel_axis=0)
    turned, saturated = hsv.copy(), hsv.copy()
    turned[0] = (hsv[0] + amount / 360) % 1
    saturated[1] = np.minimum(hsv[1] * (1 + amount / 100), 1)
    for copy, expected in ((turn_hue(sample, amount), turned), (saturate(sample, amount), saturated)):
        colours = color.hsv2rgb(expected, channel_axis=0) * 255
        np.testing.assert_allclose(image(copy), colours, atol=0.5 + 1e-6)


@pytest.mark.parametrize("change", [turn_hue, saturate, turn_grey])
def test_reflectance_gets_the_colours_of_a_photograph_of_it(
    change: Callable[[Sample, float], Sample],
) -> None:
    """Neither the dtype nor the value of white matters."""
    photo = photograph()
    expected = image(change(made_sample(replace(photo, values=photo.values.astype(np.float64))), 30))
    for dtype, scale in (("uint16", 40), ("int16", 100), ("float32", 1 / 255)):
        values = (photo.values.astype(np.float64) * scale).astype(dtype)
        colours = image(change(made_sample(replace(photo, values=values)), 30))
        np.testing.assert_allclose(colours / scale, expected, atol=0.5 / scale + 1e-4)


@pytest.mark.parametrize("operation", COLOURS)
def test_only_the_colours_change_and_only_where_all_three_have_data(operation: str) -> None:
    raster = made_raster("uint16", 12, nodata=True)
    values = image(OPERATIONS[operation][0](made_sample(raster), 40))
    np.testing.assert_array_equal(values[3:], raster.values[3:])
    without = (raster.values[:3] == 0).any(axis=0)
    assert 0 < without.sum() < without.size
    np.testing.assert_array_equal(values[:, without], raster.values[:, without])


@pytest.mark.parametrize("operation", [turn_hue, saturate])
@given(amount=st.floats(-50, 50), seed=st.integers(0, 100))
@settings(max_examples=up_to(20))
def test_colours_stay_between_the_least_and_greatest_that_there_are(
    operation: Callable[[Sample, float], Sample], amount: float, seed: int
) -> None:
    for dtype in DTYPES:
        raster = made_raster(dtype, 3, seed=seed)
        values = image(operation(made_sample(raster), amount))
        slack = 1e-6 if dtype == "float32" else 0
        assert values.max() <= raster.values.max() + slack
        assert values.min() >= min(raster.values.min(), 0) - slack


def test_brightness_is_a_percentage_of_255_for_8_bits() -> None:
    sample = made_sample(photograph())
    for percent in (-50, -10, 20):
        expected = np.clip(image(sample) + np.floor(percent * 2.55 + 0.5), 0, 255)
        np.testing.assert_allclose(image(brighten(sample, percent)), expected, atol=1)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_brightness_is_a_percentage_of_the_usual_range_of_a_band(dtype: str) -> None:
    raster = made_raster(dtype, 2, (50, 60))
    values = raster.values * np.array([1, 0.5]).reshape(2, 1, 1)
    values[:, 0, 0] *= 2  # a saturated pixel
    sample = made_sample(replace(raster, values=values.astype(dtype)))
    for before, after in zip(image(sample), image(brighten(sample, 20)), strict=True):
        low, high = np.percentile(before, [2, 98])
        np.testing.assert_allclose(after, before + 0.2 * (high - low), rtol=1e-6, atol=0.51)


def test_what_is_never_negative_stays_so() -> None:
    raster = SampleRaster(np.linspace(0, 1, 60, dtype=np.float32).reshape(2, 5, 6), ("a", "b"))
    sample = made_sample(raster)
    assert image(brighten(sample, -50)).min() == 0
    below = made_sample(replace(raster, values=raster.values - np.float32(0.9)))
    assert image(brighten(below, -50))[0].min() < -1


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_replaces_a_share_of_the_pixels_in_all_bands_alike(dtype: str) -> None:
    rasters = {tag: made_raster(dtype, 3, (100, 120), nodata=True) for tag in ("S2", "S1")}
    sample = made_sample(rasters)
    for percent in (5, 60):
        copy = noise(sample, percent)
        changed = {tag: copy.images[tag].values != rasters[tag].values for tag in rasters}
        anywhere = changed["S2"].any(axis=0)
        assert abs(anywhere.mean() / (percent / 100) - 1) < 0.1
        valid = rasters["S2"].values != NODATA[dtype]
        # A random value may be the one that was there.
        for replaced in (*changed["S2"], *changed["S1"]):
            assert not (replaced & ~anywhere).sum() > 0.01 * replaced.size
            assert (replaced | ~anywhere | ~valid.all(axis=0)).mean() > 0.97


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_is_uniform_in_the_range_of_the_band(dtype: str) -> None:
    raster = made_raster(dtype, 1, (100, 120))
    low, high = (raster.values.max() * share for share in (0.25, 0.5))
    raster = replace(raster, values=np.clip(raster.values, low, high).astype(dtype))
    values = image(noise(made_sample(raster), 100)).astype(np.float64)
    low, high = float(raster.values.min()), float(raster.values.max())
    assert low <= values.min()
    assert values.max() <= high
    np.testing.assert_allclose(
        np.percentile(values, [25, 50, 75]), np.linspace(low, high, 5)[1:4], atol=0.03 * (high - low)
    )


def test_every_integer_of_the_range_is_as_likely_as_noise() -> None:
    values = np.random.default_rng(0).integers(3, 7, (1, 200, 200), np.uint8)
    _, counts = np.unique(image(noise(made_sample(SampleRaster(values, ("B1",))), 100)), return_counts=True)
    assert len(counts) == 4
    assert np.abs(counts / 10_000 - 1).max() < 0.05


def test_no_noise_and_no_brightness_change_nothing() -> None:
    for dtype in DTYPES:
        sample = made_sample(made_raster(dtype, nodata=True))
        for change in (noise, brighten, blur, turn_hue, saturate, turn_grey):
            values, tolerance = image(change(sample, 0)), 1e-6 if dtype == "float32" else 0
            np.testing.assert_allclose(values, image(sample), atol=tolerance)
