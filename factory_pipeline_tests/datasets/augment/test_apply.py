"""Augmented copies: which there are, what they are called, and that they are always the same."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datasets.augment.apply import SUFFIXES, copies, copies_per_sample, with_copies
from factory_pipeline.datasets.augment.config import OPERATIONS, Augmentation
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline_tests.datasets.augment.factories import EVERY, asked, made_raster, made_sample
from factory_pipeline_tests.examples import up_to

SEED = "5f2b"
NAMES = [
    "flip_horizontal", "flip_vertical", "rotation", "blur", "clockwise", "counter_clockwise", "upside_down",
    "grayscale", "hue", "saturation", "brightness", "noise", "shear", "crop",
]  # fmt: skip


def by_suffix(sample: Sample, augmentations: tuple[Augmentation, ...], seed: str = SEED) -> dict[str, Sample]:
    made = copies(sample, augmentations, seed)
    return {copy.name.removeprefix(f"{sample.name}-"): copy for copy in made}


def assert_same(one: Sample, other: Sample) -> None:
    for mine, theirs in zip(_rasters(one), _rasters(other), strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
    assert (one.name, one.transform, one.metadata) == (other.name, other.transform, other.metadata)
    for mine, theirs in zip(one.shapes, other.shapes, strict=True):
        assert mine.bbox == theirs.bbox


def _rasters(sample: Sample) -> list[SampleRaster]:
    return [*sample.images.values(), *(raster for raster in (sample.mask, sample.target) if raster)]


def test_each_operation_makes_its_copies_in_order() -> None:
    sample = made_sample(files={"S2": Path("a.tif")})
    made = list(copies(sample, EVERY, SEED))
    assert [copy.name for copy in made] == [f"höst 001-{suffix}" for suffix in NAMES]
    assert copies_per_sample(EVERY) == len(made)
    assert list(SUFFIXES.values()) == NAMES
    for copy in made:
        assert (copy.origin, copy.split, copy.crs) == (sample.name, "train", sample.crs)
        assert copy.files == {}
        assert copy.metadata["Tags"] == ["water"]
        assert copy.size == next(iter(copy.images.values())).values.shape[1:]
    assert sample.metadata == {"Tags": ["water"]}


def test_a_copy_says_what_was_drawn_for_it() -> None:
    allowed = {name: limits for properties in OPERATIONS.values() for name, limits in properties.items()}
    for suffix, copy in by_suffix(made_sample(), EVERY).items():
        stored = json.loads(json.dumps(copy.metadata))
        assert stored["augmentation"] in OPERATIONS
        parameters = stored["parameters"]
        told = {name: value for name, value in parameters.items() if name in allowed}
        assert set(told) <= set(OPERATIONS[stored["augmentation"]])
        for name, value in told.items():
            limits = allowed[name]
            assert value is True if limits is None else limits[0] <= value <= limits[1]
        if suffix == "crop":
            assert (parameters["height"], parameters["width"]) == copy.size
        else:
            assert told == parameters


def test_the_numbers_that_a_seed_gives_never_change() -> None:
    """Versions that were exported once must be exported the same later."""
    found = by_suffix(made_sample(), EVERY)
    assert found["rotation"].metadata["parameters"] == {"PERCENTAGE_SCALE": 243.7096765777577}
    window = {"row": 20, "column": 15, "height": 4, "width": 5}
    assert found["crop"].metadata["parameters"] == {"CROP_PERCENTAGE": 84.10136616473149, **window}
    assert found["noise"].images["S2"].values.sum() == 13_112_796


@given(low=st.floats(-40, 40), high=st.floats(-40, 40), seed=st.text(max_size=5))
def test_what_is_drawn_lies_in_the_range_that_was_asked_for(low: float, high: float, seed: str) -> None:
    augmentations = asked(SHEAR={"SHEAR_HORIZONTAL": [low, high], "SHEAR_VERTICAL": [5, 5]})
    [copy] = copies(made_sample(made_raster(size=(30, 30))), augmentations, seed)
    drawn = copy.metadata["parameters"]
    assert min(low, high) <= drawn["SHEAR_HORIZONTAL"] <= max(low, high)
    assert drawn["SHEAR_VERTICAL"] == 5


@pytest.mark.integration
@given(chosen=st.permutations(EVERY), count=st.integers(1, len(EVERY)), seed=st.text())
@settings(max_examples=up_to(10), deadline=None)
def test_a_copy_depends_on_seed_name_and_operation_alone(
    chosen: list[Augmentation], count: int, seed: str
) -> None:
    sample = made_sample()
    every = by_suffix(sample, EVERY, seed)
    for suffix, copy in by_suffix(sample, tuple(chosen[:count]), seed).items():
        assert_same(copy, every[suffix])


def test_another_seed_name_or_operation_draws_other_numbers() -> None:
    augmentations = asked(
        IMAGE_ROTATION={"PERCENTAGE_SCALE": [-50, 50]}, BRIGHTNESS={"BRIGHTNESS_DEGREES": [-50, 50]}
    )
    sample = made_sample()
    several = [
        *copies(sample, augmentations, SEED),
        *copies(sample, augmentations, "other"),
        *copies(replace(sample, name="höst 002"), augmentations, SEED),
    ]
    drawn = [value for copy in several for value in copy.metadata["parameters"].values()]
    assert len(set(drawn)) == len(several) == 6


def test_over_many_samples_the_whole_range_is_drawn_evenly() -> None:
    augmentations = asked(BRIGHTNESS={"BRIGHTNESS_DEGREES": [10, 30]})
    sample = made_sample(made_raster(size=(30, 30), bands=1))
    drawn = [
        copy.metadata["parameters"]["BRIGHTNESS_DEGREES"]
        for number in range(300)
        for copy in copies(replace(sample, name=str(number)), augmentations, SEED)
    ]
    np.testing.assert_allclose(np.percentile(drawn, [5, 25, 50, 75, 95]), [11, 15, 20, 25, 29], atol=1.5)


def test_all_modalities_of_a_sample_are_changed_alike() -> None:
    raster = made_raster()
    sample = made_sample({"S2": raster, "again": raster, "DEM": made_raster("float32", 1)})
    for suffix, copy in by_suffix(sample, EVERY).items():
        assert {each.values.shape[1:] for each in copy.images.values()} == {copy.size}
        if suffix != "noise":
            np.testing.assert_array_equal(copy.images["S2"].values, copy.images["again"].values)


def test_where_no_colours_are_known_there_is_no_copy_of_changed_colours() -> None:
    grey = made_sample(made_raster(bands=1))
    assert list(by_suffix(grey, EVERY)) == [
        name for name in NAMES if name not in ("grayscale", "hue", "saturation")
    ]
    assert copies_per_sample(EVERY, has_rgb=False) == len(NAMES) - 3
    beside = made_sample({"DEM": made_raster(bands=1), "S2": made_raster(bands=3)})
    assert list(by_suffix(beside, EVERY)) == NAMES


@pytest.mark.parametrize(
    ("percent", "size"), [(0, (24, 30)), (50, (12, 15)), (90, (2, 3)), (99, (1, 1)), (100, (1, 1))]
)
def test_a_crop_takes_its_percentage_off_height_and_width(percent: float, size: tuple[int, int]) -> None:
    sample = made_sample()
    places = set()
    for number in range(40):
        [copy] = copies(
            replace(sample, name=str(number)), asked(CROP={"CROP_PERCENTAGE": [percent] * 2}), SEED
        )
        window = copy.metadata["parameters"]
        assert copy.size == size
        row, column = window["row"], window["column"]
        np.testing.assert_array_equal(
            copy.images["S2"].values,
            sample.images["S2"].values[:, row : row + size[0], column : column + size[1]],
        )
        places.add((row, column))
    assert len(places) == 1 if percent == 0 else len(places) > 20


def test_one_shear_alone_leaves_the_other_direction() -> None:
    [copy] = copies(made_sample(), asked(SHEAR={"SHEAR_VERTICAL": [30, 30]}), SEED)
    assert copy.metadata["parameters"] == {"SHEAR_VERTICAL": 30}
    assert copy.transform is not None
    assert copy.transform[:2] == (10, 0)


def test_one_pixel_is_enough_for_every_operation() -> None:
    raster = SampleRaster(np.full((3, 1, 1), 7, np.uint8), ("r", "g", "b"), 0, (0, 1, 2))
    made = by_suffix(Sample("a", "train", {"S2": raster}), EVERY)
    assert list(made) == NAMES
    assert all((copy.images["S2"].values > 0).all() for copy in made.values())


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_give_the_same_samples_in_the_same_order(threads: int) -> None:
    samples = [replace(made_sample(), name=str(number)) for number in range(4)]
    expected = [each for sample in samples for each in (sample, *copies(sample, EVERY, SEED))]
    found = list(with_copies(samples, EVERY, SEED, threads))
    assert [each.name for each in found] == [each.name for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert list(with_copies(samples, (), SEED, threads)) == samples


def test_threads_take_no_more_samples_than_they_need() -> None:
    taken = []

    def samples() -> Iterator[Sample]:
        for number in range(100):
            taken.append(number)
            yield replace(made_sample(), name=str(number))

    flips = asked(FLIP_IMAGE={"FLIP_VERTICAL": True})
    some = with_copies(samples(), flips, SEED, threads=2)
    for _ in range(4):
        next(some)
    assert len(taken) <= 5
    some.close()
    assert len(taken) <= 5


def test_an_error_in_a_thread_is_raised_where_its_copy_would_have_been() -> None:
    broken = replace(
        made_sample(), name="broken", transform=(0.0,) * 6, images={"S2": SampleRaster(np.zeros(3), ("a",))}
    )
    found = []
    with pytest.raises(IndexError):
        found.extend(with_copies([made_sample(), broken], asked(FLIP_IMAGE={"FLIP_VERTICAL": True}), SEED, 2))
