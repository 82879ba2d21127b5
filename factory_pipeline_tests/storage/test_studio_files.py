"""What the studio keeps."""

from pathlib import Path

from factory_pipeline.storage.studio_files import StudioFiles


def test_a_draft_is_removed_with_its_archive_alone(tmp_path: Path):
    studio = StudioFiles(tmp_path)
    one, other = studio.draft("one"), studio.draft("other")
    for draft in (one, other):
        draft.root.mkdir(parents=True)
        draft.archive.write_bytes(b"PK")
        draft.answers.write_text("{}")
    one.remove()
    one.remove()
    assert [path.name for path in studio.drafts.iterdir()] == ["other"]


def test_pictures_are_apart_from_drafts():
    studio = StudioFiles(Path("studio"))
    assert studio.picture("abc") == Path("studio/pictures/abc.webp")
    assert studio.drafts not in studio.picture("abc").parents
