"""Parquet exports: what pyarrow and polars read is what the version holds."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factory_pipeline.datasets.exports import parquet
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.errors import ExportError
from factory_pipeline_tests.datasets.model.factories import TWO_MODALITIES, photo_version, satellite_version


@pytest.mark.integration
@pytest.mark.parametrize("group_bytes", [parquet.GROUP_BYTES, 1])
def test_every_sample_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_bytes: int) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", group_bytes)
    version = satellite_version(tmp_path, masks=True, targets=True, modalities=TWO_MODALITIES)
    export_version(version, "Parquet", tmp_path / "out")
    for split in version.counts:
        path = tmp_path / "out" / f"{split}.parquet"
        table, samples = pq.read_table(path), list(version.samples(split))
        if group_bytes == 1:
            assert pq.ParquetFile(path).num_row_groups == len(samples)
        arrays = {
            name: table.column(name).combine_chunks().to_numpy_ndarray()
            for name in table.column_names
            if isinstance(table.schema.field(name).type, pa.FixedShapeTensorType)
        }
        texts = pl.read_parquet(path, columns=["name", "crs", "shapes", "transform"])
        for row, sample in enumerate(samples):
            assert texts["name"][row] == sample.name
            assert texts["crs"][row] == sample.crs
            assert tuple(texts["transform"][row]) == sample.transform
            assert len(json.loads(texts["shapes"][row])) == len(sample.shapes)
            for modality, raster in sample.images.items():
                np.testing.assert_array_equal(arrays[f"images/{modality}"][row], raster.values)
            np.testing.assert_array_equal(arrays["masks"][row], index_mask(sample, version).values)
            np.testing.assert_array_equal(arrays["targets"][row], sample.target.values)
        assert json.loads(table.schema.metadata[b"labels"]) == dict(version.values)


@pytest.mark.integration
def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, masks=True)
    first = export_version(version, "Parquet", tmp_path / "first")
    assert export_version(version, "Parquet", tmp_path / "second") == first


@pytest.mark.integration
def test_a_table_that_differs_is_found(tmp_path: Path) -> None:
    version = photo_version(tmp_path)
    export_version(version, "Parquet", tmp_path / "out")
    path = tmp_path / "out" / "train.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(ExportError, match=r"differs when train\.parquet is read back"):
        parquet.check(version, tmp_path / "out")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ExportError, match="was written, but can't be read back"):
        parquet.check(version, tmp_path / "out")
