"""Rows of tables that point to rasters in dataset files."""

import numpy as np
import polars as pl

from factory_pipeline.datalake.ingest.raster_rows import decode_texts, media_of, raster_annotations
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, MEDIA, AnnotationType

FACTS = {"bands": ["B04", "B03"], "rgb": None, "dtype": "uint16", "nodata": 0.0}


def test_a_medium_of_every_row_has_the_facts_of_its_member() -> None:
    frame = pl.DataFrame({"row": [3, 4], "hash": ["x", "y"]})
    found = frame.select(media_of("S2", "train.h5", "data/S2", FACTS, "hash").alias("m"))["m"]
    assert found.dtype == MEDIA
    about = {"modality": "S2", "path": "train.h5", "member": "data/S2", **FACTS}
    assert found.to_list() == [about | {"row": 3, "sha256": "x"}, about | {"row": 4, "sha256": "y"}]


def test_masks_have_a_class_and_measured_values_none() -> None:
    frame = pl.DataFrame(
        {
            "item": ["a", "b"],
            "row": [0, 1],
            "sha256": ["x", "y"],
            "label": ["Wheat", "Maize"],
            "value": [2, 1],
        }
    )
    found = raster_annotations(frame, AnnotationType.MASK, "train.h5", "data/label", -1.0)
    assert found.schema == pl.Schema(ANNOTATION_SCHEMA)
    assert found["type"].unique().to_list() == ["mask"]
    assert found["raster"].to_list()[1] == {
        "path": "train.h5",
        "member": "data/label",
        "row": 1,
        "value": 1,
        "nodata": -1.0,
        "sha256": "y",
    }
    assert found["metadata"].to_list() == ["{}", "{}"]
    none = frame.with_columns(value=pl.lit(None, pl.Int64))
    numbers = raster_annotations(none, AnnotationType.RASTER, "train.h5", "data/label", float("nan"))
    assert numbers["raster"].struct.field("value").to_list() == [None, None]


def test_texts_of_a_file_are_decoded() -> None:
    assert decode_texts(np.array(["Äcker".encode(), b""], "S8")) == ["Äcker", ""]
