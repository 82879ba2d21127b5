"""The files of a release: what an import drops, and what it needs again."""

from pathlib import Path

from factory_pipeline.storage.release_files import ReleaseFiles


def test_an_import_begins_anew_with_the_archive_and_the_request(tmp_path: Path):
    files = ReleaseFiles(tmp_path / "release")
    for folder in (files.unpacked, files.images, files.numbers, files.tables):
        folder.mkdir(parents=True)
        (folder / "a").write_text("a")
    for path in (files.request, files.archive, files.report):
        path.write_text("b")
    files.drop_imported()
    assert sorted(path.name for path in files.root.iterdir()) == ["archive", "request.json"]
    files.drop_imported()
    files.drop()
    assert not files.root.exists()


def test_the_lock_is_not_in_the_folder_that_is_dropped(tmp_path: Path):
    files = ReleaseFiles(tmp_path / "release")
    assert files.lock.parent == tmp_path
