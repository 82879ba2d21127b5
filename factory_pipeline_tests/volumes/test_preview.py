"""Sheets of pairs: their size, and what their colours and arrows say."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory_pipeline.volumes.preview import GAP, PANEL, TITLE, pair_sheet
from factory_pipeline_tests.volumes.fields.pairs import write_dataset


def sheet(folder: Path, channels: tuple[float, float], pairs: int = 2, **options: int) -> Image.Image:
    """The sheet of noise with a constant field (channel 0, channel 1)."""
    images = np.random.default_rng(0).normal(size=(pairs, 2, 48, 32))
    fields = np.broadcast_to(np.array(channels)[:, None, None], (pairs, 2, 48, 32))
    png = pair_sheet(
        write_dataset(folder / "images.h5", images), write_dataset(folder / "fields.h5", fields), **options
    )
    return Image.open(io.BytesIO(png)).convert("RGB")


def colour_of_field(image: Image.Image) -> tuple[float, ...]:
    """The most frequent colour of the panel of the field of the first row."""
    panel = image.crop((4 * (PANEL + GAP), TITLE, 4 * (PANEL + GAP) + PANEL, TITLE + 74))
    return max(panel.getcolors(1 << 20))[1]


@pytest.mark.parametrize(
    ("channels", "colour"),
    [
        ((0.0, 2.0), (255, 0, 0)),  # channel 1 moves along x, to the right: red
        ((0.0, -2.0), (0, 255, 255)),
        ((0.0, 0.0), (255, 255, 255)),
    ],
)
def test_hue_is_the_direction_and_white_is_none(tmp_path, channels, colour):
    found = colour_of_field(sheet(tmp_path, channels))
    assert np.abs(np.subtract(found, colour)).max() < 40


def test_channel_0_points_downwards_as_y_does_in_a_viewer(tmp_path):
    down, up = (colour_of_field(sheet(tmp_path, (sign, 0.0))) for sign in (2.0, -2.0))
    assert down[1] > 200
    assert down[2] < 60
    assert up[2] > 200
    assert up[1] < 180


def test_a_sheet_has_x_to_the_right_and_a_row_for_each_pair(tmp_path):
    image = sheet(tmp_path, (1.0, 0.0), pairs=3)
    assert image.width == 5 * (PANEL + GAP)
    assert image.height > 3 * 74
    small = sheet(tmp_path, (1.0, 0.0), pairs=3, max_bytes=1)
    assert small.height < image.height


def test_the_same_files_give_the_same_bytes(tmp_path):
    assert sheet(tmp_path, (1.0, 2.0)).tobytes() == sheet(tmp_path, (1.0, 2.0)).tobytes()
