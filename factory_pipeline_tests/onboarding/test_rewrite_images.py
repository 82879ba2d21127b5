"""Labels as PNG with a value to ignore, as many benchmarks have them."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml
from PIL import Image

from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.rewrite_images import declare_nodata
from factory_pipeline_tests.onboarding.factory import Bench

VALUES = np.array([[0, 1, 255, 1], [1, 1, 0, 255]], np.uint8)


def picture(values: np.ndarray, mode: str) -> Image.Image:
    """A mask; a palette shows 255 as light as benchmarks do."""
    image = Image.fromarray(values.astype(np.uint16) if mode == "I;16" else values)
    if mode == "P":
        image = image.convert("P")
        image.putpalette([channel for value in range(256) for channel in (value, 255 - value, 7)])
    return image


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_a_png_declares_no_data_and_keeps_its_pixels_and_palette(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    picture(VALUES, mode).save(path)
    declare_nodata(path, 255)
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]
    with rasterio.open(path) as label:
        assert label.driver == "PNG"
        assert label.nodata == 255
        np.testing.assert_array_equal(label.read(1), VALUES)
        if mode == "P":
            assert label.colormap(1)[1][:3] == (1, 254, 7)


def test_of_a_png_that_declares_another_value_both_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    picture(VALUES, "L").save(path)
    declare_nodata(path, 0)
    declare_nodata(path, 255)
    with rasterio.open(path) as label:
        assert label.nodata == 0
        assert sorted(np.unique(label.read(1))) == [0, 1]


def photos(count: int, kind: str) -> dict[str, bytes]:
    """RGB images and masks that hold 0, 1 and 255."""
    files = {}
    for number in range(count):
        rng = np.random.default_rng(number)
        for name, values in (
            (f"{number}_photo.png", rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)),
            (f"{number}_mask.{kind}", np.resize(VALUES, (8, 8))),
        ):
            stored = io.BytesIO()
            Image.fromarray(values).save(stored, "JPEG" if name.endswith("jpg") else "PNG")
            files[name] = stored.getvalue()
    return files


def test_png_masks_with_255_to_ignore_are_onboarded(bench: Bench) -> None:
    suffixes = {"training_data_suffixes": ["_photo.png"], "label_suffix": "_mask.png"}
    key = bench.prepare("photos", photos(6, "png"), label_nodata=255, **suffixes)
    files = bench.home.upload(key).finished
    labels = pl.read_parquet(files.items)["label_path"]
    for label in labels:
        with rasterio.open(files.root / label) as mask:
            assert mask.nodata == 255
    classes = TrainingParameters.read(files.training_params).classes
    assert [known.pixels for known in classes] == [4 * 16, 4 * 32], "255 is none of the classes"
    data = yaml.safe_load(files.terratorch.read_text())["data"]["init_args"]
    assert data["no_label_replace"] == -1


def test_jpeg_masks_are_refused_before_unpacking_in_the_words_of_the_user(bench: Bench) -> None:
    suffixes = {"training_data_suffixes": ["_photo.png"], "label_suffix": "_mask.jpg"}
    key = bench.take_in(bench.drop("photos", photos(4, "jpg"), label_nodata=255, **suffixes))
    assert not bench.run(key).success
    reason = bench.upload(key).reason
    assert reason is not None
    assert "label_nodata 255, which a JPEG can't declare, such as 0_mask.jpg (4 files)" in reason
    assert not bench.home.upload(key).contents.exists()
