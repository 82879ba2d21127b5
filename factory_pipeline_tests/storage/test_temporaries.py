"""Temporary files say who writes them, so that what a killed process left is removed and nothing else."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.folders import atomic_folder
from factory_pipeline.storage.temporaries import temporary_in


def _leave_two(folder: Path) -> None:
    with atomic_write(folder / "items.parquet") as file, atomic_folder(folder / "raw.1.0") as unpacked:
        file.write_bytes(b"half")
        (unpacked / "a.tif").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.integration
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    killed = multiprocessing.get_context("fork").Process(target=_leave_two, args=(tmp_path,))
    killed.start()
    killed.join()
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2
    assert all(name.startswith((".items.", ".raw.1.0.")) for name in left)
    of_others = [tmp_path / ".notes.part", tmp_path / ".a.0123abcd.part.txt", tmp_path / "b.part"]
    for path in of_others:
        path.touch()
    with atomic_write(tmp_path / "report.json") as temporary:
        temporary.touch()
        assert {path.name for path in tmp_path.iterdir()} == {temporary.name, *(it.name for it in of_others)}


def test_what_a_living_process_or_another_machine_writes_stays(tmp_path: Path) -> None:
    mine = temporary_in(tmp_path / "new", "items", ".parquet").name
    machine, pid, start, _ = mine.split(".")[2].split("-")
    folder = tmp_path / "one"
    folder.mkdir()
    living = folder / mine
    away = folder / f".items.{'0' * len(machine)}-{pid}-{int(start) + 1}-0123abcd.part.parquet"
    dead = folder / f".items.{machine}-{pid}-{int(start) + 1}-0123abcd.part.parquet"
    for path in (living, away, dead):
        path.touch()
    assert temporary_in(folder, "x").parent == folder
    assert set(folder.iterdir()) == {living, away}


@pytest.mark.parametrize("name", ["a" * 251 + ".tif", "a" + "\u00fc" * 124 + ".json"])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as file:
        file.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
