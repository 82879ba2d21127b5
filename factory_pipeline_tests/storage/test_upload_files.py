"""What stays of an upload, and what is removed when."""

from pathlib import Path

import pytest

from factory_pipeline.storage.upload_files import DatasetFiles, UploadFiles


@pytest.fixture
def files(tmp_path: Path) -> UploadFiles:
    """An upload in the middle of its onboarding."""
    files = UploadFiles(tmp_path / "uploads" / "a@1", DatasetFiles(tmp_path / "datasets" / "a" / "1"))
    for path in (files.prescan, files.manifest, files.index, files.split, files.split_notes):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    files.archive.parent.mkdir(parents=True, exist_ok=True)
    files.archive.write_text("zip")
    files.unpacked.mkdir()
    (files.unpacked / "a.tif").write_text("pixels")
    files.unfinished.root.mkdir()
    files.unfinished.page.write_text("page")
    (files.archive.parent / ".archive.0123.part").write_text("half")
    return files


def finish(files: UploadFiles) -> None:
    files.finished.root.parent.mkdir(parents=True)
    files.unfinished.root.rename(files.finished.root)


def test_the_dataset_is_the_finished_one_as_soon_as_it_exists(files: UploadFiles) -> None:
    assert files.dataset == files.unfinished
    finish(files)
    assert files.dataset == files.finished
    assert files.dataset.page.exists()


def test_what_is_not_needed_is_removed_and_the_rest_stays(files: UploadFiles) -> None:
    files.drop_unneeded()
    assert not files.archive.exists()
    assert not files.unpacked.exists()
    assert not list(files.archive.parent.rglob("*.part"))
    assert files.prescan.exists()
    assert files.index.exists()
    assert files.unfinished.page.exists()
    files.drop_unneeded()


def test_of_a_refused_upload_the_files_that_say_why_stay(files: UploadFiles) -> None:
    files.drop_refused()
    assert files.prescan.exists()
    assert files.manifest.exists()
    assert not files.index.exists()
    assert not files.split.exists()
    assert not files.unfinished.root.exists()


def test_nothing_of_a_finished_dataset_is_dropped_as_refused(files: UploadFiles) -> None:
    finish(files)
    files.drop_refused()
    assert files.index.exists()
    assert files.finished.page.exists()


def test_all_of_it_is_removed_and_other_versions_stay(files: UploadFiles) -> None:
    finish(files)
    other = files.finished.root.with_name("2")
    other.mkdir()
    files.remove()
    assert not files.root.exists()
    assert not files.finished.root.exists()
    assert other.exists()
    other.rmdir()
    files.remove()
    assert not other.parent.exists(), "the folder of the name goes with its last version"
