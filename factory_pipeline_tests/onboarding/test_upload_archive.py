"""The archive of a received upload: its facts, its files, and what happens where it has changed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.received_upload import identify, store_upload
from factory_pipeline.onboarding.upload_archive import UploadArchive
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import local, pairs, zip_of


@pytest.fixture
def archive(tmp_path: Path) -> UploadArchive:
    """A local zip of two pairs, received."""
    zip_of(tmp_path / "a.zip", pairs(2))
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": "a.zip", "dataset_name": "a"}))
    manifest, policy, home = UploadManifest.load(path), local(tmp_path), FactoryHome(tmp_path / "home")
    upload = store_upload(path, manifest, identify(manifest, policy).identity, home)
    return UploadArchive(upload, home.upload(upload.key), policy)


def test_a_local_archive_is_read_where_it_lies(archive: UploadArchive, tmp_path: Path) -> None:
    facts = archive.facts()
    assert (facts.format, facts.in_parts) == ("zip", True)
    assert facts.bytes == (tmp_path / "a.zip").stat().st_size
    assert archive.local_file() == tmp_path / "a.zip"
    assert not archive.files.archive.exists(), "it is not copied"


def test_its_files_are_unpacked_once(archive: UploadArchive) -> None:
    folder = archive.unpacked()
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.tif")} == set(pairs(2))
    kept = folder / "kept"
    kept.touch()
    assert archive.unpacked() == folder
    assert kept.exists()


@pytest.mark.parametrize("asked", [UploadArchive.facts, UploadArchive.local_file, UploadArchive.unpacked])
def test_an_archive_that_was_changed_is_refused(archive: UploadArchive, asked: Any, tmp_path: Path) -> None:
    zip_of(tmp_path / "a.zip", pairs(3))
    with pytest.raises(
        OnboardingError, match=rf"was changed since {archive.upload.key} was received"
    ) as error:
        asked(archive)
    assert error.value.code == "SOURCE_CHANGED"
    assert not archive.files.unpacked.exists()


def test_an_archive_that_is_gone_is_told(archive: UploadArchive, tmp_path: Path) -> None:
    (tmp_path / "a.zip").unlink()
    with pytest.raises(OnboardingError) as error:
        archive.unpacked()
    assert error.value.code == "URL_UNREACHABLE"
