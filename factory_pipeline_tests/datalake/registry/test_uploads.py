"""Uploads in the registry."""

from datetime import UTC, datetime

import pytest

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import KEY, MANIFEST


def test_a_new_upload_is_pending(registry: Registry) -> None:
    before = datetime.now(UTC)
    assert registry.register_upload(KEY, MANIFEST)
    upload = registry.upload(KEY)
    assert (upload.name, upload.manifest, upload.status) == ("flood", MANIFEST, UploadStatus.PENDING)
    assert before <= upload.created == upload.updated <= datetime.now(UTC)


def test_the_same_key_again_changes_nothing_and_says_so(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    first = registry.upload(KEY)
    assert not registry.register_upload(KEY, "other: text")
    assert registry.uploads() == [first]


def test_uploads_of_some_statuses_alone(registry: Registry) -> None:
    for name in "abc":
        registry.register_upload(f"{name}@01234567", MANIFEST)
    registry.set_status("a@01234567", UploadStatus.FAILED, reason="No label.")
    registry.set_status("b@01234567", UploadStatus.SUCCEEDED)
    found = registry.uploads(statuses=[UploadStatus.PENDING, UploadStatus.FAILED])
    assert [upload.name for upload in found] == ["a", "c"]
    assert registry.uploads(statuses=[]) == []


def test_a_name_means_its_newest_living_upload(registry: Registry) -> None:
    for digest in ("aaaaaaaa", "cccccccc", "bbbbbbbb"):
        registry.register_upload(f"flood@{digest}", MANIFEST)
    assert registry.upload("flood").key == "flood@bbbbbbbb"
    registry.delete_upload("flood@bbbbbbbb")
    assert registry.upload("flood").key == "flood@cccccccc"
    assert [upload.key for upload in registry.uploads()] == ["flood@aaaaaaaa", "flood@cccccccc"]


def test_a_name_may_hold_the_sign_that_parts_it_from_the_digest(registry: Registry) -> None:
    registry.register_upload("me@home@01234567", MANIFEST)
    assert registry.upload("me@home").key == "me@home@01234567"


@pytest.mark.parametrize(
    "key", ["flood", "flood@", "@01234567", "flood@0123456", "flood@0123456G", "flood@01234567\n"]
)
def test_a_key_of_another_form_is_refused(registry: Registry, key: str) -> None:
    with pytest.raises(RegistryError, match="must be a name, @ and 8 digits in lower-case hex"):
        registry.register_upload(key, MANIFEST)
    assert registry.uploads() == []


def test_the_status_carries_reason_code_and_run(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    assert registry.set_status(KEY, UploadStatus.ONBOARDING, run_id="run-1")
    reason = "The label of tile_1.tif is missing."
    assert registry.set_status(KEY, UploadStatus.FAILED, reason=reason, code="UNPAIRED", run_id="run-1")
    failed = registry.upload("flood")
    assert (failed.status, failed.reason, failed.code, failed.run_id) == (
        "Failed",
        reason,
        "UNPAIRED",
        "run-1",
    )
    assert failed.created < failed.updated
    assert registry.set_status(KEY, UploadStatus.ONBOARDING, run_id="run-2")
    again = registry.upload("flood")
    assert (again.status, again.reason, again.code, again.run_id) == ("Onboarding", None, None, "run-2")


def test_a_failure_needs_a_reason_and_nothing_else_has_one(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    with pytest.raises(RegistryError, match="without a reason"):
        registry.set_status(KEY, UploadStatus.FAILED)
    with pytest.raises(RegistryError, match="with a reason"):
        registry.set_status(KEY, UploadStatus.SUCCEEDED, reason="It went well.")
    assert registry.upload(KEY).status is UploadStatus.PENDING


def test_a_reason_may_name_a_file_whose_name_is_not_unicode(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    registry.set_status(KEY, UploadStatus.FAILED, reason="The label of tile_\udcff\0.tif is missing.")
    assert registry.upload(KEY).reason == "The label of tile_\\udcff\\x00.tif is missing."


def test_the_late_end_of_a_run_does_not_overwrite_the_run_after_it(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    registry.set_status(KEY, UploadStatus.ONBOARDING, run_id="killed")
    registry.set_status(KEY, UploadStatus.ONBOARDING, run_id="retry")
    assert not registry.set_status(KEY, UploadStatus.FAILED, reason="The run was killed.", run_id="killed")
    assert registry.set_status(KEY, UploadStatus.SUCCEEDED, run_id="retry")
    assert not registry.set_status(KEY, UploadStatus.FAILED, reason="The run was killed.", run_id="killed")
    assert registry.upload(KEY).status is UploadStatus.SUCCEEDED


def test_a_run_that_dies_before_it_began_can_still_fail_the_upload(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    assert registry.set_status(KEY, UploadStatus.FAILED, reason="The run was killed.", run_id="first")
    assert registry.set_status(KEY, UploadStatus.FAILED, reason="The run was killed too.", run_id="second")
    assert registry.upload(KEY).reason == "The run was killed too."


def test_a_deleted_upload_stays_as_a_tombstone_that_nothing_revives_by_chance(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    assert registry.delete_upload(KEY)
    assert not registry.delete_upload(KEY)
    assert not registry.register_upload(KEY, MANIFEST)
    assert not registry.set_status(KEY, UploadStatus.SUCCEEDED)
    assert registry.uploads() == []
    [tombstone] = registry.uploads(with_deleted=True)
    assert tombstone == registry.upload(KEY)
    assert tombstone.deleted_at is not None
    assert tombstone.status is UploadStatus.PENDING


def test_a_deleted_upload_can_be_restored(registry: Registry) -> None:
    registry.register_upload(KEY, MANIFEST)
    registry.set_status(
        KEY, UploadStatus.FAILED, reason="The host is away.", code="URL_UNREACHABLE", run_id="1"
    )
    assert not registry.restore_upload(KEY)
    registry.delete_upload(KEY)
    assert registry.restore_upload(KEY)
    upload = registry.upload("flood")
    assert (upload.status, upload.reason, upload.code, upload.run_id) == ("Pending", None, None, None)


def test_an_unknown_upload_is_an_error_that_names_it(registry: Registry) -> None:
    for call in (registry.upload, registry.delete_upload, registry.restore_upload):
        with pytest.raises(RegistryError, match="no upload 'flood@0123abcd'"):
            call(KEY)
    with pytest.raises(RegistryError, match="no upload 'flood@0123abcd'"):
        registry.set_status(KEY, UploadStatus.ONBOARDING)
