"""The sheet of chips: whole, small enough, the same each time, in the official colours."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.hdf5.palette import (
    SCL_COLOURS,
    WORLDCOVER_COLOURS,
    classes,
    label_over,
    rgb,
    terrain,
    true_colour,
)
from factory_pipeline.hdf5.preview import chip_sheet
from factory_pipeline.hdf5.schema import SCL_CLASSES, WORLDCOVER_CLASSES, WORLDCOVER_NODATA, Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

pytestmark = pytest.mark.integration


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def colours_in(png: bytes) -> set[tuple[int, int, int]]:
    image = opened(png)
    return {colour for _, colour in image.getcolors(image.width * image.height) or []}


def test_a_row_for_each_sample(written: Path) -> None:
    heights = [opened(chip_sheet(written, samples=count)).height for count in (1, 2, 99)]
    assert heights[1] - heights[0] >= 128
    assert heights[2] - heights[1] >= (12 - 2) * 128


def test_the_same_file_gives_the_same_bytes(written: Path) -> None:
    assert chip_sheet(written, samples=2) == chip_sheet(written, samples=2)


@pytest.mark.parametrize("limit", [100_000, 65_000])
def test_a_limit_is_kept_and_class_colours_stay_exact(written: Path, samples: Samples, limit: int) -> None:
    png = chip_sheet(written, max_bytes=limit)
    assert len(png) <= limit
    colours = colours_in(png)
    assert {rgb(SCL_COLOURS[4]), rgb(SCL_COLOURS[5])} <= colours
    assert rgb(WORLDCOVER_COLOURS[int(samples.worldcover[0, 0, 0, 0])]) in colours


@pytest.mark.parametrize("limit", [None, 70_000])
def test_the_sheet_has_true_colours_whatever_its_limit(written: Path, limit: int | None) -> None:
    assert opened(chip_sheet(written, max_bytes=limit)).mode == "RGB"


def test_a_limit_below_one_row_gives_one_row(written: Path) -> None:
    assert opened(chip_sheet(written, max_bytes=500)).height == opened(chip_sheet(written, samples=1)).height


def test_large_windows_give_small_chips(tmp_path: Path) -> None:
    recipe = Recipe(window_size=256)
    write_dataset(tmp_path / "large.h5", made_samples(1, recipe=recipe), recipe, "train")
    assert opened(chip_sheet(tmp_path / "large.h5")).width < 1200


def test_an_empty_file_gives_an_empty_sheet(tmp_path: Path) -> None:
    write_dataset(tmp_path / "empty.h5", Samples.empty(11, 32), Recipe(), "train")
    assert opened(chip_sheet(tmp_path / "empty.h5")).width > 600


@pytest.mark.parametrize("bands", [("B08",), ("B05", "B06", "B07")])
def test_a_dataset_without_true_colour(bands: tuple[str, ...], tmp_path: Path) -> None:
    recipe = Recipe(sentinel2=Sentinel2(bands=bands), window_size=16)
    write_dataset(tmp_path / "other.h5", made_samples(2, recipe=recipe), recipe, "train")
    assert opened(chip_sheet(tmp_path / "other.h5")).height > 2 * 128


def test_every_class_has_a_colour_of_its_own() -> None:
    assert SCL_COLOURS.keys() == set(range(len(SCL_CLASSES)))
    assert WORLDCOVER_COLOURS.keys() == {WORLDCOVER_NODATA, *WORLDCOVER_CLASSES}
    assert len(set(SCL_COLOURS.values())) == len(SCL_COLOURS)
    assert len(set(WORLDCOVER_COLOURS.values())) == len(WORLDCOVER_COLOURS)
    codes = np.array([[4, 6]])
    assert classes(codes, SCL_COLOURS).tolist() == [[[0, 160, 0], [0, 0, 255]]]


def test_light_comes_from_the_north_west() -> None:
    row, column = np.mgrid[:8, :8].astype(np.float32)
    facing_light, facing_away = terrain(20 * (row + column), 10), terrain(-20 * (row + column), 10)
    # Pixels of equal altitude colour: the middle of either slope.
    assert facing_light[4, 3].sum() > facing_away[4, 3].sum()


def test_true_colour_keeps_the_order_of_the_bands() -> None:
    red = np.zeros((3, 4, 4), np.uint16)
    red[0] = 2000
    picture = true_colour(red)
    assert picture.shape == (4, 4, 3)
    assert (picture[..., 0] > picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()


def test_only_labelled_pixels_are_coloured() -> None:
    scene = np.full((4, 4, 3), 90, np.uint8)
    label = np.full((4, 4), -9999, np.float32)
    label[2, 2] = 150
    picture = label_over(scene, label, -9999)
    is_grey = np.ptp(picture.astype(int), axis=-1) == 0
    assert not is_grey[2, 2]
    assert is_grey.sum() == 15
