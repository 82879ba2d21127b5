"""What the labels of an upload say depends on its purpose."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from factory_pipeline.datalake.ingest.upload_labels import UNNAMED, label_annotations, measured_quantity
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA
from factory_pipeline.onboarding.checks.file_contents import MOST_VALUES
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.uploads import geotiff

CLASSES = [{"id": 1, "name": "Field", "color": "red"}, {"id": 2, "name": "Lake", "color": "blue"}]


def manifest(purpose: str, **more: Any) -> UploadManifest:
    document = {
        "purpose": purpose,
        "dataset_url": "a.zip",
        "dataset_name": "a",
        "training_data_suffixes": ["_merged.tif"],
        "label_suffix": "_mask.tif",
        **more,
    }
    return UploadManifest.parse(document, where="a.yaml")


def labels(values: dict[str, list[float]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "stem": list(values),
            "path": [f"{stem}.tif" for stem in values],
            "width": [8] * len(values),
            "height": [6] * len(values),
            "nodata": [None] * len(values),
            "sha256": ["x"] * len(values),
            "values": list(values.values()),
            "band_names": [["height"]] * len(values),
        },
        schema_overrides={"values": pl.List(pl.Float64), "nodata": pl.Float64},
    )


def said(purpose: str, values: dict[str, list[float]], folder: Path = Path(), **more: Any) -> pl.DataFrame:
    found = label_annotations(manifest(purpose, **more), labels(values), FactoryHome(folder), "height")
    assert found.schema == pl.Schema(ANNOTATION_SCHEMA)
    return found


VALUES = {"b": [0.0, 2.0], "a": [1.0], "c": []}


def test_segmentation_has_a_mask_per_class_that_occurs() -> None:
    found = said("Segmentation", VALUES, label_categories=CLASSES)
    assert found.select("item", "type", "label").rows() == [
        ("a", "mask", "Field"),
        ("b", "mask", "0"),
        ("b", "mask", "Lake"),
    ]
    assert found["raster"].struct.field("value").to_list() == [1, 0, 2]
    assert found["raster"].struct.field("path").to_list() == ["a.tif", "b.tif", "b.tif"]
    without = said("Segmentation", VALUES, label_categories=CLASSES, label_nodata=0)
    assert without["label"].to_list() == ["Field", "Lake"]


def test_classification_is_a_rectangle_around_the_image() -> None:
    found = said("Classification", VALUES, label_categories=CLASSES, label_nodata=0)
    assert found["type"].unique().to_list() == ["rectangle"]
    assert found["bbox"].to_list() == [[0.0, 0.0, 8.0, 6.0]] * 2
    assert found["raster"].null_count() == 2


def test_regression_has_one_raster_of_values_per_label_with_any() -> None:
    found = said("Regression", VALUES)
    assert found.select("item", "type", "label").rows() == [
        ("a", "raster", "height"),
        ("b", "raster", "height"),
    ]
    assert found["raster"].struct.field("value").null_count() == 2


@pytest.mark.parametrize(("categories", "kind"), [([], "raster"), (CLASSES, "mask")])
def test_a_generic_upload_is_of_classes_where_it_names_some(categories: Any, kind: str) -> None:
    found = said("Generic", VALUES, label_categories=categories)
    assert found["type"].unique().to_list() == [kind]


def test_labels_of_more_values_than_are_kept_are_read_again(tmp_path: Path) -> None:
    values = np.arange(MOST_VALUES + 24, dtype=np.uint16).reshape(1, 32, -1)
    (tmp_path / "a.tif").write_bytes(geotiff(values))
    found = said("Generic", {"a": [float(v) for v in range(MOST_VALUES)]}, tmp_path, label_categories=CLASSES)
    assert found.height == values.size


def test_the_quantity_is_the_only_category_or_the_name_in_the_files() -> None:
    table = labels(VALUES).lazy()
    assert measured_quantity(manifest("Regression", label_categories=CLASSES[:1]), table) == "Field"
    assert measured_quantity(manifest("Regression"), table) == "height"
    mixed = table.with_columns(band_names=pl.concat_list("stem"))
    assert measured_quantity(manifest("Regression"), mixed) == UNNAMED
