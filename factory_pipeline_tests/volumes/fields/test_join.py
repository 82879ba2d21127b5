"""Joined shards: their fields in order; gaps and overlaps are named."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import PairFileError
from factory_pipeline.volumes.fields.join import join_shards
from factory_pipeline.volumes.fields.shards import PairRange, write_shard
from factory_pipeline_tests.volumes.fields.pairs import HERE, read, task_of, write_pairs


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards 0 to 3, 4 to 8, 9 to 10 of eleven pairs; tests copy them."""
    root = tmp_path_factory.mktemp("shards")
    task = task_of(write_pairs(root, 11, (6, 8)), f"{HERE}:mean_of_source")
    folder = root / "shards"
    folder.mkdir()
    for pairs in (PairRange(0, 4), PairRange(4, 9), PairRange(9, 11)):
        write_shard(task, task.aligner.load("cpu"), pairs, folder / pairs.file_name)
    return folder


@pytest.fixture
def folder(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "shards"))


def test_shards_are_joined_by_their_start(folder, tmp_path):
    output = tmp_path / "fields.h5"
    assert join_shards(folder, output) == 11
    with h5py.File(output) as file:
        main = file["main"]
        assert (main.shape, main.chunks) == ((11, 2, 6, 8), (1, 2, 6, 8))
        assert (main.compression, main.scaleoffset) == ("lzf", 2)
        np.testing.assert_array_equal(main[:, 0, 0, 0].round(2), np.arange(11) + 1)
        assert file["correlation"].shape == (11, 2)
    parts = np.concatenate([read(folder / name) for name in ("0_4.h5", "4_9.h5", "9_11.h5")])
    assert read(output).tobytes() == parts.tobytes()  # rounded once


def test_the_same_shards_give_the_same_bytes_and_an_output_that_is_theirs_stays(folder, tmp_path):
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    join_shards(folder, first)
    join_shards(folder, second)
    assert first.read_bytes() == second.read_bytes()
    changed = first.stat().st_mtime_ns
    assert join_shards(folder, first) == 11
    assert first.stat().st_mtime_ns == changed


def test_another_file_is_never_overwritten(folder, tmp_path):
    output = tmp_path / "mine.h5"
    output.write_text("mine")
    with pytest.raises(PairFileError, match=r"mine.h5 exists and is not made of these shards"):
        join_shards(folder, output)
    assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("lost", "message"),
    [("0_4.h5", "pairs 0 to 3 are missing"), ("4_9.h5", "pairs 4 to 8"), ("9_11.h5", "pairs 9 to 10")],
)
def test_a_gap_is_named(folder, tmp_path, lost, message):
    (folder / lost).unlink()
    with pytest.raises(PairFileError, match=message):
        join_shards(folder, tmp_path / "fields.h5")
    assert not (tmp_path / "fields.h5").exists()


def test_an_overlap_is_named(folder, tmp_path):
    shutil.copy(folder / "4_9.h5", folder / "3_8.h5")
    with pytest.raises(PairFileError, match=r"overlap: the pairs 3 to 3 are in more than one"):
        join_shards(folder, tmp_path / "fields.h5")


def test_a_name_that_is_not_the_content_is_refused(folder, tmp_path):
    (folder / "4_9.h5").rename(folder / "4_8.h5")
    with pytest.raises(PairFileError, match=r"4_8.h5 has 5 fields; its name says 4"):
        join_shards(folder, tmp_path / "fields.h5")


def test_files_that_are_no_shards_are_named(folder, tmp_path):
    with h5py.File(folder / "notes.h5", "w"):
        pass
    with pytest.raises(PairFileError, match=r"notes.h5 is not a shard"):
        join_shards(folder, tmp_path / "fields.h5")
    with pytest.raises(PairFileError, match="has no shards"):
        join_shards(tmp_path, tmp_path / "fields.h5")


def test_shards_of_different_tasks_are_not_joined(folder, tmp_path):
    with h5py.File(folder / "9_11.h5", "a") as file:
        file.attrs["work"] = "another"
    with pytest.raises(PairFileError, match=r"0_4.h5 and 9_11.h5 .* different tasks"):
        join_shards(folder, tmp_path / "fields.h5")


def test_a_shard_beyond_the_last_pair_is_named(folder, tmp_path):
    for path in folder.iterdir():
        with h5py.File(path, "a") as file:
            file.attrs["pairs"] = 10
    with pytest.raises(PairFileError, match=r"9_11.h5 goes beyond the 10 pairs"):
        join_shards(folder, tmp_path / "fields.h5")
