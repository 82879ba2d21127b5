"""An upload is stored under a key of its content, without the secrets of its address."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.received_upload import (
    ReceivedUpload,
    current_address,
    identify,
    load_manifest,
    store_upload,
)
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import local, pairs, zip_of

ADDRESS = "https://host/a.zip?sig=SECRET"


def manifest(folder: Path, name: str = "a.yaml", **changes: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": ADDRESS, "dataset_name": "a", **changes}))
    return path


def stored(path: Path, home: FactoryHome, identity: str = "1") -> ReceivedUpload:
    return store_upload(path, UploadManifest.load(path), identity, home)


def test_it_is_read_as_it_was_stored_and_nowhere_is_the_secret(tmp_path: Path) -> None:
    home, path = FactoryHome(tmp_path / "home"), manifest(tmp_path)
    upload = stored(path, home)
    files = home.upload(upload.key)
    assert ReceivedUpload.load(files) == upload
    assert upload.received_at.tzinfo is not None
    assert load_manifest(files).dataset_url == "https://host/a.zip"
    kept = [each.read_text() for each in files.root.rglob("*") if each.is_file()]
    assert kept
    assert not any("SECRET" in text for text in kept)
    assert current_address(upload, files) == ADDRESS, "it stays in the user's manifest"


def test_the_same_content_again_keeps_its_date_and_learns_where_the_manifest_is(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    first = stored(manifest(tmp_path), home)
    again = stored(manifest(tmp_path, "b.yaml"), home)
    assert (again.key, again.received) == (first.key, first.received)
    assert again.manifest_file.endswith("b.yaml")
    assert ReceivedUpload.load(home.upload(first.key)) == again
    assert stored(manifest(tmp_path), home, "2").key != first.key
    assert stored(manifest(tmp_path, description="Other."), home).key != first.key


def test_a_manifest_that_has_changed_or_gone_is_told(tmp_path: Path) -> None:
    home, path = FactoryHome(tmp_path / "home"), manifest(tmp_path)
    upload = stored(path, home)
    files = home.upload(upload.key)
    manifest(tmp_path, dataset_url="https://elsewhere/a.zip")
    assert current_address(upload, files) == "https://elsewhere/a.zip", "an archive may move"
    manifest(tmp_path, description="Other.")
    with pytest.raises(OnboardingError, match="has changed since") as error:
        current_address(upload, files)
    assert error.value.code == "SOURCE_CHANGED"
    path.unlink()
    with pytest.raises(OnboardingError):
        current_address(upload, files)
    with pytest.raises(OnboardingError, match="No upload none@1 was received"):
        ReceivedUpload.load(home.upload("none@1"))


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    path = manifest(tmp_path, dataset_url="a.zip")
    archive = zip_of(tmp_path / "a.zip", pairs(1))
    first = identify(UploadManifest.load(path), local(tmp_path))
    assert first.bytes == archive.stat().st_size
    archive.rename(tmp_path / "b.zip")
    moved = manifest(tmp_path, dataset_url="b.zip")
    assert identify(UploadManifest.load(moved), local(tmp_path)).identity == first.identity
    zip_of(tmp_path / "b.zip", pairs(2))
    assert identify(UploadManifest.load(moved), local(tmp_path)).identity != first.identity
