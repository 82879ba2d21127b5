"""YOLO Darknet, read back by Datumaro, and as darknet and Ultralytics resolve paths."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

from factory_pipeline.datasets.exports import yolo
from factory_pipeline.datasets.exports.clip_annotations import box_in_image, has_area
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.model.factories import HEIGHT, WIDTH, MadeVersion, photo_version

LISTED_AS = {"train": "train", "validation": "valid", "test": "test"}


@pytest.fixture(scope="module")
def exported(version: MadeVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yolo")
    yolo.write(version, folder)
    yolo.check(version, folder)
    return folder


@pytest.mark.integration
def test_datumaro_reads_every_image_with_its_boxes(exported: Path, version: MadeVersion) -> None:
    from datumaro import AnnotationType, Dataset  # with pandas and OpenCV, which take seconds

    read = Dataset.import_from(str(exported), "yolo")
    names = [label.name for label in read.categories()[AnnotationType.label]]
    assert names == list(version.labels)
    for split in SPLITS:
        items = {item.id: item for item in read.get_subset(LISTED_AS[split])}
        samples = list(version.samples(split))
        assert set(items) == {sample.name for sample in samples}
        for sample in samples:
            boxes = items[sample.name].annotations
            drawn = [shape for shape in sample.shapes if has_area(shape)]
            assert [names[box.label] for box in boxes] == [shape.label for shape in drawn]
            for box, shape in zip(boxes, drawn, strict=True):
                expected = box_in_image(shape, HEIGHT, WIDTH)
                np.testing.assert_allclose(box.get_bbox(), expected, atol=1e-6)


def test_a_background_image_has_an_empty_text_file_beside_it(exported: Path, version: MadeVersion) -> None:
    for split in SPLITS:
        for sample in version.samples(split):
            text = exported / f"obj_{LISTED_AS[split]}_data" / f"{sample.name}.txt"
            assert text.is_file()
            assert (text.stat().st_size == 0) is not any(map(has_area, sample.shapes))


def test_a_copy_of_the_data_set_is_read_from_any_folder(exported: Path, version: MadeVersion) -> None:
    """As Ultralytics does: lists beside `data.yaml`, `./` in them stands for their folder, a label file has
    the name of its image."""
    described = yaml.safe_load((exported / "data.yaml").read_text())
    assert "path" not in described
    assert described["names"] == list(version.labels)
    assert described["nc"] == len(version.labels)
    for key, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        listed = (exported / described[key]).read_text(encoding="utf-8").splitlines()
        images = [Path(line.replace("./", f"{exported}/")) for line in listed]
        assert [image.stem for image in images] == [sample.name for sample in version.samples(split)]
        assert all(image.is_file() and image.with_suffix(".txt").is_file() for image in images)


def test_darknet_finds_lists_and_names_from_the_folder_that_it_runs_in(
    exported: Path, version: MadeVersion
) -> None:
    lines = (exported / "obj.data").read_text().splitlines()
    described = dict(line.split(" = ") for line in lines)
    assert list(described) == ["classes", "train", "valid", "test", "names", "backup"]
    assert int(described["classes"]) == len(version.labels)
    assert (exported / described["names"]).read_text(encoding="utf-8").splitlines() == list(version.labels)
    for key in ("train", "valid", "test"):
        for line in (exported / described[key]).read_text(encoding="utf-8").splitlines():
            assert (exported / line).is_file()


def test_boxes_are_fractions_of_the_image(exported: Path) -> None:
    lines = [line.split() for path in exported.glob("obj_*/*.txt") for line in path.read_text().splitlines()]
    assert lines
    for number, *box in lines:
        assert number.isdigit()
        x, y, w, h = map(float, box)
        assert -1e-9 <= x - w / 2 <= x + w / 2 <= 1 + 1e-9
        assert -1e-9 <= y - h / 2 <= y + h / 2 <= 1 + 1e-9
        assert all(0 <= float(part) <= 1 for part in box)
        assert all("e" not in part and len(part.split(".")[1]) >= 6 for part in box)


@pytest.mark.integration
def test_originals_keep_their_bytes_and_their_place_on_earth(exported: Path, version: MadeVersion) -> None:
    for sample in version.samples("test"):
        (original,) = sample.files.values()
        path = exported / "obj_test_data" / f"{sample.name}{original.suffix}"
        assert path.read_bytes() == original.read_bytes()
        if sample.transform is not None:
            with rasterio.open(path) as stored:
                assert stored.transform == Affine(*sample.transform)


def test_a_split_without_images_has_an_empty_list(tmp_path: Path) -> None:
    version = photo_version(tmp_path, originals={"train": 2, "test": 0, "validation": 0})
    (tmp_path / "made").mkdir()
    yolo.write(version, tmp_path / "made")
    yolo.check(version, tmp_path / "made")
    assert (tmp_path / "made" / "valid.txt").read_bytes() == b""


@pytest.mark.parametrize("label", ["two\nlines", " indented", ""])
def test_a_label_that_is_no_line_is_refused(tmp_path: Path, label: str) -> None:
    version = photo_version(tmp_path, samples=2, values={label: 1, "b": 2, "c": 3})
    with pytest.raises(ExportError, match=r"can't be a line of obj.names"):
        yolo.write(version, tmp_path)


def test_files_that_are_not_what_was_written_are_told(photos: MadeVersion, tmp_path: Path) -> None:
    yolo.write(photos, tmp_path)
    boxes = tmp_path / "obj_train_data" / "train.höst 001.txt"
    for path, text, told in (
        (boxes, "", "differs from the boxes of train.höst 001"),
        (boxes, boxes.read_text().replace("0.156", "0.157"), "differs from the boxes"),
        (boxes, boxes.read_text().replace("0 0.1", "2 0.1"), "differs from the boxes"),
        (tmp_path / "train.txt", "", r"train.höst 000 is missing in train.txt"),
        (
            tmp_path / "test.txt",
            (tmp_path / "test.txt").read_text() * 2,
            "lists more images than the version",
        ),
        (tmp_path / "obj.names", "road\n", r"obj.names differs when"),
    ):
        written = path.read_text()
        path.write_text(text)
        with pytest.raises(ExportError, match=told):
            yolo.check(photos, tmp_path)
        path.write_text(written)
    yolo.check(photos, tmp_path)


def test_images_and_their_georeferencing_are_media() -> None:
    paths = (
        "obj_train_data/a.tif",
        "obj_train_data/a.png.aux.xml",
        "obj_train_data/a.txt",
        "obj.names",
        "train.txt",
    )
    assert [yolo.is_media(PurePosixPath(path)) for path in paths] == [True, True, False, False, False]
