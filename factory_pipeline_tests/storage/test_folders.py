import shutil
from pathlib import Path

import pytest

from factory_pipeline.errors import StoreError
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.folders import (
    atomic_folder,
    check_writable,
    fetch_folder,
    publish_folder,
    remove_folder,
    sync_tree,
)
from factory_pipeline.storage.object_store import Bucket
from factory_pipeline.storage.stored_path import PUBLISHING


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder on the disk, and one on a store."""
    return tmp_path / "home" if request.param == "disk" else request.getfixturevalue("bucket") / "home"


def fill(folder: Path) -> None:
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("b")


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


FILLED = {"a.txt": "a", "deep/b.txt": "b"}


def test_a_folder_appears_whole(place: Path):
    with atomic_folder(place / "export") as temporary:
        fill(temporary)
        assert not (place / "export").exists()
    assert (place / "export").is_dir()
    assert contents(place / "export") == FILLED
    assert [path.name for path in place.iterdir()] == ["export"]


def export_half(folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        fill(temporary)
        raise RuntimeError


def test_an_error_leaves_nothing(place: Path):
    with pytest.raises(RuntimeError):
        export_half(place / "export")
    assert not (place / "export").exists()
    assert not place.exists() or list(place.iterdir()) == []


def test_a_folder_of_files_that_are_published_moves(place: Path):
    for name, text in FILLED.items():
        write_text(place / "unfinished" / name, text)
    publish_folder(place / "unfinished", place / "finished")
    assert contents(place / "finished") == FILLED
    assert not (place / "unfinished").exists()


def test_a_folder_is_removed_with_all_in_it(place: Path):
    write_text(place / "a" / "b" / "c.txt", "c")
    write_text(place / "kept.txt", "k")
    remove_folder(place / "a")
    remove_folder(place / "missing")
    assert not (place / "a").exists()
    assert contents(place) == {"kept.txt": "k"}


@pytest.mark.parametrize("call", ["put", "delete"])
def test_a_folder_that_was_published_by_half_does_not_exist_and_is_published_again(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    fill(tmp_path / "first")
    (tmp_path / "first" / "more.txt").write_text("more")
    done = getattr(Bucket, call)

    def fail_at_the_last(self: Bucket, key: str, *arguments: object) -> object:
        if key.endswith(("more.txt", PUBLISHING)):
            raise StoreError("The store is away.")
        return done(self, key, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, call, fail_at_the_last)
        with pytest.raises(StoreError):
            publish_folder(tmp_path / "first", bucket / "export")
    assert not (bucket / "export").exists()
    assert not (bucket / "export").is_dir()
    fill(tmp_path / "second")
    publish_folder(tmp_path / "second", bucket / "export")
    # Also without what the first had more.
    assert contents(bucket / "export") == FILLED


def test_a_program_that_reads_folders_gets_one_of_this_machine(place: Path, tmp_path: Path):
    for name, text in FILLED.items():
        write_text(place / name, text)
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
    folder = fetch_folder(place)
    assert type(folder) is type(Path())
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*.txt")} == set(FILLED)


def test_a_folder_is_synced(tmp_path: Path):
    fill(tmp_path / "a")
    sync_tree(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        sync_tree(tmp_path / "missing")


def test_a_file_that_a_store_would_not_have_is_said(bucket: Path, tmp_path: Path):
    fill(tmp_path / "export")
    (tmp_path / "export" / "deep" / ".zarray").touch()
    with pytest.raises(StoreError, match=r"s3://bucket/export/deep/\.zarray can't be on an object store"):
        publish_folder(tmp_path / "export", bucket / "export")
    assert not (bucket / "export").exists()


def test_a_folder_whose_folders_are_read_only_is_removed(tmp_path: Path):
    fill(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "deep").chmod(0o500)
    (tmp_path / "unpacked").chmod(0o500)
    remove_folder(tmp_path / "unpacked")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_be_written_is_left_as_it_is(place: Path):
    check_writable(place)
    check_writable(place)
    assert not place.exists() or list(place.iterdir()) == []


def test_a_place_that_can_not_be_written_is_an_error(bucket: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file")

    def refuse(*_: object) -> None:
        raise StoreError("The store refuses.")

    monkeypatch.setattr(Bucket, "put_mark", refuse)
    with pytest.raises(StoreError):
        check_writable(bucket / "out")
