"""One image of a dataset version in memory."""

import numpy as np

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape

BOX = (0.0, 0.0, 2.0, 2.0)


def test_the_size_is_height_and_width() -> None:
    raster = SampleRaster(np.zeros((3, 4, 5), np.uint8), ("r", "g", "b"))
    assert Sample("a", "train", {"s2": raster}).size == (4, 5)


def test_parts_of_one_object_have_one_group_as_text() -> None:
    parts = [Shape(AnnotationType.RECTANGLE, "house", BOX, metadata={"group": key}) for key in (7, "7")]
    assert parts[0].group == parts[1].group == "7"
    assert Shape(AnnotationType.RECTANGLE, "house", BOX).group is None


def test_a_crowd_is_marked_in_the_metadata() -> None:
    assert Shape(AnnotationType.RECTANGLE, "cow", BOX, metadata={"iscrowd": 1}).is_crowd
    assert not Shape(AnnotationType.RECTANGLE, "cow", BOX, metadata={"iscrowd": 0}).is_crowd
    assert not Shape(AnnotationType.RECTANGLE, "cow", BOX).is_crowd
