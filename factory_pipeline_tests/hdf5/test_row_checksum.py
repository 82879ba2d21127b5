"""The checksum of a row is over its stored chunks."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.hdf5.row_checksum import row_sha256


@pytest.fixture
def file(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made.create_dataset(
            "rows", data=np.arange(24, dtype=np.int32).reshape(3, 2, 4), chunks=(1, 2, 2), compression="gzip"
        )
        made["rows"][2] = made["rows"][0]
        made.create_dataset("others", data=np.zeros((4, 2)), chunks=(2, 2))
        yield made


def test_equal_rows_have_equal_checksums(file: h5py.File):
    first, second, third = (row_sha256(file["rows"], row) for row in range(3))
    assert first == third != second
    assert len(first) == 64


def test_a_dataset_of_other_chunks_has_no_checksum_of_a_row(file: h5py.File):
    with pytest.raises(ValueError, match="row"):
        row_sha256(file["others"], 0)
