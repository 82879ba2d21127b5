"""A sample is composed of the rasters and annotations of its row in the manifest."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.versions.compose_sample import sample_of
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome

VALUES = {"Field": 1, "Lake": 3}
SIDE = 4


class _Reader:
    """Rasters in memory, by path."""

    home = FactoryHome(Path("/home"))

    def __init__(self, rasters: Mapping[str, Any]) -> None:
        self.rasters = rasters

    def read(self, location: Mapping[str, Any]) -> Any:
        return self.rasters[location["path"]]


IMAGE = np.arange(2 * SIDE * SIDE, dtype=np.uint16).reshape(2, SIDE, SIDE)


def medium(path: str = "a.tif", **more: Any) -> dict[str, Any]:
    given = {"modality": "S2", "path": path, "member": None, "row": None, "bands": ["B04", "B08"]}
    return {**given, "rgb": None, "dtype": "uint16", "nodata": 0.0, "sha256": None, **more}


def annotation(kind: str, label: str = "Field", **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("bbox", "rings", "raster", "confidence", "metadata", "attributes"))
    return {**blank, "type": kind, "label": label, "operation": "o", "source": "human", **more}


def label_raster(path: str, value: int | None = None, nodata: float | None = None) -> dict[str, Any]:
    return {"path": path, "member": None, "row": None, "value": value, "nodata": nodata, "sha256": None}


def row(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "place 1",
        "id": "1",
        "split": "train",
        "datetime": datetime(2024, 1, 1, tzinfo=UTC),
        "width": SIDE,
        "height": SIDE,
        "proj:code": "EPSG:32633",
        "proj:transform": [10, 0, 5, 0, -10, 7],
        "metadata": '{"original_name": "first"}',
        "media": [medium()],
        "annotations": list(annotations),
        **more,
    }


def made(*annotations: dict[str, Any], rasters: Mapping[str, Any] | None = None, **more: Any) -> Any:
    reader: Any = _Reader({"a.tif": IMAGE, **(rasters or {})})
    return sample_of(row(*annotations, **more), VALUES, reader)


def test_images_place_and_names_are_those_of_the_row() -> None:
    sample = made()
    assert (sample.name, sample.original_name, sample.split) == ("place 1", "first", "train")
    np.testing.assert_array_equal(sample.images["S2"].values, IMAGE)
    assert (sample.images["S2"].bands, sample.images["S2"].nodata) == (("B04", "B08"), 0.0)
    assert (sample.crs, sample.transform) == ("EPSG:32633", (10, 0, 5, 0, -10, 7))
    assert sample.files == {"S2": Path("/home/a.tif")}
    assert (sample.mask, sample.target, sample.shapes) == (None, None, ())
    assert made(metadata="{}").original_name == "1"
    assert made(media=[medium(member="data/S2", row=0)]).files == {}


def test_drawn_annotations_are_shapes() -> None:
    ring = [[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]]
    polygon = annotation("polygon", bbox=[0, 0, 3, 3], rings=[ring], confidence=0.5, metadata='{"group": 7}')
    [shape] = made(polygon).shapes
    assert (shape.type, shape.label, shape.bbox) == (AnnotationType.POLYGON, "Field", (0, 0, 3, 3))
    assert (shape.confidence, shape.group, shape.is_crowd) == (0.5, "7", False)
    np.testing.assert_array_equal(shape.rings[0], ring)


def test_of_masks_that_overlap_the_first_one_wins() -> None:
    fields, lakes = np.zeros((2, 1, SIDE, SIDE), np.uint8)
    fields[:, :2], lakes[:, :, :3] = 5, 9
    sample = made(
        annotation("mask", "Field", raster=label_raster("f.tif", 5)),
        annotation("mask", "Lake", raster=label_raster("l.tif", 9)),
        rasters={"f.tif": fields, "l.tif": lakes},
    )
    expected = np.where(fields == 5, 1, np.where(lakes == 9, 3, 0))
    np.testing.assert_array_equal(sample.mask.values, expected)
    assert sample.mask.nodata == 0


def test_a_later_raster_of_values_fills_what_earlier_ones_lack() -> None:
    first, second = np.full((1, SIDE, SIDE), 1.0), np.full((1, SIDE, SIDE), 2.0)
    first[0, 0], first[0, 1], second[0, 0, 0] = -9, np.nan, -7
    sample = made(
        annotation("raster", "height", raster=label_raster("1.tif", nodata=-9)),
        annotation("raster", "height", raster=label_raster("2.tif", nodata=-7)),
        rasters={"1.tif": first, "2.tif": second},
    )
    expected = first.copy()
    expected[0, :2] = 2.0
    expected[0, 0, 0] = -9
    np.testing.assert_array_equal(sample.target.values, expected)
    assert (sample.target.bands, sample.target.nodata) == (("height",), -9)


def test_rasters_in_a_file_of_samples_may_be_coarser_and_others_may_not() -> None:
    coarse = np.arange(8, dtype=np.uint16).reshape(2, 2, 2)
    sample = made(media=[medium("c.h5", member="data/S2", row=0)], rasters={"c.h5": coarse})
    np.testing.assert_array_equal(sample.images["S2"].values, coarse.repeat(2, axis=1).repeat(2, axis=2))
    with pytest.raises(LakeError, match=r"c\.tif is 2 x 2 pixels, but item '1' is 4 x 4"):
        made(media=[medium("c.tif")], rasters={"c.tif": coarse})


def test_an_image_that_is_not_as_the_item_says_is_refused() -> None:
    with pytest.raises(LakeError, match=r"has 2 bands of uint16, not 2 of uint8 as item '1' says"):
        made(media=[medium(dtype="uint8")])
    with pytest.raises(LakeError, match=r"has 2 bands of uint16, not 1 of uint16"):
        made(media=[medium(bands=["B04"])])
