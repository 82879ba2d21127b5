"""RAW: unchanged media in `data/`, and every annotation in `labels.json`.

Masks and measured values are GeoTIFFs in `masks/` and `targets/`, which `labels.json` refers to.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.json_stream import ListReader, ListWriter, read_around
from factory_pipeline.datasets.exports.media import (
    check_image,
    check_raster,
    image_suffix,
    write_image,
    write_raster,
)
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.datasets.model.version_content import VersionContent, all_samples

MEDIA, MASKS, TARGETS = "data", "masks", "targets"
LABELS = "labels.json"


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `data/`, `masks/`, `targets/` and `labels.json`."""
    with (folder / LABELS).open("w", encoding="ascii", newline="\n") as out:
        out.write('{"images": ')
        images = ListWriter(out)
        for sample in all_samples(version):
            write_media(version, sample, folder / MEDIA)
            for name, raster in rasters_of(sample):
                write_raster(folder / name, raster, sample)
            images.add(_entry(version, sample), sample.name)
        images.end()
        out.write("}\n")


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every file."""
    read_around(folder / LABELS)
    images = ListReader(folder / LABELS, "images")
    for sample in all_samples(version):
        images.expect(_entry(version, sample), sample.name)
        for tag, name in media_names(version, sample).items():
            check_image(folder / MEDIA / name, sample, tag)
        for name, raster in rasters_of(sample):
            check_raster(folder / name, raster, sample)
    images.expect_end()


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is in `data/`."""
    return path.parts[0] == MEDIA


def media_names(version: VersionContent, sample: Sample) -> dict[str, str]:
    """Return the name in `data/` of each image of a sample, by modality.

    With several it contains the modality.

    Args:
        version: that determines which images are written.
        sample: of the version.
    """
    return {tag: _stem(version, sample, tag) + image_suffix(sample, tag) for tag in _tags(version, sample)}


def write_media(version: VersionContent, sample: Sample, folder: Path) -> None:
    """Write all images of a sample into a folder.

    Args:
        version: that determines which images are written.
        sample: of the version.
        folder: made if it is missing.
    """
    for tag in _tags(version, sample):
        write_image(sample, tag, folder, _stem(version, sample, tag))


def _entry(version: VersionContent, sample: Sample) -> dict[str, Any]:
    names = media_names(version, sample)
    entry: dict[str, Any] = {
        "image": next(iter(names.values())),
        "split": sample.split,
        "original_name": sample.original_name or sample.name,
    }
    if len(version.modalities) > 1:
        entry["modalities"] = names
    entry["annotations"] = [*map(shape_record, sample.shapes), *_raster_annotations(version, sample)]
    return entry


def shape_record(shape: Shape) -> dict[str, Any]:
    """Return the record of a shape."""
    record: dict[str, Any] = {"type": str(shape.type)}
    if shape.type is AnnotationType.RECTANGLE:
        record["bbox"] = list(shape.bbox)
    else:
        record["polygon"] = _points(shape.rings[0])
        if len(shape.rings) > 1:
            record["holes"] = [_points(ring) for ring in shape.rings[1:]]
    record |= {"label": shape.label, "confidence": shape.confidence}
    return record | {"metadata": dict(shape.metadata), "attributes": dict(shape.attributes)}


def _points(ring: NDArray[Any]) -> list[list[float]]:
    points: list[list[float]] = ring.tolist()
    return points


def rasters_of(sample: Sample) -> list[tuple[str, SampleRaster]]:
    """Mask and target of a sample with the paths of their files."""
    named = ((_mask_path(sample), sample.mask), (_target_path(sample), sample.target))
    return [(name, raster) for name, raster in named if raster is not None]


def _mask_path(sample: Sample) -> str:
    return f"{MASKS}/{sample.name}.tif"


def _target_path(sample: Sample) -> str:
    return f"{TARGETS}/{sample.name}.tif"


def _raster_annotations(version: VersionContent, sample: Sample) -> Iterator[dict[str, Any]]:
    """Yield the annotations whose values are in rasters: each class of the mask, and the target."""
    if sample.mask is not None:
        for label, value in version.values.items():
            if (sample.mask.values == value).any():
                file = _mask_path(sample)
                yield {"type": str(AnnotationType.MASK), "label": label, "value": value, "file": file}
    if sample.target is not None:
        label = sample.target.bands[0]
        yield {"type": str(AnnotationType.RASTER), "label": label, "file": _target_path(sample)}


def _tags(version: VersionContent, sample: Sample) -> list[str]:
    """Return the modalities of a sample in the order of the version."""
    return [tag for tag in version.modalities if tag in sample.images]


def _stem(version: VersionContent, sample: Sample, tag: str) -> str:
    return f"{sample.name}_{tag}" if len(version.modalities) > 1 else sample.name
