"""What is read off records: numbers of versions, failures that a later upload has corrected."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datalake.registry.records import (
    Upload,
    UploadStatus,
    Version,
    VersionState,
    corrected_failures,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def upload(number: int, name: str, status: UploadStatus) -> Upload:
    return Upload(f"{name}@{number}", name, "", status, None, None, None, NOW, NOW, None)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(UploadStatus)), max_size=8))
def test_a_failure_is_corrected_by_a_later_success_of_its_name(drawn: list[tuple[str, UploadStatus]]) -> None:
    uploads = [upload(number, *each) for number, each in enumerate(drawn)]
    expected = {
        each.key
        for place, each in enumerate(uploads)
        if each.status is UploadStatus.FAILED
        and any(
            later.name == each.name and later.status is UploadStatus.SUCCEEDED for later in uploads[place:]
        )
    }
    assert corrected_failures(uploads) == expected


def test_the_number_of_a_version_has_three_parts() -> None:
    more: dict[str, Any] = {"spec": {}, "manifest_path": None, "content_hash": None, "created": NOW}
    assert Version("v", "d", 1, 0, 12, None, VersionState.READY, **more).number == "1.0.12"
