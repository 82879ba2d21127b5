"""Arrays of a store, as zarr reads them."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from factory_pipeline.datasets.exports.zarr_arrays import ArrayWriter, ZarrArray, crc32c

pytestmark = pytest.mark.integration  # loads xarray and zarr


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "float32", "float64", "uint64"])
@pytest.mark.parametrize("shape", [(2,), (3, 4), (1, 3, 5)])
def test_arrays_of_any_type_are_read_by_zarr(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 100, (7, *shape)).astype(dtype)
    dimensions = tuple("abcd"[: rows.ndim])
    array = ZarrArray(tmp_path / "array", rows.shape, rows.dtype, 3, dimensions)
    writer = ArrayWriter(array)
    for row in rows:
        writer.append(row)
    writer.close()
    (tmp_path / "array" / "zarr.json").write_text(json.dumps(array.metadata))
    read = zarr.open_array(tmp_path / "array", mode="r")
    assert read.dtype == rows.dtype
    np.testing.assert_array_equal(read[:], rows)


def test_the_checksum_is_that_of_its_catalogue() -> None:
    assert crc32c(b"123456789") == 0xE3069283
