"""Semantic Segmentation: images, masks in colours, and masks of class values, a folder per split.

Each split folder is a data set of the layout that OpenVINO and Datumaro call common semantic segmentation:
https://openvinotoolkit.github.io/datumaro/latest/docs/data-formats/formats/common_semantic_segmentation.html.
`index_masks/` beside it contains the class values.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datasets.exports.media import (
    check_image,
    check_raster,
    image_suffix,
    main_modality,
    write_image,
    write_raster,
)
from factory_pipeline.datasets.exports.rasterize import index_mask, unlabelled_value
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.open_raster import open_raster
from factory_pipeline.splits.names import SPLITS

META = "dataset_meta.json"
IMAGES, MASKS, INDEX_MASKS = "images", "masks", "index_masks"

Colour = tuple[int, int, int]


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: for every split images, masks, and the meaning of their values and colours."""
    palette = class_colours(version)
    table = _colour_table(palette)
    for split in SPLITS:
        for number, sample in enumerate(version.samples(split)):
            if number == 0:
                _write_meta(version, palette, folder / split)
            write_image(sample, main_modality(version, sample), folder / split / IMAGES)
            index = index_mask(sample, version)
            write_raster(_index_path(folder, sample), index, sample)
            coloured = SampleRaster(table[index.values[0]].transpose(2, 0, 1), ("red", "green", "blue"))
            write_raster(_colour_path(folder, sample), coloured, sample)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: colour and value of every pixel must have the same class."""
    for split in SPLITS:
        values_by_colour: dict[Colour, int] = {}
        for sample in version.samples(split):
            values_by_colour = values_by_colour or _read_meta(folder / split)
            modality = main_modality(version, sample)
            name = sample.name + image_suffix(sample, modality)
            check_image(folder / split / IMAGES / name, sample, modality)
            index = index_mask(sample, version)
            check_raster(_index_path(folder, sample), index, sample)
            _check_colours(_colour_path(folder, sample), index, values_by_colour)


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is in `images/` of a split."""
    return len(path.parts) > 2 and path.parts[1] == IMAGES


def class_names(version: VersionContent) -> dict[int, str]:
    """Return the name of every value of a mask, that of pixels without a class first."""
    unlabelled = unlabelled_value(version.values)
    free = (
        "background" if unlabelled == 0 else "unlabelled",
        "unlabelled",
        "no class",
        "none of the classes",
    )
    name = next(each for each in free if each not in version.labels)
    return {unlabelled: name, **{version.values[label]: label for label in version.labels}}


def class_colours(version: VersionContent) -> dict[int, Colour]:
    """Return the colour of every value.

    Pixels of no class are black; the others have the colours of PASCAL VOC, in the order of the labels.
    """
    return {value: _voc_colour(number) for number, value in enumerate(class_names(version))}


def _voc_colour(number: int) -> Colour:
    """Return the colour of a class in PASCAL VOC's colour map.

    The bits of its number are dealt out to red, green and blue from the highest bit down. The colour is
    different for every number below 2 ** 24.
    """
    channels = [0, 0, 0]
    for bit in range(24):
        channels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


def _colour_table(palette: dict[int, Colour]) -> NDArray[np.uint8]:
    """Return the colour of every value, (largest value + 1, 3)."""
    table = np.zeros((max(palette) + 1, 3), np.uint8)
    for value, colour in palette.items():
        table[value] = colour
    return table


def _write_meta(version: VersionContent, palette: dict[int, Colour], folder: Path) -> None:
    folder.mkdir()
    names = class_names(version)
    # Readers index the colours by value, so values without a class are filled by null.
    colours = [list(palette[value]) if value in palette else None for value in range(max(palette) + 1)]
    unlabelled = unlabelled_value(version.values)
    meta: dict[str, Any] = {
        "label_map": {str(value): name for value, name in names.items()},
        "segmentation_colors": colours,
        "background_label": str(unlabelled),
    }
    (folder / META).write_text(json.dumps(meta) + "\n", encoding="ascii", newline="\n")


def _read_meta(folder: Path) -> dict[Colour, int]:
    """Return the value of each colour."""
    try:
        meta = json.loads((folder / META).read_text(encoding="ascii"))
        values = [int(value) for value in meta["label_map"]]
        return {tuple(meta["segmentation_colors"][value]): value for value in values}
    except (ValueError, KeyError, IndexError) as error:
        raise ExportError(f"{META} was written, but can't be read back: {error}.") from error


def _check_colours(path: Path, index: SampleRaster, values_by_colour: dict[Colour, int]) -> None:
    with open_raster(path) as stored:
        read = stored.read()
    values = np.full(index.values.shape[1:], -1)
    for colour, value in values_by_colour.items():
        values[(read == np.array(colour)[:, None, None]).all(axis=0)] = value
    if not np.array_equal(values, index.values[0]):
        raise ExportError(f"{path.name} differs from the classes of the version when it is read back.")


def _index_path(folder: Path, sample: Sample) -> Path:
    return folder / sample.split / INDEX_MASKS / f"{sample.name}.tif"


def _colour_path(folder: Path, sample: Sample) -> Path:
    return folder / sample.split / MASKS / f"{sample.name}.png"
