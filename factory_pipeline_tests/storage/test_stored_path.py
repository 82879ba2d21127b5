import io
import os
import pickle
import shutil
from pathlib import Path

import h5py
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.errors import StoreError
from factory_pipeline.storage.atomic import atomic_write, write_text
from factory_pipeline.storage.stored_path import StoredPath, is_store, scratch_folder, to_path
from factory_pipeline_tests.storage.memory_store import memory_stores


@pytest.mark.parametrize("address", ["s3://bucket/home", "gs://bucket/a/b.txt", "az://container"])
def test_an_address_is_a_path_that_is_written_as_the_address(address: str):
    path = to_path(address)
    assert isinstance(path, StoredPath)
    assert str(path) == f"{path}" == path.as_posix() == address
    assert str(path / "x" / "y.h5") == f"{address}/x/y.h5"
    assert str((path / "x").parent) == address
    assert to_path(path) is path


@pytest.mark.parametrize("local", ["factory_home", "/data/home", "file:/x", "https://host/x"])
def test_other_locations_are_paths_of_this_machine(local: str):
    assert not is_store(local)
    assert type(to_path(local)) is type(Path())


@pytest.mark.parametrize("address", ["s3://", "s3:///home", "s3://bucket/a/../b"])
def test_an_address_without_bucket_or_with_dots_is_refused(address: str):
    with pytest.raises(StoreError, match=r"allowed|does not know"):
        to_path(address)


def test_slashes_too_many_are_no_names(bucket: Path):
    assert to_path("s3://bucket//a///b/") == bucket / "a" / "b"


def test_the_copies_are_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FACTORY_SCRATCH", str(tmp_path))
    assert scratch_folder() == tmp_path
    monkeypatch.delenv("FACTORY_SCRATCH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert scratch_folder() == tmp_path / "factory_pipeline"


def test_a_user_without_a_home_directory_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch):
    for name in ("FACTORY_SCRATCH", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 2)  # as in a container that is run as any user
    with pytest.raises(StoreError, match=r"no home directory.* set FACTORY_SCRATCH"):
        scratch_folder()


def test_a_path_relative_to_its_home_is_what_tables_store(bucket: Path):
    home = bucket / "home"
    assert (home / "versions" / "v1").relative_to(home).as_posix() == "versions/v1"
    assert (home / "versions").is_relative_to(home)


def test_it_is_the_same_path_in_another_process(bucket: Path):
    again = pickle.loads(pickle.dumps(bucket / "a"))
    assert (type(again), str(again)) == (StoredPath, "s3://bucket/a")


def test_libraries_read_the_copy_which_is_fetched(bucket: Path, tmp_path: Path):
    with atomic_write(bucket / "a.parquet") as temporary:
        pl.DataFrame({"x": [1, 2]}).write_parquet(temporary)
    with atomic_write(bucket / "a.h5") as temporary, h5py.File(temporary, "w") as file:
        file["x"] = 7
    shutil.rmtree(tmp_path / "scratch")
    assert pl.read_parquet(bucket / "a.parquet")["x"].to_list() == [1, 2]
    assert pl.scan_parquet(bucket / "a.parquet").collect()["x"].to_list() == [1, 2]
    with h5py.File(bucket / "a.h5") as file:
        assert file["x"][()] == 7


def test_what_another_machine_wrote_is_read(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_text(bucket / "plan.json", "first")
    assert (bucket / "plan.json").read_text() == "first"
    monkeypatch.setenv("FACTORY_SCRATCH", str(tmp_path / "other"))
    write_text(to_path("s3://bucket/plan.json"), "second")
    monkeypatch.setenv("FACTORY_SCRATCH", str(tmp_path / "scratch"))
    assert (bucket / "plan.json").read_text() == "second"


def test_what_another_machine_removed_does_not_exist(bucket: Path, tmp_path: Path, monkeypatch):
    write_text(bucket / "a.txt", "a")
    monkeypatch.setenv("FACTORY_SCRATCH", str(tmp_path / "other"))
    to_path("s3://bucket/a.txt").unlink()
    monkeypatch.setenv("FACTORY_SCRATCH", str(tmp_path / "scratch"))
    assert not (bucket / "a.txt").exists()
    with pytest.raises(FileNotFoundError):
        (bucket / "a.txt").read_text()


def test_a_copy_that_was_changed_is_fetched_again(bucket: Path):
    write_text(bucket / "a.txt", "right")
    Path(os.fspath(bucket / "a.txt")).write_text("wrong")
    assert (bucket / "a.txt").read_text() == "right"


def test_a_copy_that_is_current_is_not_fetched(bucket: Path, monkeypatch: pytest.MonkeyPatch):
    write_text(bucket / "a.txt", "a")

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("factory_pipeline.storage.object_store.Bucket.download", fail)
    assert (bucket / "a.txt").read_text() == "a"


def test_size_time_and_number_are_those_of_the_object(bucket: Path):
    write_text(bucket / "a.txt", "12345")
    first = (bucket / "a.txt").stat()
    assert first.st_size == 5
    assert (bucket / "a.txt").stat() == first
    write_text(bucket / "a.txt", "54321")
    assert (bucket / "a.txt").stat().st_ino != first.st_ino
    with pytest.raises(FileNotFoundError, match="missing"):
        (bucket / "missing").stat()


@pytest.mark.parametrize("mode", ["w", "wb", "a", "r+"])
def test_a_file_can_only_be_written_atomically(bucket: Path, mode: str):
    with pytest.raises(io.UnsupportedOperation, match="atomic_write"):
        (bucket / "a.txt").open(mode)
    with pytest.raises(io.UnsupportedOperation, match="atomic_write"):
        (bucket / "a.txt").touch()


def test_names_with_a_dot_are_of_this_machine_alone(bucket: Path):
    lock = bucket / "home" / ".lock"
    lock.parent.mkdir()
    lock.touch()
    assert lock.exists()
    assert not (bucket / "home").exists()
    assert list(bucket.iterdir()) == []
    assert list((bucket / "home").glob(".l*")) == [lock]
    lock.unlink()
    assert not lock.exists()


def test_a_file_moves_on_the_store(bucket: Path):
    write_text(bucket / "a.txt", "a")
    (bucket / "a.txt").replace(bucket / "b.txt")
    assert (bucket / "b.txt").read_text() == "a"
    assert not (bucket / "a.txt").exists()
    (bucket / "b.txt").replace(bucket / ".b.part")
    assert not (bucket / "b.txt").exists()
    (bucket / ".b.part").replace(bucket / "c.txt")
    assert (bucket / "c.txt").read_text() == "a"
    assert not (bucket / ".b.part").exists()


def test_folders_and_files_of_other_places_are_not_renamed(bucket: Path, tmp_path: Path):
    file = bucket / "folder" / "a.txt"
    write_text(file, "a")
    for source, target in ((file.parent, bucket / "b"), (file, tmp_path / "a.txt")):
        with pytest.raises(io.UnsupportedOperation, match="files of one store"):
            source.rename(target)
    assert file.exists()


def test_removing_says_what_is_missing(bucket: Path):
    with pytest.raises(FileNotFoundError):
        (bucket / "a.txt").unlink()
    (bucket / "a.txt").unlink(missing_ok=True)
    write_text(bucket / "folder" / "a.txt", "a")
    with pytest.raises(OSError, match="not empty"):
        (bucket / "folder").rmdir()
    with pytest.raises(FileExistsError):
        (bucket / "folder").mkdir()


NAMES = st.lists(
    st.lists(st.sampled_from(["a", "b.txt", "c.h5", "ab"]), min_size=1, max_size=3).map("/".join),
    unique=True,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    NAMES, st.sampled_from(["*", "*.txt", "a/*", "**/*", "**/*.h5", "*/*.txt", "a*", "[!.]*", "a/**/c.h5"])
)
def test_patterns_find_what_they_find_on_a_disk(tmp_path_factory, names: list[str], pattern: str):
    files = [name for name in names if not any(other.startswith(f"{name}/") for other in names)]
    local = tmp_path_factory.mktemp("local")
    with memory_stores(tmp_path_factory.mktemp("scratch")):
        stored = to_path("s3://bucket/home")
        for name in files:
            (local / name).parent.mkdir(parents=True, exist_ok=True)
            (local / name).touch()
            write_text(stored / name, "")
        expected = {path.relative_to(local).as_posix() for path in local.glob(pattern)}
        found = [path.relative_to(stored).as_posix() for path in stored.glob(pattern)]
        assert set(found) == expected
        assert len(found) == len(expected)
        for path in local.rglob("*"):
            there = stored / path.relative_to(local)
            assert (there.exists(), there.is_dir(), there.is_file()) == (True, path.is_dir(), path.is_file())
