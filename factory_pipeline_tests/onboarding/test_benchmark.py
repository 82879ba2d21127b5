"""A real image, radar image and label of a public benchmark go the way of an upload."""

import os
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.windows import Window

from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.pixel_checks import pixel_checks
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import OPEN, zip_of

pytestmark = pytest.mark.integration

REALDATA = os.environ.get("FACTORY_REALDATA")
IMAGES = ("_S1Hand.tif", "_S2Hand.tif")
LABEL = "_LabelHand.tif"
CATEGORIES = [LabelCategory(id=0, name="Land", color="tan"), LabelCategory(id=1, name="Water", color="blue")]


FOLDER = Path(str(REALDATA)) / "image_label_pairs" / "sen1floods11"
CHIP = 128
NO_LABEL = -1

needs_real_data = pytest.mark.skipif(REALDATA is None, reason="FACTORY_REALDATA names no folder of real data")


@needs_real_data
def test_sen1floods11(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in FOLDER.glob("*.tif")}
    zip_of(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", IMAGES, LABEL, OPEN)
    assert report.passed
    assert (report.images, report.labels) == (2, 1)
    assert report.bytes_read < report.archive_bytes / 10
    for row in report.files.collect().iter_rows(named=True):
        with rasterio.open(FOLDER / row["name"]) as image:
            assert (row["width"], row["height"], row["bands"]) == (image.width, image.height, image.count)
            assert row["transform"] == list(image.transform)[:6]
            assert row["band_names"] == list(image.descriptions)
            assert (row["epsg"], row["dtype"]) == (image.crs.to_epsg(), image.dtypes[0])

    extract(tmp_path / "a.zip", tmp_path / "out", IntakePolicy())
    rows = scan_contents(tmp_path / "out", Suffixes(IMAGES, LABEL), IntakePolicy())
    contents = frame_of(rows, CONTENT_SCHEMA).lazy()
    (failed,) = [check for check in pixel_checks(contents, CATEGORIES) if not check.passed]
    assert failed.message.startswith("Files that contain values without a label category: -1 (the")
    assert all(check.passed for check in pixel_checks(contents, CATEGORIES, label_nodata=-1))


def chips(path: Path) -> Iterator[tuple[str, bytes, NDArray[np.generic]]]:
    """Name, file and pixels of each chip of a raster; the files declare what the raster declares."""
    with rasterio.open(path) as raster:
        for row, column in product(range(raster.height // CHIP), range(raster.width // CHIP)):
            window = Window(column * CHIP, row * CHIP, CHIP, CHIP)
            pixels = raster.read(window=window)
            profile = {**raster.profile, "width": CHIP, "height": CHIP, "tiled": False}
            profile |= {"transform": raster.window_transform(window), "blockysize": CHIP}
            with MemoryFile() as memory:
                with memory.open(**profile) as chip:
                    chip.write(pixels)
                    chip.descriptions = raster.descriptions
                name = path.name.replace("_", f"_{row}-{column}_", 1)
                yield name, bytes(memory.getbuffer()), pixels


@needs_real_data
def test_sen1floods11_in_chips_becomes_a_dataset(bench: Bench) -> None:
    cut = [chip for path in sorted(FOLDER.glob("*.tif")) for chip in chips(path)]
    key = bench.prepare(
        "sen1floods11",
        {name: content for name, content, _ in cut},
        training_data_suffixes=list(IMAGES),
        label_suffix=LABEL,
        label_nodata=NO_LABEL,
        label_categories=[category.model_dump() for category in CATEGORIES],
        data_sources=[{"modality_tag": suffix[1:3], "file_suffix": suffix} for suffix in IMAGES],
    )
    files = bench.home.upload(key).finished
    items = pl.read_parquet(files.items)
    assert items.height == 16
    pixels = {name: values for name, _, values in cut}
    train = items.filter(pl.col("split") == "train")["original_name"]
    parameters = TrainingParameters.read(files.training_params)
    assert parameters.images == len(train) == 10
    for suffix in IMAGES:
        stacked = np.stack([pixels[f"{stem}{suffix}"] for stem in train]).astype(np.float64)
        found = parameters.of(suffix[1:3])
        assert len(found) == stacked.shape[1]
        for place, band in enumerate(found):
            values = stacked[:, place][np.isfinite(stacked[:, place])]
            assert band.pixels == values.size
            assert band.mean == pytest.approx(values.mean(), rel=1e-6)
            assert band.std == pytest.approx(values.std(), rel=1e-6)
            assert (band.minimum, band.maximum) == (values.min(), values.max())
            assert band.percentiles["p50"] == pytest.approx(np.median(values), rel=1e-6)

    masks = np.stack([pixels[f"{stem}{LABEL}"] for stem in train])
    assert (masks == NO_LABEL).any(), "or this shows nothing"
    assert {known.id: known.pixels for known in parameters.classes} == {
        value: int((masks == value).sum()) for value in (0, 1)
    }
    assert not parameters.unknown_values
    for name, path in items.select("original_name", "label_path").iter_rows():
        with rasterio.open(files.root / path) as label:
            assert label.nodata == NO_LABEL
            np.testing.assert_array_equal(label.read(), pixels[f"{name}{LABEL}"])
    config = yaml.safe_load(files.terratorch.read_text())
    assert config["model"]["init_args"]["class_names"] == ["Land", "Water"]
    assert config["model"]["init_args"]["ignore_index"] == NO_LABEL
    assert config["data"]["init_args"]["no_label_replace"] == NO_LABEL
