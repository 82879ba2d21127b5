"""Shards by processes: all of them, whoever works, also after a process was killed."""

import pytest

from factory_pipeline.errors import AlignerError, PairFileError
from factory_pipeline.volumes.fields.generate import generate_fields
from factory_pipeline_tests.volumes.fields.pairs import HERE, KILLED, read, task_of, write_pairs

pytestmark = pytest.mark.integration


def test_a_killed_worker_is_named_and_the_next_run_continues_with_the_same_bytes(tmp_path, monkeypatch):
    flag = tmp_path / "killed"
    monkeypatch.setenv(KILLED, str(flag))
    task = task_of(write_pairs(tmp_path, 21, (4, 6)), f"{HERE}:killed_once")
    at_once = generate_fields(task, tmp_path / "at once", ["", ""])
    assert [path.name for path in at_once][-2:] == ["18_20.h5", "20_21.h5"]  # the remainder too
    flag.touch()
    with pytest.raises(AlignerError, match="pairs 2 to 3 ended unexpectedly"):
        generate_fields(task, tmp_path / "again", [""])
    finished = tmp_path / "again" / "0_2.h5"
    changed = finished.stat().st_mtime_ns
    assert not (tmp_path / "again" / "2_4.h5").exists()
    told = []
    again = generate_fields(task, tmp_path / "again", [""], lambda done, pairs: told.append((done, pairs)))
    assert finished.stat().st_mtime_ns == changed
    assert told[0] == (4, 21)
    assert told[-1] == (21, 21)
    assert [path.read_bytes() for path in at_once] == [path.read_bytes() for path in again]
    assert sorted(path.name for path in (tmp_path / "again").glob("*.h5")) == sorted(
        path.name for path in again
    )
    assert read(again[-1])[0, 0].round(2).mean() == 21


def test_a_folder_with_other_files_is_refused_before_any_process_starts(tmp_path):
    images = write_pairs(tmp_path, 3)
    with pytest.raises(PairFileError, match=r"such as images.h5; name another folder by --temp_dir"):
        generate_fields(task_of(images, f"{HERE}:mean_of_source"), tmp_path)
