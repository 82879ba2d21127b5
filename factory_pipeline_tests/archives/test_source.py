import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest

from factory_pipeline.archives import http_source
from factory_pipeline.archives.download import fetch, open_source, part_name
from factory_pipeline.archives.object_source import ObjectSource
from factory_pipeline.archives.source import SourceFile
from factory_pipeline.archives.url_policy import check_peer
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.archives.servers import host, parts, redirect, trickle, whole
from factory_pipeline_tests.onboarding.uploads import OPEN, local, written

pytestmark = pytest.mark.integration

CONTENT = os.urandom(3 << 20)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SampleServer]:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with SampleServer(tmp_path) as server:
        yield server


def code_of(url: str, policy: IntakePolicy) -> str:
    with pytest.raises(OnboardingError) as error:
        open_source(url, policy)
    return error.value.code


def test_parts_of_a_remote_file(served: SampleServer) -> None:
    with open_source(f"{served.url}/a.zip", OPEN) as source:
        assert source.size == len(CONTENT)
        assert source.read(1000, 50) == CONTENT[1000:1050]
        assert source.read(len(CONTENT) - 5, 50) == CONTENT[-5:]
        assert source.bytes_read == 55
        assert b"".join(source.stream(2 << 20)) == CONTENT[2 << 20 :]


@pytest.mark.parametrize("way", ["path", "file", "file scheme of obstore", "fsspec"])
def test_parts_of_files_elsewhere(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a file.zip"
    path.write_bytes(CONTENT)
    fsspec.filesystem("memory").pipe_file("/a.zip", CONTENT)
    policy = local(tmp_path, schemes=("file", "memory"))
    sources = {
        "path": lambda: open_source(str(path), policy),
        "file": lambda: open_source(path.as_uri(), policy),
        "file scheme of obstore": lambda: ObjectSource(f"file://{path}"),
        "fsspec": lambda: open_source("memory://a.zip", policy),
    }
    with sources[way]() as source:
        assert source.size == len(CONTENT)
        assert source.read(7, 9) == CONTENT[7:16]
        assert b"".join(source.stream(100)) == CONTENT[100:]


def test_a_source_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with open_source(str(tmp_path / "a.zip"), local(tmp_path)) as source:
        file = SourceFile(source, b"added")
        for start, length in [(0, 4), (65_530, 20), (len(CONTENT) - 3, 3), (5, 300_000)]:
            file.seek(start)
            assert file.read(length) == CONTENT[start : start + length]
        file.seek(len(CONTENT) - 3)
        assert file.read() == CONTENT[-3:] + b"added"
        file.seek(len(CONTENT) + 2)
        assert file.read(2) == b"de"


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}, {"truncate": True}])
def test_passing_faults_are_got_over(tmp_path: Path, fault: dict[str, Any]) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with (
        SampleServer(tmp_path, faults=[Faults(path="/a.zip", times=1, **fault)]) as server,
        open_source(f"{server.url}/a.zip", OPEN) as source,
    ):
        assert source.read(10, 1000) == CONTENT[10:1010]


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 404}, {"reset": True}])
def test_lasting_faults_are_told(tmp_path: Path, fault: dict[str, Any]) -> None:
    with SampleServer(tmp_path, faults=[Faults(**fault)]) as server:
        assert code_of(f"{server.url}/a.zip?token=secret", OPEN) == "URL_UNREACHABLE"


@pytest.mark.parametrize("after", [0, 1])
def test_another_part_than_requested_is_never_taken_for_the_archive(after: int, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(bytes(5 << 20))
    with (
        SampleServer(tmp_path, faults=[Faults(range_shift=512, after=after)]) as server,
        pytest.raises(OnboardingError, match="another part of the file than was requested") as refused,
        open_source(f"{server.url}/a.zip", OPEN) as source,
    ):
        source.read(0, 100)
    assert refused.value.code == "URL_UNREACHABLE"


@pytest.mark.parametrize(("told", "size"), [("bytes 0-9/*", None), ("bytes 0-9/10", 10)])
def test_the_length_of_a_part_is_not_that_of_the_archive(told: str, size: int | None) -> None:
    def answer(request: Any) -> None:
        request.send_response(206)
        request.send_header("Content-Range", told)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(bytes(10))

    with host(answer) as url, open_source(f"{url}/a.zip", OPEN) as source:
        assert source.size == size


def test_no_secret_is_shown(served: SampleServer) -> None:
    with pytest.raises(OnboardingError) as error:
        open_source(f"{served.url}/missing.zip?sig=secret", OPEN)
    assert "missing.zip" in str(error.value)
    assert "secret" not in str(error.value)
    assert display("https://me:secret@host/a/b.zip?x=secret#secret") == "https://host/a/b.zip"


def test_a_host_without_ranges_is_told_at_once_and_can_still_be_downloaded(tmp_path: Path) -> None:
    with host(whole(CONTENT)) as url, open_source(f"{url}/a.zip", OPEN) as source:
        with pytest.raises(OnboardingError) as error:
            source.read(0, 10)
        assert error.value.code == "RANGES_UNSUPPORTED"
        fetch(source, tmp_path / "a.zip", OPEN)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    # Each answer breaks off after a megabyte, so three megabytes take three of them.
    with host(parts(CONTENT, most=1 << 20)) as url, open_source(f"{url}/a.zip", OPEN) as source:
        fetch(source, tmp_path / "a.zip", OPEN)
        assert source.bytes_read == len(CONTENT)
    assert written(tmp_path) == {"a.zip"}
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_download_goes_on_after_a_restart(tmp_path: Path) -> None:
    with host(parts(CONTENT, most=1 << 20)) as url:
        with open_source(f"{url}/a.zip", OPEN) as source:
            (tmp_path / part_name(source, tmp_path / "b.zip")).write_bytes(CONTENT[: 1 << 20])
        with open_source(f"{url}/a.zip", OPEN) as source:
            fetch(source, tmp_path / "b.zip", OPEN)
            assert source.bytes_read == len(CONTENT) - (1 << 20)
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_host_that_names_a_time_is_not_asked_before_it(status: int, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with SampleServer(tmp_path, faults=[Faults(status=status, retry_after_s=1, times=1)]) as server:
        with open_source(f"{server.url}/a.zip", OPEN) as source:
            assert source.size == len(CONTENT)
        first, second = server.counts()["/a.zip"].came
    assert second - first >= 1


def test_a_host_that_wants_hours_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with (
        SampleServer(tmp_path, faults=[Faults(status=429, retry_after_s=7200)]) as server,
        pytest.raises(OnboardingError, match="busy and asks to wait 7200 seconds"),
    ):
        open_source(f"{server.url}/a.zip", OPEN)


@pytest.mark.parametrize("asked", ["soon", "9" * 5000, "Fri, 99 Foo 2020 99:99:99 GMT"])
def test_a_wait_that_cant_be_understood_is_an_ordinary_pause(asked: str) -> None:
    refusals = iter([True])

    def answer(request: Any) -> None:
        if next(refusals, False):
            request.send_response(503)
            request.send_header("Retry-After", asked)
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            parts(CONTENT)(request)

    with host(answer) as url, open_source(f"{url}/a.zip", OPEN) as source:
        assert source.read(5, 5) == CONTENT[5:10]


def test_a_file_that_changes_meanwhile() -> None:
    versions = iter(['"1"', '"2"', '"2"'])
    with (
        host(parts(CONTENT, version=lambda: next(versions))) as url,
        open_source(f"{url}/a.zip", OPEN) as source,
        pytest.raises(OnboardingError) as error,
    ):
        source.read(0, 10)
    assert error.value.code == "SOURCE_CHANGED"


def test_archives_over_the_limit(tmp_path: Path, served: SampleServer) -> None:
    policy = OPEN.model_copy(update={"max_archive_bytes": 1 << 20})
    assert code_of(f"{served.url}/a.zip", policy) == "ARCHIVE_TOO_LARGE"

    def endless(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        with suppress(OSError):
            while True:
                request.wfile.write(CONTENT)

    with host(endless) as url, open_source(f"{url}/a.zip", policy) as source:
        with pytest.raises(OnboardingError) as error:
            fetch(source, tmp_path / "b.zip", policy)
        assert error.value.code == "ARCHIVE_TOO_LARGE"
    assert written(tmp_path) == {"a.zip"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.org/a.zip", "SCHEME_NOT_ALLOWED"),
        ("simplecache::file:///etc/passwd", "SCHEME_NOT_ALLOWED"),
        ("s3::file:///etc/passwd", "SCHEME_NOT_ALLOWED"),
        ("file:///etc/passwd", "ADDRESS_NOT_ALLOWED"),
        ("/etc/passwd", "ADDRESS_NOT_ALLOWED"),
        ("http://127.0.0.1/a.zip", "ADDRESS_NOT_ALLOWED"),
        ("http://localhost:1/a.zip", "ADDRESS_NOT_ALLOWED"),
        ("http://[::1]/a.zip", "ADDRESS_NOT_ALLOWED"),
        ("http://2130706433/a.zip", "ADDRESS_NOT_ALLOWED"),
        ("http://169.254.169.254/latest/meta-data", "ADDRESS_NOT_ALLOWED"),
        ("http:///a.zip", "URL_UNREACHABLE"),
    ],
)
def test_addresses_that_are_refused(url: str, code: str) -> None:
    assert code_of(url, IntakePolicy()) == code


@pytest.mark.parametrize(
    ("peer", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("192.168.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_which_addresses_are_public(peer: str, public: bool) -> None:
    if public:
        check_peer("host", peer, IntakePolicy())
    else:
        with pytest.raises(OnboardingError, match="private network"):
            check_peer("host", peer, IntakePolicy())


def test_a_name_that_changes_its_address_after_the_check(
    served: SampleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_source, "check_host", lambda *_: None)
    assert code_of(f"{served.url}/a.zip", IntakePolicy()) == "ADDRESS_NOT_ALLOWED"
    assert served.counts() == {}


def test_folders_are_compared_after_links(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inbox" / "a.zip").symlink_to(tmp_path / "secret")
    policy = local(tmp_path / "inbox")
    assert code_of(str(tmp_path / "inbox" / "a.zip"), policy) == "ADDRESS_NOT_ALLOWED"
    assert code_of(str(tmp_path / "inbox" / ".." / "secret"), policy) == "ADDRESS_NOT_ALLOWED"
    assert code_of(str(tmp_path / "inbox" / "missing.zip"), policy) == "URL_UNREACHABLE"
    assert code_of(str(tmp_path / "inbox"), policy) == "URL_UNREACHABLE"


def test_redirects_are_followed(served: SampleServer) -> None:
    with host(redirect(f"{served.url}/a.zip")) as url, open_source(f"{url}/there", OPEN) as source:
        assert source.read(5, 5) == CONTENT[5:10]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("file:///etc/passwd", "URL_UNREACHABLE"),
        ("ftp://example.org/a.zip", "SCHEME_NOT_ALLOWED"),
        ("/again", "URL_UNREACHABLE"),
    ],
)
def test_redirects_that_lead_elsewhere_are_not(target: str, code: str) -> None:
    with host(redirect(target)) as url:
        assert code_of(f"{url}/there", OPEN) == code


def test_an_address_that_a_redirect_gave_for_a_short_time() -> None:
    """Signed addresses expire while a large archive is read; the user's own address gives new ones."""
    asked: list[str] = []

    def answer(request: Any) -> None:
        expired = request.path == "/signed1" and request.headers["Range"] == "bytes=5-9"
        if request.path == "/there":
            asked.append(request.path)
            redirect(f"/signed{len(asked)}")(request)
        elif expired:
            request.send_error(403)
        else:
            parts(CONTENT)(request)

    with host(answer) as url, open_source(f"{url}/there", OPEN) as source:
        assert source.read(5, 5) == CONTENT[5:10]
    assert len(asked) == 2


def test_a_host_that_sends_too_little_is_given_up() -> None:
    policy = OPEN.model_copy(update={"timeout_s": 1.0, "retries": 0})
    with host(trickle) as url:
        began = time.monotonic()
        assert code_of(f"{url}/a.zip?sig=secret", policy) == "HOST_TOO_SLOW"
        assert time.monotonic() - began < 60


def test_a_download_that_becomes_too_slow_stops_and_goes_on_later(tmp_path: Path) -> None:
    content, slow = CONTENT[: 1 << 20], [True]

    def answer(request: Any) -> None:
        start = int(request.headers["Range"].removeprefix("bytes=").partition("-")[0])
        if not (slow[0] and start == 0 and request.headers["Range"].endswith("-")):
            parts(content)(request)
            return
        request.send_response(206)
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")
        request.send_header("ETag", '"1"')
        request.end_headers()
        with suppress(OSError):
            request.wfile.write(content[:1000])
            while True:
                request.wfile.write(b"x")
                time.sleep(0.05)

    policy = OPEN.model_copy(update={"timeout_s": 1.0, "lowest_rate": 5000.0})
    with host(answer) as url:
        with open_source(f"{url}/a.zip", policy) as source, pytest.raises(OnboardingError) as error:
            fetch(source, tmp_path / "a.zip", policy)
        assert error.value.code == "HOST_TOO_SLOW"
        assert "lowest_rate in intake.yaml" in str(error.value)
        slow[0] = False
        with open_source(f"{url}/a.zip", policy) as source:
            (tmp_path / part_name(source, tmp_path / "a.zip")).write_bytes(content[:1000])
            fetch(source, tmp_path / "a.zip", policy)
    assert (tmp_path / "a.zip").read_bytes() == content


def test_a_source_that_takes_longer_than_it_may_in_all(tmp_path: Path) -> None:
    """Each answer gives something, so that retries alone would never end."""

    def answer(request: Any) -> None:
        time.sleep(0.5)
        parts(CONTENT, most=1 << 20)(request)

    policy = OPEN.model_copy(update={"deadline_s": 1.2})
    with host(answer) as url, open_source(f"{url}/a.zip", policy) as source:
        with pytest.raises(OnboardingError) as error:
            fetch(source, tmp_path / "a.zip", policy)
        assert error.value.code == "HOST_TOO_SLOW"
        assert "took longer than 1.2 seconds" in str(error.value)


@pytest.mark.parametrize("sent", [1000, 0])
def test_a_part_that_is_shorter_than_asked_is_completed(sent: int) -> None:
    """Some proxies send less than was asked for, and say so in an answer that is whole by itself."""
    asked: list[str] = []

    def answer(request: Any) -> None:
        asked.append(request.headers["Range"])
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) + 1
        if len(asked) == 2 or sent:
            end = min(end, start + sent)
        request.send_response(206)
        request.send_header("Content-Length", str(end - start))
        request.send_header("Content-Range", f"bytes {start}-{max(end - 1, start)}/{len(CONTENT)}")
        request.send_header("ETag", '"1"')
        request.end_headers()
        request.wfile.write(CONTENT[start:end])

    with host(answer) as url, open_source(f"{url}/a.zip", OPEN) as source:
        assert source.read(5, 2500) == CONTENT[5:2505]
    assert len(asked) == (4 if sent else 3)


@pytest.mark.parametrize("way", ["ranges", "whole"])
def test_a_web_page_in_place_of_an_archive_is_called_so(way: str) -> None:
    page = b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Log in</body></html>"
    login = parts(page) if way == "ranges" else whole(page)

    def answer(request: Any) -> None:
        (redirect("/login?next=secret") if request.path.startswith("/a.zip") else login)(request)

    with host(answer) as url, pytest.raises(OnboardingError) as error:
        open_source(f"{url}/a.zip?token=secret", OPEN)
    assert error.value.code == "NOT_AN_ARCHIVE"
    assert f"{url}/a.zip responded at {url}/login, where it leads, with a web page" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with open_source(str(tmp_path / "a.zip"), local(tmp_path)) as source:
        os.truncate(tmp_path / "a.zip", 1000)
        with pytest.raises(OnboardingError, match="sent 500 of 700 bytes from 500") as error:
            source.read(500, 700)
    assert error.value.code == "SOURCE_CHANGED"
