"""A column is what h5py reads, however it is stored."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi.hdf5_columns import read_column
from factory_pipeline_tests.examples import up_to

DTYPES = ("u1", "i2", "<u8", ">i4", "<f4", "<f8", ">f8", "?")
FILTERS = (
    {},
    {"compression": "gzip"},
    {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    {"compression": "gzip", "fletcher32": True},
    {"compression": "lzf", "shuffle": True},
    {"shuffle": True},
)


def made(file: h5py.File, values: np.ndarray, **storage: Any) -> h5py.Dataset:
    return file.create_dataset("column", data=values, **storage)


@settings(max_examples=up_to(60), deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    length=st.integers(0, 40),
    chunk=st.integers(1, 50),
    storage=st.sampled_from(FILTERS),
    grows=st.booleans(),
)
def test_column_equals_what_h5py_reads(
    dtype: str, length: int, chunk: int, storage: dict[str, Any], grows: bool
) -> None:
    values = np.random.default_rng(length).integers(0, 2**40, length).astype(dtype)
    # A chunk may be longer only than a column that may grow.
    grows = grows or chunk > length
    with h5py.File.in_memory() as file:
        dataset = made(file, values, chunks=(chunk,), maxshape=(None if grows else length,), **storage)
        read = read_column(dataset)
        assert read.dtype == dataset[:].dtype
        np.testing.assert_array_equal(read, values)


def test_shuffled_and_deflated_columns_are_not_left_to_h5py(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read by h5py")

    values = np.arange(100.0)
    with h5py.File.in_memory() as file:
        dataset = made(file, values, chunks=(30,), compression="gzip", shuffle=True)
        monkeypatch.setattr(h5py.Dataset, "__getitem__", never)
        np.testing.assert_array_equal(read_column(dataset), values)


def test_chunk_that_was_never_written_holds_the_fill_value() -> None:
    with h5py.File.in_memory() as file:
        dataset = file.create_dataset("a", (100,), "f4", chunks=(30,), compression="gzip", fillvalue=-9999)
        dataset[30:40] = 1
        np.testing.assert_array_equal(read_column(dataset), dataset[:])
        assert read_column(dataset)[[0, 35, 99]].tolist() == [-9999, 1, -9999]


def test_chunk_for_which_a_filter_was_left_out() -> None:
    with h5py.File.in_memory() as file:
        dataset = made(file, np.arange(60.0), chunks=(30,), compression="gzip")
        dataset.id.write_direct_chunk((30,), np.full(30, 7.0).tobytes(), filter_mask=1)
        np.testing.assert_array_equal(read_column(dataset), dataset[:])
        assert read_column(dataset)[-1] == 7


def test_damaged_chunk_is_told_by_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = made(file, np.arange(60.0), chunks=(30,), compression="gzip")
        where = dataset.id.get_chunk_info(1)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[where.byte_offset + 10 : where.byte_offset + where.size] = bytes(where.size - 10)
    (tmp_path / "a.h5").write_bytes(content)

    with (
        h5py.File(tmp_path / "a.h5") as file,
        pytest.raises(OSError, match=r"filter returned failure|inflate"),
    ):
        read_column(file["column"])
