"""What the label files of a release say of the samples: drawn objects and numbers, by class.

A sample is noted as it goes by, a line on the disk for each, as the form of all labels is known at the end
only: polygons, rectangles, 0 or 1, or numbers.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.features import shapes as regions

from factory_pipeline.datalake.ingest.releases.form import (
    ATTRIBUTES,
    CONFIDENCE,
    DATETIME,
    METADATA,
    ORDER,
    ORIGINAL_NAME,
    LabelCoordinates,
    MlType,
)
from factory_pipeline.datalake.ingest.releases.georeference import PIXEL_DIGITS, Georeference
from factory_pipeline.datalake.tables.schemas import GROUP, AnnotationType
from factory_pipeline.datasets.exports.clip_annotations import box_in_image, has_area, polygons_in_image
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError

Document = dict[str, Any]
OTHER_FORMATS = "export it as RAW or Croissant"
FORMATS_OF_RASTERS = "export it as HDF5, TerraTorch or RAW"


class LabelNotes:
    """Notes of all samples of a version, and the documents of the release that are made of them."""

    def __init__(self, version: VersionContent, coordinates: LabelCoordinates, folder: Path) -> None:
        """Begin; the notes are kept in a file without a name in `folder`."""
        self._version = version
        self._coordinates = coordinates
        self._lines = TemporaryFile("w+", dir=folder, encoding="ascii", newline="\n")  # noqa: SIM115
        self._types = _Types()
        self._bounds: list[float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def add(self, sample: Sample) -> None:
        """Note a sample.

        Raises:
            ExportError: it has an annotation that labels of releases have no form for.
        """
        place = _georeference(sample)
        height, width = sample.size
        objects = [*_shape_objects(sample), *_mask_objects(sample, self._version)]
        numbers = _numbers(sample)
        self._types.add(sample.name, objects, numbers, (width, height))
        outline = None if place is None else place.outline()
        if outline is not None:
            longitudes, latitudes = zip(*outline, strict=True)
            box = self._bounds or [longitudes[0], latitudes[0]] * 2
            self._bounds = [
                min(box[0], *longitudes),
                min(box[1], *latitudes),
                max(box[2], *longitudes),
                max(box[3], *latitudes),
            ]
        if place is not None and self._coordinates is LabelCoordinates.GEOGRAPHIC:
            for each in objects:
                each["rings"] = [place.to_degrees(np.array(ring)).tolist() for ring in each["rings"]]
        properties = {}
        if sample.original_name and sample.original_name != sample.name:
            properties[ORIGINAL_NAME] = sample.original_name
        if sample.acquired is not None:
            properties[DATETIME] = sample.acquired.isoformat()
        note = {
            "name": sample.name,
            "split": sample.split,
            "outline": outline,
            "objects": objects,
            "numbers": numbers,
            "properties": properties,
        }
        self._lines.write(_text(note, sample.name))

    @property
    def ml_type(self) -> MlType:
        """What the labels of all samples are for."""
        return self._types.ml_type

    @property
    def bounds(self) -> list[float] | None:
        """West, south, east, north of all samples in degrees; None if none is georeferenced."""
        return self._bounds

    def label_files(self) -> Iterator[tuple[str, bytes]]:
        """Give the name of each sample and the content of its label file, in their order."""
        for note in self._notes():
            document = {
                "type": "Feature",
                "geometry": _polygon(note["outline"]) if note["outline"] else {},
                "properties": {"label": self._label(note), **note["properties"]},
            }
            yield note["name"], _text(document, note["name"]).encode()

    def outlines(self) -> Iterator[bytes]:
        """Give the outlines of all samples as a FeatureCollection, piece by piece."""
        start = b'{"type":"FeatureCollection","features":['
        for note in self._notes():
            feature = {
                "type": "Feature",
                "id": note["name"],
                "geometry": _polygon(note["outline"]) if note["outline"] else None,
                "properties": {"id": note["name"], "split": note["split"]},
            }
            yield start + b"\n" + _text(feature, note["name"]).rstrip("\n").encode()
            start = b","
        yield (start if start != b"," else b"") + b"\n]}\n"

    def _notes(self) -> Iterator[Document]:
        self._lines.seek(0)
        for line in self._lines:
            yield json.loads(line)

    def _label(self, note: Document) -> Document:
        kind = self.ml_type
        label: Document = {}
        turns = [self._version.labels.index(each["label"]) for each in note["objects"]]
        if turns != sorted(turns):
            for position, each in enumerate(note["objects"]):
                each["members"][ORDER] = position
        for name in self._version.labels:
            objects = [each for each in note["objects"] if each["label"] == name]
            if kind is MlType.REGRESSION:
                label[name] = note["numbers"].get(name)
            elif kind is MlType.CLASSIFICATION:
                label[name] = int(bool(objects))
            else:
                label[name] = [_polygon(*each["rings"]) | each["members"] for each in objects]
        return label


class _Types:
    """Which form the labels of all samples have."""

    def __init__(self) -> None:
        self._number_of: str | None = None
        self._object_of: str | None = None
        self._all_whole = self._all_boxes = True

    def add(self, name: str, objects: list[Document], numbers: dict[str, Any], size: tuple[int, int]) -> None:
        self._number_of = self._number_of or (name if numbers else None)
        self._object_of = self._object_of or (name if objects else None)
        if self._number_of and (objects or not numbers):
            self._raise_mixed(name, bool(objects))
        if numbers and self._object_of:
            self._raise_mixed(self._object_of, True)
        whole = [[0.0, 0.0], [float(size[0]), 0.0], [*map(float, size)], [0.0, float(size[1])]]
        self._all_boxes &= all(each["is_box"] for each in objects)
        self._all_whole &= self._all_boxes and all(
            each["rings"] == [[*whole, whole[0]]] and not each["members"] for each in objects
        )
        self._all_whole &= max(Counter(each["label"] for each in objects).values(), default=1) == 1

    def _raise_mixed(self, name: str, has_objects: bool) -> None:
        has = "drawn labels or classes" if has_objects else "no measured value"
        raise ExportError(
            f"{name} has {has}, but other items have measured values; in a release every item has a number,"
            " or none has: choose labels of one kind, or leave that item out by a query."
        )

    @property
    def ml_type(self) -> MlType:
        if self._number_of:
            return MlType.REGRESSION
        if self._all_whole:
            return MlType.CLASSIFICATION
        return MlType.OBJECT_DETECTION if self._all_boxes else MlType.SEGMENTATION


def _georeference(sample: Sample) -> Georeference | None:
    """Return where a sample is; None if it has no place in longitude and latitude."""
    if sample.crs is None or sample.transform is None:
        return None
    height, width = sample.size
    found = Georeference(sample.crs, sample.transform, width, height)
    try:
        return found if np.isfinite(found.corners()).all() else None
    except ProjError:
        return None


def _shape_objects(sample: Sample) -> Iterator[Document]:
    """Yield the rectangles and polygons of a sample, cut at its edges, as closed rings of pixels."""
    height, width = sample.size
    for position, shape in enumerate(sample.shapes):
        if not has_area(shape):
            raise ExportError(
                f"{sample.name} has a line ({shape.label!r}), which labels of a release have no form for;"
                f" {OTHER_FORMATS}, or choose other labels."
            )
        if shape.type is AnnotationType.RECTANGLE:
            box = box_in_image(shape, height, width)
            rings = [] if box is None else [_box_ring(*box)]
            if rings:
                yield _object(shape, rings, {}, is_box=True)
            continue
        parts = polygons_in_image(shape, height, width)
        extra: Document = {} if len(parts) < 2 or shape.group is not None else {GROUP: position}
        for part in parts:
            lines = [part.exterior, *part.interiors]
            yield _object(shape, [_round_points(line.coords) for line in lines], extra)


def _object(
    shape: Shape, rings: list[list[list[float]]], extra: Document, *, is_box: bool = False
) -> Document:
    said = {
        CONFIDENCE: shape.confidence,
        METADATA: {**shape.metadata, **extra},
        ATTRIBUTES: dict(shape.attributes),
    }
    members = {name: value for name, value in said.items() if value not in (None, {})}
    return {"label": shape.label, "rings": rings, "is_box": is_box, "members": members}


def _mask_objects(sample: Sample, version: VersionContent) -> Iterator[Document]:
    """Yield the regions of each class in the mask of a sample, along the edges of its pixels."""
    if sample.mask is None:
        return
    classes = sample.mask.values[0]
    for label, value in version.values.items():
        is_it = classes == value
        if not is_it.any():
            continue
        for region, _ in regions(is_it.astype(np.uint8), mask=is_it, connectivity=4):
            rings = [_round_points(ring) for ring in region["coordinates"]]
            yield {"label": label, "rings": rings, "is_box": False, "members": {}}


def _numbers(sample: Sample) -> dict[str, float]:
    """Return the number of a sample whose measured values are one number.

    Raises:
        ExportError: they are several, or none.
    """
    if sample.target is None:
        return {}
    found = np.unique(_measured_values(sample.target))
    if found.size != 1:
        has = "no measured value" if not found.size else f"{found.size:,} different measured values"
        raise ExportError(
            f"{sample.name} has {has}; labels of a release hold one number per item, and have no form for a"
            f" raster of numbers: {FORMATS_OF_RASTERS}."
        )
    # The shortest text that is this number in its own type: 123.4 of a float32, not 123.4000015.
    value: Any = float(str(found[0])) if found.dtype.kind == "f" else int(found[0])
    return {sample.target.bands[0]: value}


def _measured_values(target: SampleRaster) -> NDArray[Any]:
    values = target.values
    valid = np.isfinite(values)
    if target.nodata is not None:
        valid &= values != target.nodata
    return values[valid]


def _box_ring(x: float, y: float, width: float, height: float) -> list[list[float]]:
    right, bottom = x + width, y + height
    return _round_points([(x, y), (right, y), (right, bottom), (x, bottom), (x, y)])


def _round_points(points: Any) -> list[list[float]]:
    # Adding 0 makes 0.0 of -0.0, which is another text.
    rounded: list[list[float]] = (np.asarray(points, np.float64)[:, :2].round(PIXEL_DIGITS) + 0.0).tolist()
    return rounded


def _polygon(*rings: list[list[float]]) -> Document:
    return {"type": "Polygon", "coordinates": list(rings)}


def _text(document: Document, name: str) -> str:
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"
    except (TypeError, ValueError) as error:
        raise ExportError(f"What is known of {name} can't be written as JSON: {error}.") from error
