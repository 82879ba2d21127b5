"""The sheet of a recipe's samples: a row each, small enough, with a legend of the classes that it shows."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.palette import rgb
from factory_pipeline.hdf5.recipe_preview import (
    CAPTION,
    CHIP,
    ENTRY,
    GAP,
    NO_DATA,
    SQUARE,
    recipe_sheet,
)
from factory_pipeline.imagery.class_colours import class_colour
from factory_pipeline_tests.hdf5.recipe_factories import recipe_of, write_fused

CROPS = """
name: crops
labels: {kind: points, path: a.csv, target: {column: crop, classes: {1: Maize, 2: Wheat}}}
window: {size: 4, pixel_size: 10}
sources: {dem: {collection: cop-dem-glo-30, assets: data}}
"""
COVER = """
name: cover
labels: {kind: rasters, path: a.tif, classes: {1: Water, 2: Forest, 7: Bare}}
window: {size: 8, pixel_size: 10}
sources: {dem: {collection: cop-dem-glo-30, assets: data}}
"""


def sheet_of(path: Path, recipe: DatasetRecipe, count: int = 3, **options: int) -> Image.Image:
    write_fused(path, recipe, [f"label {number}" for number in range(count)], [1.0] * count)
    return Image.open(io.BytesIO(recipe_sheet(path, **options))).convert("RGB")


def colours_of(image: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in image.getcolors(image.width * image.height) or []}  # type: ignore[misc]


def test_a_row_for_each_sample_as_many_as_are_asked_for(tmp_path: Path) -> None:
    recipe = recipe_of(CROPS)
    one, two = (sheet_of(tmp_path / "a.h5", recipe, samples=samples) for samples in (1, 2))
    assert two.height - one.height == CHIP + CAPTION + GAP
    assert one.width == two.width
    small = recipe_sheet(tmp_path / "a.h5", max_bytes=1)
    assert Image.open(io.BytesIO(small)).height == one.height, "one row is the least"


def test_classes_of_label_rasters_have_a_legend_and_points_none(tmp_path: Path) -> None:
    recipe = recipe_of(COVER)
    with_classes, without = sheet_of(tmp_path / "a.h5", recipe), sheet_of(tmp_path / "b.h5", recipe_of(CROPS))
    bottom = with_classes.crop((0, without.height - GAP, with_classes.width, with_classes.height))
    assert bottom.height > GAP
    legend = {rgb(class_colour(number)) for number in range(3)} | {rgb(NO_DATA)}
    assert {tuple(colour) for colour in legend} <= colours_of(bottom)
    assert not {tuple(rgb(class_colour(number))) for number in range(3)} & colours_of(without)


def test_a_legend_that_is_too_wide_goes_on_in_the_next_line(tmp_path: Path) -> None:
    count = 24
    heights = []
    for name in ("a", "a long name of a class"):
        classes = ", ".join(f"{number}: {name} {number}" for number in range(1, count + 1))
        recipe = recipe_of(COVER.replace("1: Water, 2: Forest, 7: Bare", classes))
        sheet = sheet_of(tmp_path / "a.h5", recipe, count=4)
        legend = np.asarray(sheet)[sheet_of(tmp_path / "b.h5", recipe_of(CROPS), count=4).height - GAP :]
        for number in range(count):
            rows, columns = np.nonzero((legend == rgb(class_colour(number))).all(axis=-1))
            # A whole square: nothing is drawn over it, and it is not cut off.
            assert len(rows) == (SQUARE - 1) ** 2
            assert np.ptp(rows) == np.ptp(columns) == SQUARE - 2
        assert (legend[:, -3:] == legend[-1, -1]).all(), "no name reaches the edge"
        heights.append(sheet.height)
    assert heights[1] - heights[0] >= 2 * ENTRY
    assert (heights[1] - heights[0]) % ENTRY == 0


def test_a_file_of_the_gedi_dataset_is_refused(written: Path) -> None:
    with pytest.raises(DatasetFileError, match="is a file of the GEDI dataset"):
        recipe_sheet(written)
