"""Annotations of an operation, written and read back."""

import sys
from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.datalake.tables.annotations import (
    annotation_frame,
    annotations_hash,
    annotations_writer,
    scan_annotations,
    write_annotations,
)
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA
from factory_pipeline.errors import LakeError


@pytest.fixture
def annotations() -> pl.DataFrame:
    raster = {"path": "datasets/a.tif", "value": 3, "nodata": 255.0, "sha256": "0a"}
    return annotation_frame(
        [
            {"item": "one", "type": "rectangle", "label": "Boat", "bbox": [0.0, 1.0, 2.5, 3.0]},
            {"item": "one", "type": "mask", "label": "Water", "raster": raster, "confidence": 0.5},
            {
                "item": "two",
                "type": "polygon",
                "label": "Lake",
                "bbox": [0.0, 0.0, 4.0, 4.0],
                "rings": [[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]], [[2.0, 1.0], [3.0, 1.0], [3.0, 2.0]]],
                "attributes": '{"depth":2}',
            },
        ]
    )


def test_annotations_come_back_as_they_were(tmp_path: Path, annotations: pl.DataFrame) -> None:
    write_annotations(tmp_path / "annotations.parquet", annotations)
    assert scan_annotations(tmp_path / "annotations.parquet").collect().equals(annotations)


def test_batches_give_the_same_rows_as_the_whole(tmp_path: Path, annotations: pl.DataFrame) -> None:
    with annotations_writer(tmp_path / "annotations.parquet") as batches:
        for start in range(annotations.height):
            batches.append(annotations[start : start + 1])
    assert scan_annotations(tmp_path / "annotations.parquet").collect().equals(annotations)


def test_no_annotations_are_a_table_too(tmp_path: Path) -> None:
    write_annotations(tmp_path / "annotations.parquet", annotation_frame([]))
    assert scan_annotations(tmp_path / "annotations.parquet").collect().equals(annotation_frame([]))


def test_the_hash_tells_every_value_and_who_annotated(annotations: pl.DataFrame) -> None:
    known = annotations_hash(annotations, "human")
    assert annotations_hash(annotations.clone(), "human") == known
    assert annotations_hash(annotations, "machine") != known
    assert annotations_hash(annotations.with_columns(confidence=0.25), "human") != known


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"gone\.parquet are missing"):
        scan_annotations(tmp_path / "gone.parquet")


def test_annotations_without_polygons_do_not_load_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = annotation_frame([{"item": "one"}, {"item": "two", "rings": None}])
    assert frame.schema == pl.Schema(ANNOTATION_SCHEMA)
    assert frame["rings"].to_list() == [None, None]
