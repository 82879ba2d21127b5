"""Releases among the uploads: what is entered of an archive, and which archives are no releases."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID, ReleaseOptions
from factory_pipeline.datalake.ingest.releases.receive import ReceivedRelease
from factory_pipeline.datalake.ingest.releases.register import (
    entry_of,
    is_release_entry,
    register_release,
    validate_release,
)
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.releases.archives import feature, pairs, tar_gz, tiff, zip_of

FILES = pairs({"a": feature("road"), "b": feature("house")})
RECEIVED = ReceivedRelease("roads@0a1b2c3d", "https://host/roads.zip", None, 1234, NOTHING_SAID)


@pytest.fixture
def policy(tmp_path: Path) -> IntakePolicy:
    return IntakePolicy(folders=(tmp_path,), retries=0)


def test_the_entry_says_what_the_user_said_and_nothing_else() -> None:
    entry = entry_of(RECEIVED)
    assert (entry.key, entry.error, entry.archive_bytes) == ("roads@0a1b2c3d", None, 1234)
    assert entry.unknown_key != entry.key
    assert yaml.safe_load(entry.manifest) == {"release": "https://host/roads.zip"}
    options = ReleaseOptions("My roads", MlType.REGRESSION, LabelCoordinates.PIXEL, skip_invalid=True)
    said = ReceivedRelease("roads@0a1b2c3d", "a.zip", "/a.zip", None, options)
    assert yaml.safe_load(entry_of(said).manifest) == {
        "release": "a.zip",
        "name": "My roads",
        "mltype": "regression",
        "label_coordinates": "pixel",
        "skip_invalid": True,
    }


# Archives without a manifest


@pytest.mark.parametrize("pack", [tar_gz, zip_of])
def test_an_archive_whose_content_is_a_release_is_one(
    tmp_path: Path, policy: IntakePolicy, pack: object
) -> None:
    name = "roads.zip" if pack is zip_of else "roads.tar.gz"
    archive = pack(tmp_path / name, FILES)  # type: ignore[operator]
    home = FactoryHome(tmp_path / "home")
    entry = validate_release(str(archive), home, policy)
    assert entry is not None
    assert entry.error is None
    assert entry.key.startswith("roads@")
    assert entry.archive_bytes == archive.stat().st_size
    assert yaml.safe_load(entry.manifest) == {"release": str(archive)}
    assert ReceivedRelease.load(home, entry.key).place == str(archive)
    again = validate_release(str(archive), home, policy)
    assert again == entry


def test_an_archive_of_something_else_is_none(tmp_path: Path, policy: IntakePolicy) -> None:
    other = tar_gz(tmp_path / "other.tar.gz", {"images/a.tif": tiff(), "readme.json": {}})
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and no more")
    text = tmp_path / "text.tar.gz"
    text.write_text("no archive")
    home = FactoryHome(tmp_path / "home")
    for archive in (other, broken, text):
        assert validate_release(str(archive), home, policy) is None, archive.name
    assert not home.root.exists()


def test_a_release_whose_files_do_not_match_is_entered_with_its_fault(
    tmp_path: Path, policy: IntakePolicy
) -> None:
    archive = zip_of(tmp_path / "Roads 2.zip", FILES | {"images/lonely.tif": tiff()})
    home = FactoryHome(tmp_path / "home")
    entry = validate_release(str(archive), home, policy)
    assert entry is not None
    assert entry.error is not None
    assert entry.error.code == "UNPAIRED"
    assert "images/lonely.tif has no label" in str(entry.error)
    assert entry.key == entry.unknown_key
    assert entry.key.startswith("roads-2@")
    assert yaml.safe_load(entry.manifest) == {"release": str(archive)}
    assert not home.root.exists()
    assert validate_release(str(archive), home, policy).key == entry.key  # type: ignore[union-attr]


def test_of_an_archive_that_can_not_be_reached_nothing_is_known(tmp_path: Path, policy: IntakePolicy) -> None:
    with pytest.raises(OnboardingError) as raised:
        validate_release(str(tmp_path / "gone.zip"), FactoryHome(tmp_path / "home"), policy)
    assert raised.value.code == "URL_UNREACHABLE"


# In the registry


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Registry]:
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        yield registry


@pytest.mark.integration
def test_a_release_is_entered_once_and_is_new_after_it_was_deleted(opened: Registry) -> None:
    for _ in range(2):
        register_release(opened, RECEIVED)
    (upload,) = opened.uploads()
    assert (upload.key, upload.status) == (RECEIVED.key, UploadStatus.PENDING)
    assert is_release_entry(upload)
    opened.set_status(RECEIVED.key, UploadStatus.SUCCEEDED)
    opened.delete_upload(RECEIVED.key)
    register_release(opened, RECEIVED)
    (upload,) = opened.uploads()
    assert (upload.status, upload.deleted_at) == (UploadStatus.PENDING, None)


@pytest.mark.integration
def test_an_upload_with_a_manifest_is_no_release(opened: Registry) -> None:
    opened.register_upload("forests@0a1b2c3d", "name: forests\nrelease: 1\n")
    (upload,) = opened.uploads()
    assert not is_release_entry(upload)
