"""Addresses: signed, encoded, local; and bodies that are too short."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy, SourceError
from factory_pipeline_tests.cog.content_server import CONTENT, ContentHandler, serving

pytestmark = pytest.mark.integration

HASTY = RetryPolicy(retries=2, pause=0.01, stall=2)


class SignedFiles(ContentHandler):
    """Serves CONTENT to whoever knows the token of the day; the first answers may be short."""

    token = "a/b=&c"
    is_public = False
    short_answers = 0
    asked: list[str]

    def answer(self) -> None:
        parts = urlsplit(self.path)
        type(self).asked.append(unquote(parts.path))
        if not self.is_public and parse_qs(parts.query).get("sig") != [self.token]:
            self.refuse(403)
        elif type(self).short_answers > 0:
            type(self).short_answers -= 1
            self.send_range(missing=5)
        else:
            self.send_range()


@pytest.fixture
def server() -> Iterator[tuple[str, type[SignedFiles]]]:
    handler = type("Handler", (SignedFiles,), {"asked": []})
    with serving(handler) as url:
        yield url, handler


def fetch(source: ByteSource, href: str, start: int = 100, length: int = 50, *, exact: bool = True) -> bytes:
    return bytes(asyncio.run(source.fetch(href, start, length, exact=exact)).data)


def test_signature_goes_along_and_is_renewed(server: tuple[str, type[SignedFiles]]) -> None:
    url, handler = server
    tokens = ["a%2Fb%3D%26c", "new"]
    source = ByteSource(lambda href: f"{href}?sv=1&sig={tokens[0]}", HASTY)

    assert fetch(source, f"{url}/a.tif") == CONTENT[100:150]

    handler.token = tokens[0] = "new"
    assert fetch(source, f"{url}/a.tif") == CONTENT[100:150]


def test_no_thread_that_python_does_not_wait_for_runs_python(
    server: tuple[str, type[SignedFiles]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers when the process ends would make it die."""
    server[1].is_public = True
    waited_for: list[bool] = []
    wake = asyncio.BaseEventLoop.call_soon_threadsafe

    def noted(loop: asyncio.BaseEventLoop, *args: Any, **options: Any) -> asyncio.Handle:
        here = threading.get_ident()
        waited_for.append(any(here == each.ident and not each.daemon for each in threading.enumerate()))
        return wake(loop, *args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", noted)
    fetch(ByteSource(None, HASTY), f"{server[0]}/a.tif")

    assert waited_for
    assert all(waited_for)


def test_refusal_shows_no_signature(server: tuple[str, type[SignedFiles]]) -> None:
    source = ByteSource(lambda href: f"{href}?sig=SECRET", HASTY)

    with pytest.raises(SourceError) as refused:
        fetch(source, f"{server[0]}/a.tif")

    assert not refused.value.transient
    assert "SECRET" not in str(refused.value)


def test_signer_that_fails_may_work_later(server: tuple[str, type[SignedFiles]]) -> None:
    answers = iter([ConnectionError("SECRET"), ValueError("SECRET")])

    def sign(href: str) -> str:
        error = next(answers, None)
        if error is not None:
            raise error
        return f"{href}?sig=a%2Fb%3D%26c"

    assert fetch(ByteSource(sign, HASTY), f"{server[0]}/a.tif") == CONTENT[100:150]


def test_path_is_asked_for_as_the_address_spells_it(server: tuple[str, type[SignedFiles]]) -> None:
    url, handler = server
    source = ByteSource(lambda href: f"{href}?sig=a%2Fb%3D%26c", HASTY)

    fetch(source, f"{url}/some%20folder/T31%2B.tif")

    assert handler.asked == ["/some folder/T31+.tif"]


def test_answer_that_is_short_is_asked_for_again(server: tuple[str, type[SignedFiles]]) -> None:
    url, handler = server
    source = ByteSource(lambda href: f"{href}?sig=a%2Fb%3D%26c", HASTY)

    handler.short_answers = 2
    assert fetch(source, f"{url}/a.tif") == CONTENT[100:150]

    source = ByteSource(lambda href: f"{href}?sig=a%2Fb%3D%26c", HASTY)
    handler.short_answers = 3
    with pytest.raises(SourceError, match=r"less than was requested \(3 attempts\)") as short:
        fetch(source, f"{url}/a.tif")
    assert short.value.transient


def test_local_addresses(tmp_path: Path) -> None:
    path = tmp_path / "odd #1 %20 name.tif"
    path.write_bytes(CONTENT)
    source = ByteSource(None, HASTY)

    assert fetch(source, str(path)) == CONTENT[100:150]
    assert fetch(source, path.as_uri()) == CONTENT[100:150]
    assert fetch(source, str(path), 2040, 50, exact=False) == CONTENT[2040:]


def test_local_file_that_ends_too_early_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "short.tif"
    path.write_bytes(CONTENT[:120])

    with pytest.raises(SourceError, match="shorter") as short:
        fetch(ByteSource(None, HASTY), str(path))
    assert not short.value.transient


def test_bucket_is_read_from_the_endpoint_of_the_environment(
    server: tuple[str, type[SignedFiles]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = server
    monkeypatch.setattr(handler, "is_public", True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")

    assert fetch(ByteSource(None, HASTY), "s3://bucket/some/T31.tif") == CONTENT[100:150]
    assert handler.asked == ["/bucket/some/T31.tif"]


@pytest.mark.parametrize("href", ["az://container/T31.tif", "ftp://host/T31.tif"])
def test_store_that_cant_be_opened_is_not_tried_again(href: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    with pytest.raises(SourceError, match="can't be opened") as refused:
        fetch(ByteSource(None, HASTY), href)
    assert not refused.value.transient
