"""Masks of class values, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.clip_annotations import outline
from factory_pipeline.datasets.exports.rasterize import index_mask, unlabelled_value
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import HEIGHT, WIDTH, MadeVersion, photo_version

BESIDES = {"vatten": 0, "tree cover": 2, "road": 255}
"""Class values among which are 0 and 255."""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    return photo_version(tmp_path_factory.mktemp("made"), samples=4)


@pytest.fixture(scope="module")
def blank(version: MadeVersion) -> Sample:
    """A sample that nothing is annotated on."""
    return next(version.samples("train"))


def test_a_pixel_has_the_class_of_the_last_shape_that_its_centre_lies_in(version: MadeVersion) -> None:
    for sample in version.samples("train"):
        expected = np.zeros((HEIGHT, WIDTH), np.uint8)
        on_an_edge = np.zeros((HEIGHT, WIDTH), bool)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        for shape in sample.shapes:
            if shape.type is not AnnotationType.LINE:
                inside = shapely.contains_xy(outline(shape), columns, rows)
                expected[inside] = version.values[shape.label]
                on_an_edge |= shapely.intersects_xy(outline(shape).boundary, columns, rows)
        burned = index_mask(sample, version).values[0]
        np.testing.assert_array_equal(burned[~on_an_edge], expected[~on_an_edge])


def test_a_background_image_is_all_unlabelled(version: MadeVersion, blank: Sample) -> None:
    index = index_mask(blank, version)
    assert (index.values == 0).all()
    assert index.nodata == 0


@pytest.mark.parametrize(
    ("values", "unlabelled", "dtype"),
    [
        ({"a": 1, "b": 200}, 0, "uint8"),
        ({"a": 0, "b": 200}, 255, "uint8"),
        ({"a": 1, "b": 300}, 0, "uint16"),
        ({"a": 0, "b": 300}, 65535, "uint16"),
        (BESIDES, 65535, "uint16"),
    ],
)
def test_unlabelled_is_a_value_that_no_class_has(
    values: dict[str, int], unlabelled: int, dtype: str, version: MadeVersion, blank: Sample
) -> None:
    assert unlabelled_value(values) == unlabelled
    assert index_mask(blank, replace(version, values=values)).values.dtype == dtype


def test_values_of_the_mask_are_kept_and_lie_over_the_shapes(version: MadeVersion, blank: Sample) -> None:
    given = np.full((1, HEIGHT, WIDTH), 99, np.int32)
    given[0, :10] = 0
    given[0, 10:20] = 255
    everywhere = Shape(AnnotationType.RECTANGLE, "tree cover", (0, 0, WIDTH, HEIGHT))
    sample = replace(blank, shapes=(everywhere,), mask=SampleRaster(given, ("class",), 99))
    index = index_mask(sample, replace(version, values=BESIDES)).values[0]
    assert (index[:10] == 0).all()
    assert (index[10:20] == 255).all()
    assert (index[20:] == 2).all()


def test_a_value_of_the_mask_that_is_no_class_is_told(version: MadeVersion, blank: Sample) -> None:
    sample = replace(blank, mask=SampleRaster(np.full((1, HEIGHT, WIDTH), 9, np.uint8), ("class",), 0))
    with pytest.raises(
        ExportError, match=f"The mask of {blank.name} contains 9, which is not the value of a label"
    ):
        index_mask(sample, version)
