"""COCO: images and instances by split, one JSON per split (https://cocodataset.org/#format-data).

A rectangle has a box and no segmentation. A polygon is written by its points; one with holes, which COCO
polygons can't represent, by the runs of its pixels. The pixels of one class in a mask are any number of
objects, which COCO calls a crowd.
"""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import Polygon, union_all

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.clip_annotations import box_in_image, has_area, polygons_in_image
from factory_pipeline.datasets.exports.clip_annotations import outline as _outline_of
from factory_pipeline.datasets.exports.group_shapes import group_shapes
from factory_pipeline.datasets.exports.json_stream import ListReader, ListWriter, Record, read_around
from factory_pipeline.datasets.exports.media import check_image, image_suffix, main_modality, write_image
from factory_pipeline.datasets.model.sample import Sample, Shape
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.imagery.coco_rle import decode_counts, encode_counts
from factory_pipeline.splits.names import SPLITS

IMAGES, ANNOTATIONS = "images", "annotations"


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: the images and a JSON of every split."""
    (folder / ANNOTATIONS).mkdir()
    records = _Records(version)
    for split in SPLITS:
        _write_split(version, split, records, folder)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: the images and every record."""
    records = _Records(version)
    for split in SPLITS:
        _check_split(version, split, records, folder)


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is in `images/`."""
    return path.parts[0] == IMAGES


def _write_split(version: VersionContent, split: str, records: "_Records", folder: Path) -> None:
    with (
        _instances(folder, split).open("w", encoding="ascii", newline="\n") as out,
        # The second list of the file is buffered on disk: it may be larger than memory.
        TemporaryFile("w+", dir=folder, encoding="ascii", newline="\n") as waiting,
    ):
        head = "".join(f'"{key}": {json.dumps(value)},\n' for key, value in _head(version).items())
        out.write(f'{{{head}"images": ')
        images, annotations = ListWriter(out), ListWriter(waiting)
        for sample in version.samples(split):
            write_image(sample, main_modality(version, sample), folder / IMAGES / split)
            image = records.image(sample)
            images.add(image, sample.name)
            for annotation in records.annotations(sample, image["id"]):
                annotations.add(annotation, sample.name)
        images.end()
        annotations.end()
        out.write(',\n"annotations": ')
        waiting.seek(0)
        out.writelines(waiting)
        out.write("}\n")


def _check_split(version: VersionContent, split: str, records: "_Records", folder: Path) -> None:
    path = _instances(folder, split)
    if read_around(path) != {**_head(version), "images": [], "annotations": []}:
        raise ExportError(f"{path.name} differs from the categories of the version when it is read back.")
    images, annotations = ListReader(path, "images"), ListReader(path, "annotations")
    for sample in version.samples(split):
        image = images.expect(records.image(sample), sample.name)
        modality = main_modality(version, sample)
        check_image(folder / IMAGES / split / image["file_name"], sample, modality)
        for annotation in records.annotations(sample, image["id"]):
            _check_runs(annotations.expect(annotation, sample.name), sample)
    images.expect_end()
    annotations.expect_end()


def _check_runs(read: Record, sample: Sample) -> None:
    runs = read["segmentation"]
    if read["iscrowd"] and (
        not isinstance(runs, dict) or decode_counts(runs["counts"], *runs["size"]).sum() != read["area"]
    ):
        raise ExportError(f"The mask of {sample.name} differs in pixels when it is read back.")


def _instances(folder: Path, split: str) -> Path:
    return folder / ANNOTATIONS / f"instances_{split}.json"


def _head(version: VersionContent) -> Record:
    categories = [
        {"id": number, "name": label, "supercategory": ""}
        for number, label in enumerate(version.labels, start=1)
    ]
    info = {"description": version.dataset, "version": version.number}
    return {"info": info, "licenses": [], "categories": categories}


class _Records:
    """The records of the JSON files; ids continue from split to split."""

    def __init__(self, version: VersionContent) -> None:
        self._version = version
        self._values = version.values
        self._categories = {label: number for number, label in enumerate(version.labels, start=1)}
        self._image_ids, self._annotation_ids = count(1), count(1)

    def image(self, sample: Sample) -> Record:
        height, width = sample.size
        record: Record = {
            "id": next(self._image_ids),
            "file_name": sample.name + image_suffix(sample, main_modality(self._version, sample)),
            "height": height,
            "width": width,
            "original_name": sample.original_name or sample.name,
        }
        if sample.acquired is not None:
            record["date_captured"] = sample.acquired.isoformat()
        return record

    def annotations(self, sample: Sample, image: int) -> Iterator[Record]:
        for parts in group_shapes(sample):
            found = _instance([part for part in parts if has_area(part)], *sample.size)
            if found is not None:
                yield self._annotation(image, parts[0].label, found) | _extra_fields(parts[0])
        if sample.mask is not None:
            for label, value in self._values.items():
                pixels = sample.mask.values[0] == value
                if pixels.any():
                    yield self._annotation(image, label, _crowd(pixels))

    def _annotation(self, image: int, label: str, found: Record) -> Record:
        number = next(self._annotation_ids)
        return {"id": number, "image_id": image, "category_id": self._categories[label], **found}


def _instance(shapes: list[Shape], height: int, width: int) -> Record | None:
    """Return box, area and segmentation of an object in the image; None if it has no area there.

    The object is a rectangle or one or more parts that are polygons.
    """
    if any(shape.is_crowd for shape in shapes):
        return _crowd_of(shapes, height, width)
    if len(shapes) == 1 and shapes[0].type is AnnotationType.RECTANGLE:
        box = box_in_image(shapes[0], height, width)
        if box is None:
            return None
        return {"bbox": list(box), "area": box[2] * box[3], "iscrowd": 0, "segmentation": []}
    parts = [part for shape in shapes for part in polygons_in_image(shape, height, width)]
    if not parts:
        return None
    bounds = np.array([part.bounds for part in parts])
    (left, top), (right, bottom) = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    return {
        "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
        # Parts of one shape are separate; those of several may overlap.
        "area": float(sum(part.area for part in parts) if len(shapes) == 1 else union_all(parts).area),
        "iscrowd": 0,
        "segmentation": _segmentation(parts, height, width),
    }


def _segmentation(parts: list[Polygon], height: int, width: int) -> Any:
    if any(part.interiors for part in parts):
        return encode_counts(rasterize(parts, out_shape=(height, width), dtype="uint8").astype(bool))
    return [np.array(part.exterior.coords)[:-1].ravel().tolist() for part in parts]


def _crowd_of(shapes: list[Shape], height: int, width: int) -> Record | None:
    """Return a crowd that is drawn as COCO's runs of pixels; None if it covers no pixel centre."""
    outlines = [outline for shape in shapes if (outline := _outline_of(shape)) is not None]
    if not outlines:
        return None
    pixels = rasterize(outlines, out_shape=(height, width), dtype="uint8").astype(bool)
    return _crowd(pixels) if pixels.any() else None


def _crowd(pixels: NDArray[np.bool_]) -> Record:
    """Return box, area and runs of the pixels of a class."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(np.count_nonzero(pixels)),
        "iscrowd": 1,
        "segmentation": encode_counts(pixels),
    }


def _extra_fields(shape: Shape) -> Record:
    """Return the score and attributes of an annotation, if it has any; other readers ignore them."""
    said: Record = {}
    if shape.confidence is not None:
        said["score"] = shape.confidence
    if shape.attributes:
        said["attributes"] = dict(shape.attributes)
    return said
