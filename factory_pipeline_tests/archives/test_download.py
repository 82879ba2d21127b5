"""Downloads appear whole or not at all, and go on where they broke."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.archives.download import fetch, open_source, part_name
from factory_pipeline.archives.source import LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline_tests.archives.memory_source import MemorySource
from factory_pipeline_tests.onboarding.uploads import local, written

CONTENT = bytes(range(100))


@given(st.lists(st.integers(1, 99), max_size=3, unique=True).map(sorted), st.integers(1, 40))
def test_a_broken_download_goes_on_where_it_broke(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[int], piece: int
) -> None:
    folder = tmp_path_factory.mktemp("fetch")
    source = MemorySource(CONTENT, tuple(breaks), piece)
    fetch(source, folder / "in" / "a.zip", IntakePolicy(retries=3))
    assert (folder / "in" / "a.zip").read_bytes() == CONTENT
    assert written(folder) == {"in/a.zip"}
    assert source.started == [0, *breaks]


def test_what_was_received_is_kept_for_a_later_call(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    first = MemorySource(CONTENT, (40, 40))
    with pytest.raises(OnboardingError, match="broke off after 40 of 100 bytes") as error:
        fetch(first, target, IntakePolicy(retries=0))
    assert error.value.code == "URL_UNREACHABLE"
    assert written(tmp_path) == {part_name(first, target)}
    later = MemorySource(CONTENT)
    fetch(later, target, IntakePolicy(retries=0))
    assert (later.started, target.read_bytes()) == ([40], CONTENT)


def test_another_state_of_the_source_does_not_go_on_from_the_old(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    old, new = MemorySource(CONTENT), MemorySource(CONTENT)
    new.version = "v2"
    assert part_name(old, target) != part_name(new, target)
    assert part_name(old, target).startswith(".a.zip.")


def test_too_many_bytes_leave_nothing(tmp_path: Path) -> None:
    source = MemorySource(CONTENT)
    source.size = None  # type: ignore[assignment]
    with pytest.raises(OnboardingError, match="50 are allowed") as error:
        fetch(source, tmp_path / "a.zip", IntakePolicy(max_archive_bytes=50))
    assert error.value.code == "ARCHIVE_TOO_LARGE"
    assert written(tmp_path) == set()


def test_an_archive_of_a_path_is_opened_and_one_that_is_too_large_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    with open_source(str(path), local(tmp_path)) as source:
        assert isinstance(source, LocalSource)
        assert source.read(10, 5) == CONTENT[10:15]
    with pytest.raises(OnboardingError) as error:
        open_source(path.as_uri(), local(tmp_path, max_archive_bytes=99))
    assert error.value.code == "ARCHIVE_TOO_LARGE"
    with pytest.raises(OnboardingError) as error:
        open_source("gopher://host/a.zip", local(tmp_path))
    assert error.value.code == "SCHEME_NOT_ALLOWED"
