"""Downloads that go on: what was received is not read again, and only tries that bring nothing count."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.storage.resume_download import resume_download

CONTENT = bytes(range(100))


class Host:
    """Serves CONTENT and cuts each connection after some bytes."""

    def __init__(self, *cuts: int) -> None:
        self.cuts = list(cuts)
        self.starts: list[int] = []

    def read_from(self, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        if not self.cuts:
            yield CONTENT[start:]
            return
        cut = self.cuts.pop(0)
        yield CONTENT[start : start + cut]
        raise ConnectionError("cut")


def fetch(host: Host, part: Path, retries: int = 1, *, resumable: bool = True) -> None:
    resume_download(
        part,
        host.read_from,
        is_transient=lambda error: isinstance(error, ConnectionError),
        retries=retries,
        resumable=resumable,
    )


def test_each_try_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    host = Host(30, 0, 20, 0, 10)
    fetch(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert host.starts == [0, 30, 30, 50, 50, 60]


def test_too_many_tries_that_bring_nothing_end_it_and_the_next_call_goes_on(tmp_path: Path) -> None:
    host = Host(30, 0, 0)
    with pytest.raises(ConnectionError, match="cut"):
        fetch(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[:30]
    fetch(host, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert host.starts == [0, 30, 30, 30]


def test_a_source_that_can_not_be_read_in_parts_starts_again(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"old")
    host = Host(30)
    fetch(host, tmp_path / "part", resumable=False)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert host.starts == [0, 0]
    with pytest.raises(ConnectionError):
        fetch(Host(30, 30), tmp_path / "part", resumable=False)


def test_another_error_is_raised_at_once(tmp_path: Path) -> None:
    def read_from(start: int) -> Iterator[bytes]:
        yield CONTENT[start:10]
        raise ValueError("changed")

    with pytest.raises(ValueError, match="changed"):
        resume_download(tmp_path / "part", read_from, is_transient=lambda _: False, retries=9)
    assert (tmp_path / "part").read_bytes() == CONTENT[:10]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        fetch(Host(), tmp_path / "part")
    assert not (tmp_path / "elsewhere").exists()
