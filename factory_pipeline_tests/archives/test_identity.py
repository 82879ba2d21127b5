"""What identifies the content of an archive."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.identity import archive_identity, content_digest, is_known_by_content
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.onboarding.uploads import local, tar_of, zip_of

FILES = {"images/a b.tif": b"one" * 1000, "images/é.v2.tif": b"two", "labels/ü/x..y.tif": b"three"}
POLICY = IntakePolicy()


def test_the_identity_follows_from_the_files_alone(tmp_path: Path) -> None:
    def identity(path: Path) -> str:
        with open_source(str(path), local(tmp_path)) as source:
            return archive_identity(source, POLICY)

    one = zip_of(tmp_path / "one.zip", FILES)
    again = zip_of(tmp_path / "again.zip", dict(reversed(FILES.items())), zipfile.ZIP_DEFLATED)
    other = zip_of(tmp_path / "other.zip", {**FILES, "images/a b.tif": b"two" * 1000})
    tar = tar_of(tmp_path / "a.tar", FILES)
    assert identity(one) == identity(again)
    assert len({identity(one), identity(other), identity(tar)}) == 3


def test_a_zip_is_known_by_its_list_and_a_tar_by_all_of_its_bytes(tmp_path: Path) -> None:
    with LocalSource(zip_of(tmp_path / "a.zip", FILES)) as source:
        assert not is_known_by_content(source)
    path = tar_of(tmp_path / "a.tar", FILES)
    with LocalSource(path) as source:
        assert is_known_by_content(source)
        assert archive_identity(source, POLICY) == hashlib.sha256(path.read_bytes()).hexdigest()


class BreakingOff(LocalSource):
    """Ends too early so many times."""

    times = 0

    def stream(self) -> Iterator[bytes]:
        """Yield the content, or half of it."""
        content = b"".join(super().stream())
        if self.times:
            self.times -= 1
            content = content[: len(content) // 2]
        yield content


def test_an_archive_that_breaks_off_is_read_from_its_start_again(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", FILES)
    policy = IntakePolicy(retries=2)
    with BreakingOff(path) as source:
        source.times = 2
        assert content_digest(source, policy) == hashlib.sha256(path.read_bytes()).hexdigest()
        source.times = 3
        with pytest.raises(OnboardingError, match=r"broke off after \d+ of \d+ bytes") as raised:
            content_digest(source, policy)
    assert raised.value.code == "URL_UNREACHABLE"


def test_an_archive_that_is_larger_than_allowed_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (
        LocalSource(tar_of(tmp_path / "a.tar", FILES)) as source,
        pytest.raises(OnboardingError, match="has more than the 100 bytes that are allowed") as raised,
    ):
        content_digest(source, IntakePolicy(max_archive_bytes=100))
    assert raised.value.code == "ARCHIVE_TOO_LARGE"
