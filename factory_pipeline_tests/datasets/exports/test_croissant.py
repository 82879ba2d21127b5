"""Croissant exports, read by mlcroissant."""

import json
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)

pytestmark = pytest.mark.integration


def exported(version: MadeVersion, folder: Path) -> dict[str, Any]:
    export_version(version, "Croissant", folder)
    return json.loads((folder / "croissant.json").read_text(encoding="utf-8"))


def records(folder: Path) -> list[dict[str, Any]]:
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    return list(dataset.records("samples"))


@pytest.mark.parametrize("modalities", [{}, {"modalities": TWO_MODALITIES}])
def test_mlcroissant_reads_every_sample(tmp_path: Path, modalities: dict[str, Any]) -> None:
    version = satellite_version(tmp_path, masks=True, targets=True, **modalities)
    exported(version, tmp_path / "out")
    read = {record["samples/name"].decode(): record for record in records(tmp_path / "out")}
    expected = [sample for split in version.counts for sample in version.samples(split)]
    assert sorted(read) == sorted(sample.name for sample in expected)
    for sample in expected:
        record = read[sample.name]
        assert record["samples/split"].decode() == sample.split
        for tag, raster in sample.images.items():
            with rasterio.open(tmp_path / "out" / record[f"samples/image_path_{tag}"].decode()) as image:
                np.testing.assert_array_equal(image.read(), raster.values)
        assert len(json.loads(record["samples/annotations"])) == len(sample.shapes)


def test_it_says_where_and_when_in_the_terms_of_geocroissant(tmp_path: Path) -> None:
    version = satellite_version(tmp_path)
    document = exported(version, tmp_path / "out")
    south, west, north, east = map(float, document["spatialCoverage"]["geo"]["box"].split())
    for split in version.counts:
        for sample in version.samples(split):
            a, _, left, _, e, top = sample.transform
            height, width = sample.size
            right, bottom = left + a * width, top + e * height
            edges = min(left, right), min(bottom, top), max(left, right), max(bottom, top)
            inside = transform_bounds(sample.crs, "OGC:CRS84", *edges)
            assert west <= inside[0] < inside[2] <= east
            assert south <= inside[1] < inside[3] <= north
    assert document["geocr:coordinateReferenceSystem"] == "EPSG:32633"
    assert document["geocr:spatialResolution"]["value"] == 10
    assert document["geocr:bandConfiguration"]["geocr:bandNamesList"] == ["B02", "B03", "B04", "B8A"]
    assert document["temporalCoverage"] == "2024-03-01/2024-03-01"


def test_photos_are_described_without_a_place(tmp_path: Path) -> None:
    document = exported(photo_version(tmp_path), tmp_path / "out")
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert not [key for key in document if key.startswith("geocr") or key == "spatialCoverage"]
    assert len(records(tmp_path / "out")) == 6 * 2 + 3 + 3


def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "Croissant", tmp_path / "first")
    assert export_version(version, "Croissant", tmp_path / "second") == first
