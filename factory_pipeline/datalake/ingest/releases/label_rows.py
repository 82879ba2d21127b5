"""The labels of a release as annotations of the lake."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datalake.ingest.json_input import json_object
from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.georeference import PIXEL_DIGITS, Georeference
from factory_pipeline.datalake.ingest.releases.label_file import DrawnObject, LabelFile, Ring
from factory_pipeline.datalake.ingest.releases.pair_facts import BOX_PIXELS, box_of
from factory_pipeline.datalake.tables.schemas import GROUP, AnnotationType

Row = dict[str, Any]


@dataclass(frozen=True)
class LabelReader:
    """Turns label files into rows of annotations, as was decided for the whole release."""

    ml_type: MlType
    coordinates: LabelCoordinates

    def rows(
        self, item: str, labels: LabelFile, size: tuple[int, int], georeference: Georeference | None
    ) -> Iterator[Row]:
        """Give the annotations of an image in ANNOTATION_SCHEMA, but for numbers.

        Args:
            item: its id.
            labels: its label file, which fits what was decided.
            size: its width and height.
            georeference: where it is; None if nowhere.
        """
        if self.ml_type is MlType.CLASSIFICATION:
            whole = [0.0, 0.0, float(size[0]), float(size[1])]
            for name, value in labels.numbers.items():
                if value == 1:
                    yield {
                        "item": item,
                        "type": AnnotationType.RECTANGLE.value,
                        "label": name,
                        "bbox": whole,
                    }
        if self.ml_type in (MlType.SEGMENTATION, MlType.OBJECT_DETECTION):
            listed = [
                (each.order, name, number, each)
                for name, objects in labels.objects.items()
                for number, each in enumerate(objects)
            ]
            for _, name, number, each in sorted(listed, key=lambda found: found[0]):
                for drawn in self._object_rows(each, number, size, georeference):
                    yield {"item": item, "label": name} | drawn

    def _object_rows(
        self, each: DrawnObject, number: int, size: tuple[int, int], georeference: Georeference | None
    ) -> Iterator[Row]:
        metadata = dict(each.metadata)
        if len(each.parts) > 1:
            metadata.setdefault(GROUP, str(number))
        said = {
            "confidence": each.confidence,
            "metadata": json_object(metadata),
            "attributes": json_object(each.attributes),
        }
        for part in each.parts:
            rings = [self._pixels(ring, size, georeference) for ring in part]
            box = self._box(part, rings)
            if box is not None:
                yield {"type": AnnotationType.RECTANGLE.value, "bbox": box, **said}
            else:
                low, high = rings[0].min(axis=0), rings[0].max(axis=0)
                yield {
                    "type": AnnotationType.POLYGON.value,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "rings": [ring.tolist() for ring in rings],
                    **said,
                }

    def _box(self, part: tuple[Ring, ...], rings: list[NDArray[np.float64]]) -> list[float] | None:
        """x, y, width, height of a rectangle, where these are looked for."""
        if self.ml_type is not MlType.OBJECT_DETECTION or len(part) != 1:
            return None
        if box_of(part[0]) is None and box_of(rings[0], BOX_PIXELS) is None:
            return None
        low, high = rings[0].min(axis=0), rings[0].max(axis=0)
        return [*low.tolist(), *(high - low).round(PIXEL_DIGITS).tolist()]

    def _pixels(
        self, ring: Ring, size: tuple[int, int], georeference: Georeference | None
    ) -> NDArray[np.float64]:
        """A ring in pixels; what rounding put outside of the image is at its edge."""
        points = np.array(ring, np.float64)
        if georeference is not None and self.coordinates is LabelCoordinates.GEOGRAPHIC:
            points = georeference.to_pixels(points)
        return np.clip(points, 0.0, np.array(size, np.float64))
