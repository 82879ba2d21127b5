"""Semantic Segmentation, read back by Datumaro, pillow and rasterio."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from factory_pipeline.datasets.exports import segmentation
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.model.factories import (
    CRS,
    VALUES,
    MadeVersion,
    photo_version,
    satellite_version,
)

WITH_ZERO = {"background": 0, "tree cover": 2, "road": 7}


@pytest.fixture(scope="module", params=["photos", "satellite", "zero is a class"])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    if request.param == "zero is a class":
        return satellite_version(tmp_path_factory.mktemp("made"), masks=True, values=WITH_ZERO)
    made: MadeVersion = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="module")
def exported(version: MadeVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmentation")
    segmentation.write(version, folder)
    segmentation.check(version, folder)
    return folder


@pytest.mark.integration
def test_datumaro_reads_the_class_of_every_pixel(exported: Path, version: MadeVersion) -> None:
    from datumaro import AnnotationType, Dataset  # with pandas and OpenCV, which take seconds

    read = Dataset.import_from(str(exported), "common_semantic_segmentation_with_subset_dirs")
    labels = [label.name for label in read.categories()[AnnotationType.label]]
    names = segmentation.class_names(version)
    assert labels == list(names.values())
    for split in SPLITS:
        items = {item.id: item for item in read.get_subset(split)}
        samples = list(version.samples(split))
        assert set(items) == {sample.name for sample in samples}
        for sample in samples:
            item = items[sample.name]
            assert item.media.path.startswith(str(exported / split / "images"))
            index = index_mask(sample, version).values[0]
            classes = {names[value] for value in np.unique(index)}
            assert {labels[mask.label] for mask in item.annotations} == classes
            for mask in item.annotations:
                value = next(value for value, name in names.items() if name == labels[mask.label])
                np.testing.assert_array_equal(mask.image.astype(bool), index == value)


@pytest.mark.integration
def test_index_masks_keep_values_nodata_and_place(exported: Path, version: MadeVersion) -> None:
    for split in SPLITS:
        for sample in version.samples(split):
            with rasterio.open(exported / split / "index_masks" / f"{sample.name}.tif") as stored:
                np.testing.assert_array_equal(stored.read(), index_mask(sample, version).values)
                assert stored.dtypes == ("uint8",)
                assert stored.nodata == (255 if version.values == WITH_ZERO else 0)
                if version.georeferenced:
                    assert stored.crs == rasterio.CRS.from_user_input(CRS)
                    assert stored.transform == Affine(*sample.transform)


def test_label_map_and_colours_say_what_the_colour_masks_hold(exported: Path, version: MadeVersion) -> None:
    for split in SPLITS:
        meta = json.loads((exported / split / "dataset_meta.json").read_text())
        said = {int(value): name for value, name in meta["label_map"].items()}
        assert {value: said[value] for value in version.values.values()} == {
            value: label for label, value in version.values.items()
        }
        (unlabelled,) = set(said) - set(version.values.values())
        assert said[unlabelled] == ("unlabelled" if version.values == WITH_ZERO else "background")
        assert meta["background_label"] == str(unlabelled)
        colours = np.array([colour or [1, 1, 1] for colour in meta["segmentation_colors"]])
        for sample in version.samples(split):
            with Image.open(exported / split / "masks" / f"{sample.name}.png") as stored:
                assert stored.mode == "RGB"
                coloured = np.asarray(stored)
            np.testing.assert_array_equal(coloured, colours[index_mask(sample, version).values[0]])


@pytest.mark.integration
def test_images_are_there_for_every_mask(exported: Path, version: MadeVersion) -> None:
    for split in SPLITS:
        stems = {
            kind: {path.name.removesuffix(path.suffix) for path in (exported / split / kind).iterdir()}
            for kind in ("images", "masks", "index_masks")
        }
        assert stems["images"] == stems["masks"] == stems["index_masks"]
        assert len(stems["images"]) == version.counts[split]


def test_colours_of_many_classes_are_all_different(photos: MadeVersion) -> None:
    many = replace(photos, values={f"class {number}": number for number in range(2000)})
    colours = segmentation.class_colours(many)
    assert len(set(colours.values())) == 2001
    assert colours[65535] == (0, 0, 0)


def test_first_colours_are_those_of_pascal_voc(photos: MadeVersion) -> None:
    assert list(segmentation.class_colours(photos).values()) == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
    ]


def test_the_name_of_pixels_without_a_class_is_none_of_the_labels(photos: MadeVersion) -> None:
    for taken in (VALUES, {"background": 1}, {"background": 1, "unlabelled": 2, "no class": 3}):
        names = segmentation.class_names(replace(photos, values=taken))
        assert len(set(names.values())) == len(taken) + 1


@pytest.mark.integration
def test_a_split_without_images_has_no_folder(tmp_path: Path) -> None:
    from datumaro import Dataset  # with pandas and OpenCV, which take seconds

    version = photo_version(tmp_path, originals={"train": 2, "test": 0, "validation": 1})
    folder = tmp_path / "made"
    folder.mkdir()
    segmentation.write(version, folder)
    segmentation.check(version, folder)
    assert {path.name for path in folder.iterdir()} == {"train", "validation"}
    read = Dataset.import_from(str(folder), "common_semantic_segmentation_with_subset_dirs")
    assert {name: len(subset) for name, subset in read.subsets().items()} == {"train": 4, "validation": 1}


@pytest.mark.integration
def test_a_changed_pixel_of_either_mask_is_told(photos: MadeVersion, tmp_path: Path) -> None:
    segmentation.write(photos, tmp_path)
    for kind, told in (
        ("masks/train.höst 001.png", "classes"),
        ("index_masks/train.höst 001.tif", "values"),
    ):
        path = tmp_path / "train" / kind
        written = path.read_bytes()
        with rasterio.open(path, "r" if path.suffix == ".png" else "r+") as stored:
            pixels = stored.read()
            pixels[0, 5, 5] ^= 1
            if path.suffix == ".tif":
                stored.write(pixels)
        if path.suffix == ".png":
            Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
        with pytest.raises(ExportError, match=f"differs from the .*{told}"):
            segmentation.check(photos, tmp_path)
        path.write_bytes(written)
    segmentation.check(photos, tmp_path)


def test_only_images_are_media() -> None:
    paths = ("train/images/a.tif", "train/masks/a.png", "train/index_masks/a.tif", "train/dataset_meta.json")
    assert [segmentation.is_media(PurePosixPath(path)) for path in paths] == [True, False, False, False]
