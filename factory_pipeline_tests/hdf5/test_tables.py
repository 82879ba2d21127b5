"""Rows of a dataset file: the same rows give the same bytes, however they arrive."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.layout import TABLE_CHUNK, ChunkIndex, lay_out
from factory_pipeline.hdf5.tables import RowWriter, read_rows, row_dtype, rows_of

FIELDS = (
    Field("data", "Id", np.dtype(np.int64), (1,), "Id.", lambda samples: np.array(samples)[:, None]),
    Field(
        "data", "Name", np.dtype("S8"), (), "Name.", lambda samples: np.array([b"n%d" % s for s in samples])
    ),
    Field(
        "data", "Image", np.dtype(np.uint8), (2, 2), "Pixels.", lambda samples: np.zeros((len(samples), 2, 2))
    ),
)
SAMPLES = list(range(TABLE_CHUNK + 300))


def write(path: Path, *parts: int) -> bytes:
    rows = rows_of(SAMPLES, FIELDS)
    with h5py.File(path, "w") as file:
        lay_out(file, FIELDS, len(SAMPLES), None, "train")
        writer = RowWriter(file, FIELDS)
        for part in np.split(rows, parts):
            writer.append(part)
        writer.finish()
    return path.read_bytes()


def test_a_row_has_every_field_that_is_not_a_raster() -> None:
    assert row_dtype(FIELDS).names == ("data/Id", "data/Name")


def test_rows_come_back(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        rows = read_rows(file, FIELDS, TABLE_CHUNK - 1, TABLE_CHUNK + 2)
        assert rows["data/Id"].ravel().tolist() == [TABLE_CHUNK - 1, TABLE_CHUNK, TABLE_CHUNK + 1]
        assert rows["data/Name"].tolist() == [b"n1023", b"n1024", b"n1025"]
        assert file["data/Id"].shape == (len(SAMPLES), 1)


@pytest.mark.parametrize("parts", [(1,), (TABLE_CHUNK,), (5, 5, 1100)])
def test_the_parts_in_which_rows_arrive_do_not_matter(tmp_path: Path, parts: tuple[int, ...]) -> None:
    assert write(tmp_path / "a.h5", *parts) == write(tmp_path / "b.h5")


def test_a_raster_has_a_chunk_per_sample_which_must_be_there(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        with pytest.raises(ValueError, match="/data/Image lacks the chunk of sample 0"):
            ChunkIndex.of(file["data/Image"])
        file["data/Image"][:] = 7
        index = ChunkIndex.of(file["data/Image"])
        assert index.offsets.shape == index.sizes.shape == (len(SAMPLES),)
        assert (index.sizes > 0).all()
        with pytest.raises(ValueError, match="is not stored as one shuffled, deflated chunk per sample"):
            ChunkIndex.of(file["data/Id"])
