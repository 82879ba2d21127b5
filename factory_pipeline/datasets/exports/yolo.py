"""YOLO Darknet: images, each with a text file of boxes, lists of images, and names of classes.

The format is described at https://pjreddie.com/darknet/yolo, and with `obj.data`, `obj.names` in
https://github.com/AlexeyAB/darknet. Paths in the lists start with `./`: darknet resolves them from the folder
that it runs in, others from the folder of the list.
"""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

from factory_pipeline.datasets.exports.clip_annotations import Box, box_in_image, has_area
from factory_pipeline.datasets.exports.group_shapes import group_shapes
from factory_pipeline.datasets.exports.media import check_image, image_suffix, main_modality, write_image
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS

NAMES, DATA, YAML = "obj.names", "obj.data", "data.yaml"
_LISTED_AS = {"train": "train", "validation": "valid", "test": "test"}
_DECIMALS = 10
"""Digits of a fraction of the image: finer than a millionth of a pixel in any image."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: the images with their boxes, the lists and the descriptions of the data set."""
    _write_descriptions(version, folder)
    for split in SPLITS:
        with _list(folder, split).open("w", encoding="utf-8", newline="\n") as listed:
            for sample in version.samples(split):
                images = folder / _images(split)
                name = write_image(sample, main_modality(version, sample), images)
                lines = [_line(*each) for each in _boxes(version, sample)]
                (images / f"{sample.name}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
                listed.write(f"./{_images(split)}/{name}\n")


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: lists, images and boxes."""
    if (folder / NAMES).read_text(encoding="utf-8").splitlines() != list(version.labels):
        raise ExportError(f"{NAMES} differs when it is read back.")
    for split in SPLITS:
        with _list(folder, split).open(encoding="utf-8") as listed:
            for sample in version.samples(split):
                modality = main_modality(version, sample)
                path = folder / listed.readline().rstrip("\n")
                if path.name != sample.name + image_suffix(sample, modality):
                    raise ExportError(f"{sample.name} is missing in {_list(folder, split).name}.")
                check_image(path, sample, modality)
                _check_boxes(path.with_name(f"{sample.name}.txt"), version, sample)
            if listed.readline():
                raise ExportError(f"{_list(folder, split).name} lists more images than the version has.")


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is an image."""
    return len(path.parts) > 1 and path.suffix != ".txt"


def _list(folder: Path, split: str) -> Path:
    return folder / f"{_LISTED_AS[split]}.txt"


def _images(split: str) -> str:
    return f"obj_{_LISTED_AS[split]}_data"


def _write_descriptions(version: VersionContent, folder: Path) -> None:
    for label in version.labels:
        if not can_be_a_line(label):
            raise ExportError(
                f"The label {label!r} can't be a line of {NAMES}; for YOLO Darknet a label must be one line, "
                "without space around it."
            )
    lists = {name: f"{name}.txt" for name in ("train", "valid", "test")}
    data = {"classes": len(version.labels), **lists, "names": NAMES, "backup": "backup/"}
    lines = "".join(f"{key} = {value}\n" for key, value in data.items())
    (folder / DATA).write_text(lines, encoding="utf-8", newline="\n")
    names = "".join(f"{label}\n" for label in version.labels)
    (folder / NAMES).write_text(names, encoding="utf-8", newline="\n")
    description = {
        "train": lists["train"],
        "val": lists["valid"],
        "test": lists["test"],
        "nc": len(version.labels),
        "names": list(version.labels),
    }
    # Without `path`, readers start from the folder of this file, wherever it is.
    text = yaml.safe_dump(description, sort_keys=False)
    (folder / YAML).write_text(text, encoding="utf-8", newline="\n")


def can_be_a_line(label: str) -> bool:
    """Return whether a label can be a line of `obj.names`."""
    return label == label.strip() and len(label.splitlines()) == 1


def _boxes(version: VersionContent, sample: Sample) -> Iterator[tuple[int, Box]]:
    """Yield class and box of each object: centre, width and height as fractions of the image; no crowds."""
    height, width = sample.size
    for parts in group_shapes(sample):
        found = [box_in_image(part, height, width) for part in parts if has_area(part) and not part.is_crowd]
        boxes = [box for box in found if box is not None]
        if boxes:
            x, y = min(box[0] for box in boxes), min(box[1] for box in boxes)
            w, h = max(box[0] + box[2] for box in boxes) - x, max(box[1] + box[3] for box in boxes) - y
            middle = (x + w / 2) / width, (y + h / 2) / height
            yield version.labels.index(parts[0].label), (*middle, w / width, h / height)


def _line(number: int, box: Box) -> str:
    return " ".join([str(number), *(f"{part:.{_DECIMALS}f}" for part in box)]) + "\n"


def _check_boxes(path: Path, version: VersionContent, sample: Sample) -> None:
    read = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    expected = list(_boxes(version, sample))
    same = len(read) == len(expected) and all(
        fields[0] == str(number) and _is_same_box(fields[1:], box)
        for fields, (number, box) in zip(read, expected, strict=True)
    )
    if not same:
        raise ExportError(f"{path.name} differs from the boxes of {sample.name} when it is read back.")


def _is_same_box(fields: list[str], box: Box) -> bool:
    read = [float(field) for field in fields]
    return len(read) == len(box) and all(
        0 <= part <= 1 and math.isclose(part, expected, abs_tol=10**-_DECIMALS)
        for part, expected in zip(read, box, strict=True)
    )
