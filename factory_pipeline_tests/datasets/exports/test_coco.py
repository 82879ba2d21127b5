"""COCO, read back by pycocotools and Datumaro."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pycocotools import mask as runs
from pycocotools.coco import COCO
from rasterio.features import rasterize

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports import coco
from factory_pipeline.datasets.exports.clip_annotations import outline
from factory_pipeline.datasets.model.sample import Sample, Shape
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.model.factories import HEIGHT, WIDTH, MadeVersion, photo_version


@pytest.fixture(scope="module")
def exported(version: MadeVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    coco.write(version, folder)
    coco.check(version, folder)
    return folder


def read(folder: Path, split: str) -> COCO:
    return COCO(str(folder / "annotations" / f"instances_{split}.json"))


def annotations_by_name(opened: COCO) -> dict[str, list[dict]]:
    return {
        image["file_name"]: opened.loadAnns(opened.getAnnIds(imgIds=[number]))
        for number, image in opened.imgs.items()
    }


def with_area(sample: Sample) -> list[Shape]:
    return [shape for shape in sample.shapes if shape.type is not AnnotationType.LINE]


def test_pycocotools_finds_every_image_and_the_background_images_without_annotations(
    exported: Path, version: MadeVersion
) -> None:
    for split in SPLITS:
        found = annotations_by_name(read(exported, split))
        samples = {f"{sample.name}{version._suffix}": sample for sample in version.samples(split)}
        assert set(found) == set(samples)
        assert {path.name for path in (exported / "images" / split).iterdir()} == set(samples)
        for name, sample in samples.items():
            instances = [each for each in found[name] if not each["iscrowd"]]
            assert len(instances) == len(with_area(sample))
            assert bool(found[name]) is bool(with_area(sample) or sample.mask)


def test_categories_are_the_labels_in_order_and_ids_are_unique(exported: Path, version: MadeVersion) -> None:
    image_ids, annotation_ids = [], []
    for split in SPLITS:
        opened = read(exported, split)
        categories = opened.loadCats(opened.getCatIds())
        assert [each["name"] for each in categories] == list(version.labels)
        assert [each["id"] for each in categories] == [1, 2, 3]
        image_ids += list(opened.imgs)
        annotation_ids += list(opened.anns)
    assert image_ids == list(range(1, len(image_ids) + 1))
    assert annotation_ids == list(range(1, len(annotation_ids) + 1))


def test_boxes_areas_and_segmentations_of_instances(exported: Path, version: MadeVersion) -> None:
    image_box = shapely.box(0, 0, WIDTH, HEIGHT)
    for split in SPLITS:
        opened = read(exported, split)
        found = annotations_by_name(opened)
        for sample in version.samples(split):
            instances = [a for a in found[f"{sample.name}{version._suffix}"] if not a["iscrowd"]]
            for annotation, shape in zip(instances, with_area(sample), strict=True):
                inside = shapely.intersection(outline(shape), image_box)
                left, top, right, bottom = inside.bounds
                assert annotation["bbox"] == [left, top, right - left, bottom - top]
                assert annotation["area"] == pytest.approx(inside.area)
                assert version.labels[annotation["category_id"] - 1] == shape.label
                if shape.type is AnnotationType.RECTANGLE:
                    assert annotation["segmentation"] == []
                    continue
                pixels = opened.annToMask(annotation).astype(bool)
                # pycocotools draws polygons on a grid of its own, half a pixel of the edge may differ.
                edge = shapely.buffer(inside.boundary, 1.0)
                rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
                sure = ~shapely.contains_xy(edge, columns, rows)
                np.testing.assert_array_equal(pixels[sure], shapely.contains_xy(inside, columns, rows)[sure])


def test_a_polygon_with_a_hole_is_its_pixels_without_the_hole(exported: Path, version: MadeVersion) -> None:
    opened = read(exported, "test")
    sample = list(version.samples("test"))[1]
    shape = next(shape for shape in sample.shapes if len(shape.rings) == 2)
    found = annotations_by_name(opened)[f"{sample.name}{version._suffix}"]
    annotation = next(
        each for each in found if isinstance(each["segmentation"], dict) and not each["iscrowd"]
    )
    expected = rasterize([outline(shape)], out_shape=(HEIGHT, WIDTH))
    np.testing.assert_array_equal(opened.annToMask(annotation), expected)
    assert annotation["area"] == 20 * 13 - 8 * 6 == runs.area(opened.annToRLE(annotation))


def test_each_class_of_a_mask_is_a_crowd_of_exactly_its_pixels(exported: Path, version: MadeVersion) -> None:
    for split in SPLITS:
        opened = read(exported, split)
        found = annotations_by_name(opened)
        for sample in version.samples(split):
            crowds = [each for each in found[f"{sample.name}{version._suffix}"] if each["iscrowd"]]
            if sample.mask is None:
                assert crowds == []
                continue
            classes = {version.values[version.labels[each["category_id"] - 1]]: each for each in crowds}
            assert set(classes) == set(np.unique(sample.mask.values)) - {sample.mask.nodata}
            for value, annotation in classes.items():
                np.testing.assert_array_equal(opened.annToMask(annotation), sample.mask.values[0] == value)
                encoded = opened.annToRLE(annotation)
                assert annotation["area"] == runs.area(encoded)
                assert annotation["bbox"] == runs.toBbox(encoded).tolist()


@pytest.mark.integration
def test_datumaro_reads_the_same_number_of_annotations(exported: Path, version: MadeVersion) -> None:
    from datumaro import Dataset  # with pandas and OpenCV, which take seconds

    dataset = Dataset.import_from(str(exported), "coco_instances")
    for split in SPLITS:
        items = {item.id: item for item in dataset.get_subset(split)}
        for sample in version.samples(split):
            classes = 0 if sample.mask is None else len(np.unique(sample.mask.values)) - 1
            assert len(items[sample.name].annotations) >= len(with_area(sample)) + classes
            assert Path(items[sample.name].media.path).is_file()


def test_score_attributes_and_time_are_kept(exported: Path, version: MadeVersion) -> None:
    document = json.loads((exported / "annotations" / "instances_train.json").read_text())
    assert document["info"] == {"description": version.dataset, "version": version.number}
    assert document["images"][2]["date_captured"] == "2024-03-01T01:30:00+00:00"
    assert document["annotations"][0]["score"] == 0.75
    assert document["annotations"][1]["attributes"] == {"occluded": False}


def test_images_keep_their_place_on_earth(exported: Path, version: MadeVersion) -> None:
    for sample in version.samples("train"):
        if sample.transform is not None:
            with rasterio.open(exported / "images" / "train" / f"{sample.name}.tif") as stored:
                assert stored.transform == Affine(*sample.transform)


def test_a_polygon_cut_in_two_is_one_annotation() -> None:
    fork = [(40, 5), (60, 5), (60, 35), (40, 35), (40, 25), (55, 25), (55, 15), (40, 15)]
    shape = Shape(AnnotationType.POLYGON, "road", (40, 5, 20, 30), (np.array(fork, float),))
    record = coco._instance([shape], HEIGHT, WIDTH)
    assert record is not None
    assert len(record["segmentation"]) == 2
    assert record["area"] == 160
    assert record["bbox"] == [40, 5, 8, 30]


def test_a_split_without_images_has_a_json_without_any(tmp_path: Path) -> None:
    version = photo_version(tmp_path, originals={"train": 2, "test": 0, "validation": 0})
    (tmp_path / "made").mkdir()
    coco.write(version, tmp_path / "made")
    coco.check(version, tmp_path / "made")
    assert read(tmp_path / "made", "validation").getImgIds() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"area": 76.125', '"area": 76.126'),
        ('"counts": [', '"counts": [0, 1, '),
        ('"name": "road"', '"name": "rail"'),
        ('"file_name": "test.h\\u00f6st 002.png"', '"file_name": "test.h\\u00f6st 001.png"'),
        ('"annotations": [', '"annotations": [\n{},'),
        ("}\n]}", "},\n{}\n]}"),
        ('"licenses": []', '"licenses": ['),
    ],
)
def test_a_json_that_is_not_what_was_written_is_told(
    photos: MadeVersion, tmp_path: Path, old: str, new: str
) -> None:
    coco.write(photos, tmp_path)
    path = tmp_path / "annotations" / "instances_test.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ExportError, match=r"instances_test.json"):
        coco.check(photos, tmp_path)


def test_what_json_can_not_hold_is_told(photos: MadeVersion, tmp_path: Path) -> None:
    class Strange(MadeVersion):
        def samples(self, split):  # type: ignore[no-untyped-def]
            shape = Shape(AnnotationType.RECTANGLE, "road", (0, 0, 9, 9), confidence=float("nan"))
            return (replace(sample, shapes=(shape,)) for sample in super().samples(split))

    strange = Strange(photos.folder, photos.modalities, photos.originals, georeferenced=False)
    with pytest.raises(ExportError, match=r"The record of train.höst 000 can't be written as JSON"):
        coco.write(strange, tmp_path)


def test_only_images_are_media() -> None:
    paths = ("images/train/a.tif", "annotations/instances_train.json")
    assert [coco.is_media(PurePosixPath(path)) for path in paths] == [True, False]
