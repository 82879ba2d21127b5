"""The small picture of a release: some of its images, evenly spread, with their labels drawn on them."""

import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor
from rasterio.io import MemoryFile

from factory_pipeline.datalake.ingest.releases.preview import (
    COLUMNS,
    GAP,
    MOST_IMAGES,
    SIDE,
    release_sheet,
)
from factory_pipeline.imagery.class_colours import class_colour
from factory_pipeline_tests.datalake.ingest.releases.archives import SIZE, feature, polygon
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports

pytestmark = pytest.mark.integration
"""Each test imports a release into a registry."""

SCALE = SIDE // SIZE
CELL = SIDE + GAP
SQUARE = polygon([(2, 3), (6, 3), (6, 9), (2, 9)])
EVERYTHING = polygon([(0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE)])
TRIANGLE = polygon([(8, 8), (14, 8), (8, 14)])


def halves(left: int, bands: int = 3) -> bytes:
    """An image that is dark on the left as far as a column, and light on the right."""
    values = np.full((bands, SIZE, SIZE), 60, np.uint8)
    values[:, :, left:] = 200
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", count=bands, width=SIZE, height=SIZE, dtype="uint8") as out:
            out.write(values)
        return bytes(memory.getbuffer())


def sheet_of(imports: Imports, labels: list[Any], bands: int = 3) -> NDArray[np.uint8]:
    """Rows, columns and RGB of the sheet of images, the first dark as far as column 1, and so on."""
    files: dict[str, Any] = {}
    for number, label in enumerate(labels):
        files[f"images/i{number:02d}.tif"] = halves(1 + number % (SIZE - 1), bands)
        files[f"labels/i{number:02d}.json"] = json.dumps(feature(label)).encode()
    imports(files)
    assert imports.collection is not None
    png = release_sheet(imports.registry, imports.home, imports.collection)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def dark_columns(sheet: NDArray[np.uint8], number: int) -> int:
    """How many pixels of an image are dark on the left."""
    top, left = number // COLUMNS * CELL, number % COLUMNS * CELL
    row = sheet[top + SIDE - 2, left : left + SIDE, 0]
    return round(int((row < 128).sum()) / SCALE)


def is_color(pixel: NDArray[np.uint8], color: str) -> bool:
    return tuple(pixel.tolist()) == ImageColor.getrgb(color)


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_images_stand_side_by_side_stretched_to_black_and_white(imports: Imports, bands: int) -> None:
    sheet = sheet_of(imports, ["house", "house"], bands)
    assert sheet.shape == (SIDE, 2 * SIDE + GAP, 3)
    assert [dark_columns(sheet, number) for number in (0, 1)] == [1, 2]
    # A label of the whole image is a frame.
    assert set(np.unique(sheet[1:-1, 1 : SIDE - 1])) == {0, 255}
    assert (sheet[:, SIDE : SIDE + GAP] == 255).all(), "the gap is white"


def test_of_many_images_some_are_shown_evenly_spread(imports: Imports) -> None:
    count = 2 * MOST_IMAGES + 1
    sheet = sheet_of(imports, ["house"] * count)
    assert sheet.shape[:2] == (2 * CELL - GAP, COLUMNS * CELL - GAP)
    shown = [1 + number % (SIZE - 1) for number in range(0, 2 * MOST_IMAGES, 2)]
    assert [dark_columns(sheet, number) for number in range(MOST_IMAGES)] == shown


def test_each_class_has_its_colour_on_the_images_that_have_it(imports: Imports) -> None:
    sheet = sheet_of(
        imports, [{"b": [TRIANGLE], "a": [SQUARE]}, {"b": [], "a": []}, {"b": [SQUARE], "a": []}]
    )
    left, top, right, bottom = (SCALE * side for side in (2, 3, 6, 9))
    for corner in ((top, left), (top, right), (bottom, right), (bottom, left), (top + 9, left)):
        assert is_color(sheet[corner], class_colour(0)), corner
    assert is_color(sheet[8 * SCALE, 11 * SCALE], class_colour(1))
    second = sheet[:, CELL : CELL + SIDE]
    assert set(np.unique(second)) == {0, 255}, "nothing is drawn there"
    assert is_color(sheet[top, 2 * CELL + left], class_colour(1))


def test_a_rectangle_around_the_whole_image_is_a_frame(imports: Imports) -> None:
    sheet = sheet_of(imports, [{"a": [EVERYTHING]}])
    frame = np.ones((SIDE, SIDE), np.bool_)
    frame[1:-1, 1:-1] = False
    assert (sheet[frame] == ImageColor.getrgb(class_colour(0))).all()
    assert set(np.unique(sheet[~frame])) == {0, 255}


def test_each_of_many_classes_has_its_own_colour(imports: Imports) -> None:
    names = [f"class {number}" for number in range(MOST_IMAGES)]
    sheet = sheet_of(imports, [{name: [SQUARE]} for name in names])
    found = [
        tuple(sheet[number // COLUMNS * CELL + 3 * SCALE, number % COLUMNS * CELL + 2 * SCALE].tolist())
        for number in range(len(names))
    ]
    assert found == [ImageColor.getrgb(color) for color in map(class_colour, range(MOST_IMAGES))]
    assert len(set(found)) == MOST_IMAGES


def test_a_sheet_is_small(imports: Imports) -> None:
    rng = np.random.default_rng(0)
    files: dict[str, Any] = {}
    for number in range(MOST_IMAGES):
        with MemoryFile() as memory:
            with memory.open(driver="GTiff", count=3, width=300, height=200, dtype="float32") as out:
                values = rng.normal(0, 1, (3, 200, 300)).astype(np.float32)
                values[:, :5] = np.nan
                out.write(values)
            files[f"images/{number}.tif"] = bytes(memory.getbuffer())
        files[f"labels/{number}.json"] = json.dumps(feature("house")).encode()
    imports(files)
    assert imports.collection is not None
    png = release_sheet(imports.registry, imports.home, imports.collection)
    assert len(png) < SIDE * SIDE * MOST_IMAGES + 2_000, "a byte a pixel at most"
    assert Image.open(io.BytesIO(png)).size == (COLUMNS * CELL - GAP, 2 * CELL - GAP)
