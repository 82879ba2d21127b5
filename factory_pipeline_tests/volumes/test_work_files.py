"""The files of a work: none is overwritten by another."""

from pathlib import Path

import h5py
import pytest

from factory_pipeline.errors import PairFileError
from factory_pipeline.volumes.work_files import WorkFiles, create_hdf5, hdf5_work, table_work

ONE, OTHER = "1" * 64, "2" * 64


def test_a_file_says_of_what_work_it_is(tmp_path: Path):
    with create_hdf5(tmp_path / "a.h5", ONE) as file:
        file["img"] = [1, 2]
    assert hdf5_work(tmp_path / "a.h5") == ONE
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    assert hdf5_work(tmp_path / "b.h5") is None
    assert table_work(tmp_path / "b.h5") is None
    assert table_work(tmp_path / "none.parquet") is None


def test_an_error_leaves_no_file(tmp_path: Path):
    with pytest.raises(RuntimeError), create_hdf5(tmp_path / "a.h5", ONE):
        raise RuntimeError
    assert not (tmp_path / "a.h5").exists()


def test_a_claim_tells_whether_all_is_finished_and_removes_the_parts(tmp_path: Path):
    files = WorkFiles((tmp_path / "a.h5", tmp_path / "b.h5"), ONE)
    with files.claim() as finished:
        assert not finished
        files.parts.mkdir()
        for path in files.paths:
            with create_hdf5(path, ONE):
                pass
    with files.claim() as finished:
        assert finished
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_a_file_of_other_work_is_never_overwritten(tmp_path: Path):
    with create_hdf5(tmp_path / "a.h5", OTHER):
        pass
    with (
        pytest.raises(PairFileError, match="never overwritten"),
        WorkFiles((tmp_path / "a.h5",), ONE).claim(),
    ):
        pass
    with h5py.File(tmp_path / "a.h5") as file:
        assert dict(file.attrs).popitem()[1] == OTHER
