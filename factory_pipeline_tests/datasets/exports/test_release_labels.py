"""What the label files of a release say: their form follows from all samples together."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.release_labels import LabelNotes
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.errors import ExportError

VERSION: Any = SimpleNamespace(labels=("Field", "Lake"), values={"Field": 1, "Lake": 2})
HEIGHT, WIDTH = 8, 10
IMAGE = SampleRaster(np.zeros((1, HEIGHT, WIDTH), np.uint8), ("grey",))
RING = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])


def sample(name: str = "a", *shapes: Shape, **more: Any) -> Sample:
    return Sample(name, "train", {"S2": IMAGE}, shapes, **more)


def box(label: str = "Field", x: float = 1, y: float = 1, w: float = 2, h: float = 3) -> Shape:
    return Shape(AnnotationType.RECTANGLE, label, (x, y, w, h))


WHOLE = box(x=0, y=0, w=WIDTH, h=HEIGHT)
POLYGON = Shape(AnnotationType.POLYGON, "Lake", (0, 0, 4, 4), (RING,), 0.5, {}, {"depth": 3})


def measured(*values: float) -> Sample:
    pixels = np.full((1, HEIGHT, WIDTH), np.nan, np.float32)
    pixels.flat[: len(values)] = values
    return sample("m", target=SampleRaster(pixels, ("Field",), float("nan")))


def told(
    folder: Path, *samples: Sample, how: LabelCoordinates = LabelCoordinates.PIXEL
) -> tuple[MlType, list[Any]]:
    with LabelNotes(VERSION, how, folder) as notes:
        for each in samples:
            notes.add(each)
        return notes.ml_type, [json.loads(content) for _, content in notes.label_files()]


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        ([sample("a", WHOLE), sample("b")], MlType.CLASSIFICATION),
        ([sample("a", WHOLE), sample("b", box())], MlType.OBJECT_DETECTION),
        ([sample("a", WHOLE, WHOLE)], MlType.OBJECT_DETECTION),
        ([sample("a", box(), POLYGON)], MlType.SEGMENTATION),
        ([measured(3.5)], MlType.REGRESSION),
    ],
    ids=["whole images", "a part of one", "a class twice", "a polygon", "numbers"],
)
def test_the_form_follows_from_all_samples(samples: list[Sample], kind: MlType, tmp_path: Path) -> None:
    assert told(tmp_path, *samples)[0] is kind


def test_labels_hold_every_class_in_its_order(tmp_path: Path) -> None:
    _, [document] = told(tmp_path, sample("a", POLYGON, box(), original_name="first"))
    label = document["properties"]["label"]
    assert list(label) == ["Field", "Lake"]
    [field], [lake] = label["Field"], label["Lake"]
    assert field["coordinates"] == [[[1.0, 1.0], [3.0, 1.0], [3.0, 4.0], [1.0, 4.0], [1.0, 1.0]]]
    assert lake["confidence"] == 0.5
    assert lake["attributes"] == {"depth": 3}
    assert len(lake["coordinates"][0]) == 4
    assert document["properties"]["original_name"] == "first"
    assert {each["order"] for each in (field, lake)} == {0, 1}, (
        "the order of the file, where it is not the classes'"
    )
    _, [whole, nothing] = told(tmp_path, sample("a", WHOLE), sample("b"))
    assert whole["properties"]["label"] == {"Field": 1, "Lake": 0}
    assert nothing["properties"]["label"] == {"Field": 0, "Lake": 0}


def test_masks_are_outlined_along_their_pixels(tmp_path: Path) -> None:
    classes = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    classes[0, 2:4, 1:6] = 2
    kind, [document] = told(tmp_path, sample("a", mask=SampleRaster(classes, ("class",), 0)))
    assert kind is MlType.SEGMENTATION
    [lake] = document["properties"]["label"]["Lake"]
    points = np.array(lake["coordinates"][0])
    assert points.min(axis=0).tolist() == [1, 2]
    assert points.max(axis=0).tolist() == [6, 4]


def test_a_sample_with_a_place_has_an_outline_and_its_labels_may_be_in_degrees(tmp_path: Path) -> None:
    placed = sample("a", box(x=0, y=0, w=10, h=8), crs="EPSG:4326", transform=(0.5, 0, 10, 0, -0.5, 50))
    with LabelNotes(VERSION, LabelCoordinates.GEOGRAPHIC, tmp_path) as notes:
        notes.add(placed)
        assert notes.bounds == [10.0, 46.0, 15.0, 50.0]
        [(_, content)] = notes.label_files()
        outlines = json.loads(b"".join(notes.outlines()))
    geometry = json.loads(content)["geometry"]
    assert geometry["coordinates"][0][0] == [10.0, 50.0]
    assert outlines["features"][0]["geometry"] == geometry
    with LabelNotes(VERSION, LabelCoordinates.PIXEL, tmp_path) as notes:
        assert json.loads(b"".join(notes.outlines()))["features"] == []
        assert notes.bounds is None


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (
            [sample("a", Shape(AnnotationType.LINE, "Field", (0, 0, 1, 1), (RING,)))],
            r"a has a line \('Field'\)",
        ),
        ([measured(1, 2)], "m has 2 different measured values"),
        ([measured()], "m has no measured value"),
        ([measured(1), sample("b", box())], "b has drawn labels or classes, but other items have measured"),
        ([measured(1), sample("b")], "b has no measured value, but other items"),
        ([sample("a", box()), measured(1)], "a has drawn labels or classes"),
    ],
)
def test_what_a_release_has_no_form_for_is_refused(samples: list[Sample], says: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=says):
        told(tmp_path, *samples)
