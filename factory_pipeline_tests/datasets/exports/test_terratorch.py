"""TerraTorch exports, read by the configuration as TerraTorch reads it: roots, patterns, split files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml

from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)

pytestmark = pytest.mark.integration

PARTS = {"train": "train", "val": "validation", "test": "test"}


def exported(version: MadeVersion, folder: Path) -> dict[str, Any]:
    export_version(version, "TerraTorch", folder)
    return yaml.safe_load((folder / "terratorch.yaml").read_text(encoding="utf-8"))


def found(folder: Path, root: str, grep: str, split_file: str) -> list[Path]:
    """A glob, of which those stay whose name holds a line of the split file."""
    lines = (folder / split_file).read_text().split()
    files = (folder / root).glob(grep)
    return sorted(file for file in files if any(line in file.name.rsplit(".", 1)[0] for line in lines))


def by_stem(version: MadeVersion, folder: Path, split: str) -> dict[str, Sample]:
    index = pl.read_csv(folder / "index.csv")
    stems = dict(index.filter(pl.col("split") == split).select("name", "stem").iter_rows())
    return {stems[sample.name]: sample for sample in version.samples(split)}


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("made", [satellite_version, photo_version])
def test_each_part_finds_its_images_and_labels(tmp_path: Path, made: Any, part: str) -> None:
    version = made(tmp_path, masks=True)
    folder = tmp_path / "out"
    data = exported(version, folder)["data"]["init_args"]
    images = found(folder, data[f"{part}_data_root"], data["img_grep"], data[f"{part}_split"])
    labels = found(folder, data[f"{part}_label_data_root"], data["label_grep"], data[f"{part}_split"])
    samples = by_stem(version, folder, PARTS[part])
    assert [image.name.partition("_")[0] for image in images] == sorted(samples)
    assert [label.name.partition("_")[0] for label in labels] == sorted(samples)
    for image, label, (_, sample) in zip(images, labels, sorted(samples.items()), strict=True):
        (raster,) = sample.images.values()
        with rasterio.open(image) as read:
            np.testing.assert_array_equal(read.read(), raster.values)
            assert read.crs == (sample.crs and rasterio.crs.CRS.from_user_input(sample.crs))
        with rasterio.open(label) as read:
            np.testing.assert_array_equal(read.read(), index_mask(sample, version).values)


def test_statistics_are_those_of_the_training_pixels(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    data = exported(version, tmp_path / "out")["data"]["init_args"]
    stack = np.concatenate(
        [sample.images["S2L2A"].values.reshape(4, -1) for sample in version.samples("train")], 1
    )
    pixels = np.ma.masked_equal(stack.astype(float), 0)
    np.testing.assert_allclose(data["means"], pixels.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(data["stds"], pixels.std(axis=1), rtol=1e-6)
    assert data["rgb_indices"] == [2, 1, 0]


def test_outside_of_masks_nothing_is_learnt_and_outside_of_shapes_the_background(tmp_path: Path) -> None:
    masks = exported(satellite_version(tmp_path / "masks", masks=True), tmp_path / "a")
    shapes = exported(satellite_version(tmp_path / "shapes"), tmp_path / "b")
    names = masks["model"]["init_args"]["class_names"]
    assert names[1:3] == ["vatten (sjö)", "tree cover"]
    assert names[7] == "road"
    assert shapes["model"]["init_args"]["class_names"][0] == "background"
    (label, *_) = sorted((tmp_path / "a" / "labels").iterdir())
    with rasterio.open(label) as read:
        assert read.nodata == 0
    (label, *_) = sorted((tmp_path / "b" / "labels").iterdir())
    with rasterio.open(label) as read:
        assert read.nodata is None


def test_measured_values_become_a_regression_of_several_modalities(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, targets=True, modalities=TWO_MODALITIES)
    folder = tmp_path / "out"
    config = exported(version, folder)
    data = config["data"]["init_args"]
    assert config["model"]["class_path"] == "terratorch.tasks.PixelwiseRegressionTask"
    assert data["modalities"] == ["S2L2A", "DEM"]
    for tag, root in data["train_data_root"].items():
        images = found(folder, root, data["image_grep"][tag], data["train_split"])
        assert len(images) == version.counts["train"]
    samples = by_stem(version, folder, "train")
    for label in found(folder, data["train_label_data_root"], data["label_grep"], data["train_split"]):
        with rasterio.open(label) as read:
            np.testing.assert_array_equal(read.read(), samples[label.name.partition("_")[0]].target.values)
            assert read.nodata == -9999


def test_class_codes_are_no_input(tmp_path: Path) -> None:
    modalities = {"S2": ("B04", "SCL", "B02"), "WorldCover": ("class",)}
    version = satellite_version(tmp_path, masks=True, modalities=modalities)
    folder = tmp_path / "out"
    data = exported(version, folder)["data"]["init_args"]
    assert (data["dataset_bands"], len(data["means"])) == (["RED", "BLUE"], 2)
    samples = by_stem(version, folder, "train")
    for image in found(folder, data["train_data_root"], data["img_grep"], data["train_split"]):
        with rasterio.open(image) as read:
            whole = samples[image.name.partition("_")[0]].images["S2"].values
            np.testing.assert_array_equal(read.read(), whole[[0, 2]])
            assert read.nodata == 0
    assert [path.name for path in (folder / "training_data").iterdir()] == ["S2"]


def test_where_there_are_codes_only_they_are_the_input(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True, modalities={"LULC": ("class",)})
    data = exported(version, tmp_path / "out")["data"]["init_args"]
    assert data["dataset_bands"] == ["class"]


def test_nothing_in_it_names_a_place_of_this_machine(tmp_path: Path) -> None:
    exported(satellite_version(tmp_path, masks=True), tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.suffix in (".yaml", ".json", ".csv", ".txt"):
            assert str(tmp_path) not in path.read_text()


def test_an_image_without_measured_values_is_named(tmp_path: Path) -> None:
    class Unmeasured(MadeVersion):
        def samples(self, split):
            for number, sample in enumerate(super().samples(split)):
                yield replace(sample, target=None) if number == 2 else sample

    made = satellite_version(tmp_path)
    version = Unmeasured(made.folder, made.modalities, made.originals, targets=True)
    with pytest.raises(ExportError, match=r"train\.höst 001 has no measured values"):
        export_version(version, "TerraTorch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "TerraTorch", tmp_path / "first")
    assert export_version(version, "TerraTorch", tmp_path / "second") == first
