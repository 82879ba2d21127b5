"""The windows of a fused file, as searches for leaks take them."""

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.fused_windows import fused_windows, iterate_windows

TRANSFORM = [10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0]


def write(path: Path, samples: int, ids: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["data/CRS"] = np.array([["EPSG:32633"]] * samples, dtype="S16").reshape(samples, 1)
        file["data/Transforms"] = np.array([[*TRANSFORM, 0, 0, 1]] * samples).reshape(samples, 9)
        file["data/WorldCover"] = np.zeros((samples, 1, 25, 25), np.uint8)
        file["provenance/Id"] = ids
    return path


def test_a_sample_is_its_window(tmp_path: Path) -> None:
    path = write(tmp_path / "train.h5", 2, np.array([[b"a"], [b"b"]]))
    windows = fused_windows(path, "train", "provenance/Id", 64)
    assert windows["stem"].to_list() == ["a", "b"]
    assert windows["split"].to_list() == ["train", "train"]
    assert windows["epsg"].to_list() == ["EPSG:32633"] * 2
    assert windows["transform"].to_list() == [TRANSFORM] * 2
    assert windows["width"].to_list() == windows["height"].to_list() == [64, 64]


def test_numbers_name_samples_and_the_land_cover_tells_the_size(tmp_path: Path) -> None:
    path = write(tmp_path / "test.h5", 1, np.array([[2**63 + 1]], dtype=np.uint64))
    windows = fused_windows(path, "test", "provenance/Id")
    assert windows["stem"].to_list() == ["9223372036854775809"]
    assert windows["width"].to_list() == [25]


@pytest.mark.parametrize("ids", [np.empty((0, 1), "S8"), np.empty((0, 1), np.uint64)])
def test_a_file_without_samples_has_the_same_columns(tmp_path: Path, ids: np.ndarray) -> None:
    empty = fused_windows(write(tmp_path / "a.h5", 0, ids), "test", "provenance/Id")
    full = fused_windows(write(tmp_path / "b.h5", 1, np.array([[b"a"]])), "test", "provenance/Id")
    assert empty.height == 0
    assert empty.schema == full.schema


def test_windows_come_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "train.h5", 5, np.array([[b"a"], [b"b"], [b"c"], [b"d"], [b"e"]]))
    monkeypatch.setattr("factory_pipeline.builds.fused_windows._READ", 2)
    parts = list(iterate_windows(path, "train", "provenance/Id", 64))
    assert [part.height for part in parts] == [2, 2, 1]
    assert pl.concat(parts).equals(fused_windows(path, "train", "provenance/Id", 64))
