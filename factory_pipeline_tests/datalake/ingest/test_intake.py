"""Uploads are registered, valid ones and failed ones; a deleted one comes back where it is put again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from factory_pipeline.datalake.ingest.intake import (
    IncomingUpload,
    register_upload,
    stray_archive,
    validate_upload,
)
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import local, pairs, zip_of


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry.open(tmp_path / "registry.db")
    yield opened
    opened.close()


def manifest(folder: Path, url: str = "a.zip") -> Path:
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": url, "dataset_name": "a"}))
    return path


def arrival(folder: Path, url: str = "a.zip") -> IncomingUpload:
    return validate_upload(manifest(folder, url), FactoryHome(folder / "home"), local(folder))


def test_a_valid_upload_has_the_key_of_its_content_and_no_secret(tmp_path: Path) -> None:
    zip_of(tmp_path / "a.zip", pairs(1))
    found = arrival(tmp_path)
    assert found.error is None
    assert found.archive_bytes == (tmp_path / "a.zip").stat().st_size
    assert found.key != found.unknown_key
    assert yaml.safe_load(found.manifest)["purpose"] == "Segmentation"
    missing = arrival(tmp_path, "https://user:SECRET@127.0.0.1:1/a.zip")
    assert missing.error is not None
    assert "SECRET" not in f"{missing.manifest} {missing.error}"


def test_a_manifest_that_is_not_valid_fails_by_its_own_key_and_one_that_is_missing_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "My file.yaml"
    path.write_text("purpose: [SECRET")
    found = validate_upload(path, FactoryHome(tmp_path / "home"), local(tmp_path))
    assert found.error is not None
    assert found.error.code == "MANIFEST_INVALID"
    assert found.key.startswith("my-file@")
    assert found.manifest == "manifest: My file.yaml\n"
    with pytest.raises(OnboardingError):
        validate_upload(tmp_path / "none.yaml", FactoryHome(tmp_path / "home"), local(tmp_path))


def test_a_stray_archive_is_a_failed_upload_of_its_name() -> None:
    found = stray_archive("s3://bucket/inbox/Big set.tar.gz")
    assert found.key.startswith("big-set@")
    assert found.error is not None
    assert stray_archive("elsewhere/Big set.tar.gz").key == found.key


def test_an_upload_is_new_once_and_a_failure_is_forgotten_once_its_archive_is_there(
    registry: Registry, tmp_path: Path
) -> None:
    failed = arrival(tmp_path)
    result = register_upload(registry, failed)
    assert (result.is_new, result.status) == (True, UploadStatus.FAILED)
    zip_of(tmp_path / "a.zip", pairs(1))
    valid = arrival(tmp_path)
    assert register_upload(registry, valid).is_new
    assert registry.upload(failed.key).deleted_at is not None
    again = register_upload(registry, valid)
    assert (again.is_new, again.status, again.is_deleted) == (False, UploadStatus.PENDING, False)


def test_a_deleted_upload_comes_back_only_where_it_was_put_there_afterwards(
    registry: Registry, tmp_path: Path
) -> None:
    zip_of(tmp_path / "a.zip", pairs(1))
    valid = arrival(tmp_path)
    register_upload(registry, valid)
    registry.delete_upload(valid.key)
    now = datetime.now(UTC)
    assert register_upload(registry, valid, now - timedelta(days=1)).is_deleted
    assert register_upload(registry, valid, now + timedelta(days=1)).is_new
    registry.delete_upload(valid.key)
    assert register_upload(registry, valid).is_new, "a person asks for it now"
