"""Releases: a tar.gz of GeoTIFF images, a GeoJSON label file for each, and what is said of all of them.

`<name>-<version>.tar.gz` contains one folder of that name: `images/<id>.tif`, `labels/<id>.json`,
`bounds.geojson` and `meta.json`, in this order, as images are written while they are read. Labels are in
degrees where an image has a place on the Earth, else in pixels from the upper left corner.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any

from factory_pipeline.datalake.ingest.releases.form import (
    BANDS,
    BOUNDS,
    IMAGES,
    LABEL_COORDINATES,
    LABEL_SUFFIX,
    LABELS,
    META,
    MODALITY,
    RGB,
    LabelCoordinates,
)
from factory_pipeline.datasets.exports.media import (
    check_raster_bytes,
    geotiff_of,
    image_of,
    main_modality,
    raster_bytes,
)
from factory_pipeline.datasets.exports.release_labels import LabelNotes
from factory_pipeline.datasets.exports.tar_gz import TarGzWriter, read_back
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent, all_samples
from factory_pipeline.errors import ExportError
from factory_pipeline.storage.slug import slug

ENDING = ".tar.gz"


def write(version: VersionContent, folder: Path) -> None:
    """Write the release, labels in degrees where there is a place on the Earth.

    Args:
        version: what is exported.
        folder: of the release.
    """
    write_release(version, folder, LabelCoordinates.GEOGRAPHIC)


def check(version: VersionContent, folder: Path) -> None:
    """Read the release back.

    Args:
        version: what was exported.
        folder: of the release.
    """
    check_release(version, folder, LabelCoordinates.GEOGRAPHIC)


def is_media(path: PurePosixPath) -> bool:
    """Return whether it is the archive, which has images and labels in one file."""
    return path.name.endswith(ENDING)


def release_name(version: VersionContent) -> str:
    """Return the name of the archive without its ending, and of the folder in it.

    The slug of the dataset's name (small letters, digits and hyphens; a digest where letters can't be kept)
    and the number of the version.
    """
    return f"{slug(version.dataset)}-{version.number}"


def write_release(version: VersionContent, folder: Path, coordinates: LabelCoordinates) -> None:
    """Write a release, image by image.

    Args:
        version: what is exported.
        folder: of the release.
        coordinates: of labels on georeferenced images.

    Raises:
        ExportError: a release has no form for something that the version has.
    """
    with TarGzWriter(folder / f"{release_name(version)}{ENDING}") as archive:
        for member in _members(version, folder, coordinates):
            if member.image is not None:
                archive.add(member.name, raster_bytes(*member.image))
            else:
                archive.add_file(member.name, member.file, member.size)


def check_release(version: VersionContent, folder: Path, coordinates: LabelCoordinates) -> None:
    """Read a release back and compare it with the version.

    Args:
        version: what was exported.
        folder: of the release.
        coordinates: as it was written.

    Raises:
        ExportError: it differs.
    """
    with read_back(folder / f"{release_name(version)}{ENDING}") as archive:
        for member in _members(version, folder, coordinates):
            found = archive.expect(member.name)
            if member.image is not None:
                check_raster_bytes(found.read(), member.name, *member.image)
            else:
                found.compare(member.file)
        archive.expect_end()


@dataclass(frozen=True)
class _Member:
    """A file of a release: an image that is encoded, or bytes that are copied."""

    name: str
    file: IO[bytes] = field(default_factory=BytesIO)
    size: int = 0
    image: tuple[SampleRaster, Sample] | None = None

    @classmethod
    def of_bytes(cls, name: str, content: bytes) -> "_Member":
        return cls(name, BytesIO(content), len(content))


def _members(version: VersionContent, folder: Path, coordinates: LabelCoordinates) -> Iterator[_Member]:
    """Yield the files of a release in their order; each can be read until the next is asked for."""
    root = release_name(version)
    facts = _Facts(version)
    with LabelNotes(version, coordinates, folder) as notes:
        for sample in all_samples(version):
            modality = facts.add(sample)
            original = geotiff_of(sample, modality)
            name = f"{root}/{IMAGES}/{sample.name}.tif"
            if original is None:
                yield _Member(name, image=(image_of(sample, modality), sample))
            else:
                with original.open("rb") as file:
                    yield _Member(name, file, original.stat().st_size)
            notes.add(sample)
        for name, content in notes.label_files():
            yield _Member.of_bytes(f"{root}/{LABELS}/{name}{LABEL_SUFFIX}", content)
        with _outlines(notes, folder) as file:
            yield _Member(f"{root}/{BOUNDS[0]}", file, os.fstat(file.fileno()).st_size)
        yield _Member.of_bytes(f"{root}/{META}", _meta(version, notes, facts, coordinates))


class _Facts:
    """What all images of a release have in common, as the first one has it."""

    def __init__(self, version: VersionContent) -> None:
        self._version = version
        self.modality: str | None = None
        self.bands: tuple[str, ...] = ()
        self.rgb: tuple[int, ...] | None = None
        self._first: tuple[Any, ...] | None = None
        self._first_name = ""

    def add(self, sample: Sample) -> str:
        """Compare a sample with those before; give the modality of its image.

        Raises:
            ExportError: it differs in size, bands or type.
        """
        modality = main_modality(self._version, sample)
        image = image_of(sample, modality)
        found = (*image.values.shape, image.values.dtype.name)
        if self._first is None:
            self._first, self._first_name = found, sample.name
            self.modality, self.bands, self.rgb = modality, image.bands, image.rgb
        elif found != self._first:
            raise ExportError(
                f"In a release all images have one size, number of bands and type, but {sample.name} has"
                f" {_describe_image(found)} and {self._first_name} {_describe_image(self._first)};"
                " export as RAW or COCO, or leave the others out by a query."
            )
        return modality


def _describe_image(found: tuple[Any, ...]) -> str:
    bands, height, width, dtype = found
    return f"{width} x {height} pixels in {bands} bands of {dtype}"


def _meta(version: VersionContent, notes: LabelNotes, facts: _Facts, coordinates: LabelCoordinates) -> bytes:
    document = {
        "bbox": notes.bounds,
        "classes": list(version.labels),
        "mlType": notes.ml_type.value,
        "name": version.dataset,
        "nclasses": len(version.labels),
        "public": False,
        "source": facts.modality,
        "version": version.number,
        "s3_location": None,
        "source_url": None,
        LABEL_COORDINATES: coordinates.value,
        MODALITY: facts.modality,
        BANDS: list(facts.bands),
        RGB: None if facts.rgb is None else list(facts.rgb),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


@contextmanager
def _outlines(notes: LabelNotes, folder: Path) -> Iterator[IO[bytes]]:
    """Yield the outlines in a file without a name, as their length must be known before they are added."""
    with TemporaryFile(dir=folder) as file:
        file.writelines(notes.outlines())
        file.seek(0)
        yield file
