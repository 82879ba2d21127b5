"""An archive on an HTTP host: range requests, retries, and a check of the peer of every connection."""

import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urljoin

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, SSLError
from urllib3.response import BaseHTTPResponse

from factory_pipeline.archives.source import PIECE_BYTES, ArchiveSource
from factory_pipeline.archives.transfer_rate import Pace, pace_response
from factory_pipeline.archives.url_policy import check_host, check_peer, check_scheme, scheme_of
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display
from factory_pipeline.web_retries import TRANSIENT_STATUS, CappedRetry, TooBusyError, request_logs

Answer = TypeVar("Answer")
HEAD_BYTES = 512
"""Bytes of the first request, which tells the size and whether the host serves ranges."""
MOST_REDIRECTS = 5
EXPIRED = frozenset({401, 403, 404, 410})
ANOTHER_PART = "it sends another part of the file than was requested"
"""Statuses of a redirect's target that may have been valid for a short time only."""


def make_guarded_pools(policy: IntakePolicy, pace: Pace) -> PoolManager:
    """Return connection pools that check the peer's address before a request is sent.

    The check on the socket itself can't be bypassed by a name that changes its address between check and use.
    Certificates are always verified.

    Args:
        policy: whether private addresses are allowed, the timeout, the retries and the connections per host.
        pace: measures what a host sends, and ends connections that are too slow.
    """

    class GuardedConnection(HTTPConnection):
        response_class = pace_response(pace)

        def connect(self) -> None:
            super().connect()
            check_peer(self.host, self.sock.getpeername()[0], policy)

    class GuardedTlsConnection(HTTPSConnection):
        response_class = pace_response(pace)

        def connect(self) -> None:
            super().connect()
            check_peer(self.host, self.sock.getpeername()[0], policy)

    class GuardedPool(HTTPConnectionPool):
        ConnectionCls = GuardedConnection

    class GuardedTlsPool(HTTPSConnectionPool):
        ConnectionCls = GuardedTlsConnection

    pools = PoolManager(
        maxsize=policy.concurrency,
        cert_reqs="CERT_REQUIRED",
        timeout=Timeout(connect=policy.timeout_s, read=policy.timeout_s),
        headers={"Accept-Encoding": "identity", "User-Agent": "factory-pipeline"},
        retries=CappedRetry(
            total=policy.retries,
            redirect=False,
            status_forcelist=TRANSIENT_STATUS,
            raise_on_status=False,
            backoff_factor=0.2,
            backoff_max=10,
        ),
    )
    pools.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedTlsPool}
    return pools


def is_web_page(head: bytes, content_type: str) -> bool:
    """Return whether a response is a web page, by its first bytes; some hosts declare every file as one.

    Args:
        head: the first bytes of the response's body; about 100 are enough.
        content_type: as the host declares it; empty where it declares none.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:100].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return True
    return content_type.lower().startswith("text/html") and text.startswith((b"<!--", b"<?xml", b"<script"))


class HttpSource(ArchiveSource):
    """A file that an HTTP host serves."""

    def __init__(self, url: str, policy: IntakePolicy) -> None:
        """Request the first bytes: the response has the size, the version, and whether ranges are served.

        Raises:
            OnboardingError: URL_UNREACHABLE, HOST_TOO_SLOW, ADDRESS_NOT_ALLOWED, SCHEME_NOT_ALLOWED;
                NOT_AN_ARCHIVE, the host responds with a web page.
        """
        super().__init__()
        self.url = display(url)
        self._address = url
        self._policy = policy
        self._pace = Pace(self.url, policy)
        self._pools = make_guarded_pools(policy, self._pace)
        self._final = url
        response = self._follow(f"bytes=0-{HEAD_BYTES - 1}")
        self._learn(response)
        try:
            head = response.read(HEAD_BYTES)
        except HTTPError:
            head = b""  # Any error here occurs again when the archive is read.
        finally:
            # Closing instead of draining: without ranges the body is the whole archive.
            response.close()
        if is_web_page(head, response.headers.get("Content-Type", "")):
            raise OnboardingError("NOT_AN_ARCHIVE", self._web_page_sentence())

    def _learn(self, response: BaseHTTPResponse) -> None:
        ranged = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if response.status == 206 and ranged and ranged[1] == "0":
            self.size, self.ranged = int(ranged[3]), True
        elif response.status == 206:
            # The length of a part is not that of the archive.
            if not response.headers.get("Content-Range", "").startswith("bytes 0-"):
                response.close()
                raise self._unreachable_error(ANOTHER_PART)
            self.size, self.ranged = None, False
        elif response.status == 416:
            self.size, self.ranged = 0, True
        else:
            length = response.headers.get("Content-Length", "")
            self.size, self.ranged = int(length) if length.isdecimal() else None, False
        if response.headers.get("Content-Encoding", "identity") != "identity":
            self.size, self.ranged = None, False
        self.version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""

    def _web_page_sentence(self) -> str:
        elsewhere = display(self._final)
        led = f" at {elsewhere}, where it leads," if elsewhere != self.url else ""
        return (
            f"{self.url} responded{led} with a web page, not with an archive; it may require a login or a"
            " consent. Use the address of the file itself."
        )

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()

    def _read(self, start: int, length: int) -> bytes:
        received = bytearray()

        def rest() -> bytes:
            # What came before a break, or as a part shorter than requested, is not requested again.
            while len(received) < length:
                received.extend(self._piece(start + len(received), length - len(received)))
            return bytes(received)

        return self._fetch_with_retries(rest)

    def _piece(self, start: int, length: int) -> bytes:
        """Return some bytes from `start`, at least one.

        Raises:
            HTTPError: the connection broke, or the host sent nothing.
        """
        response = self._part(start, f"bytes={start}-{start + length - 1}")
        try:
            data = response.read(length)
        except HTTPError:
            response.close()
            raise
        response.release_conn()
        if not data:
            raise HTTPError("an empty part")
        return data

    def _stream(self, start: int) -> Iterator[bytes]:
        if start and not self.ranged:
            raise OnboardingError("RANGES_UNSUPPORTED", f"The host of {self.url} can't resume a download.")
        response = self._part(start, f"bytes={start}-") if self.ranged else self._follow(None)
        try:
            yield from response.stream(PIECE_BYTES)
        except HTTPError as error:
            raise self._unreachable_error("the connection broke") from error
        finally:
            response.close()

    def _fetch_with_retries(self, attempt: Callable[[], Answer]) -> Answer:
        """Retry if the body is truncated; the request itself is retried by urllib3."""
        for pause in range(self._policy.retries):
            try:
                return attempt()
            except HTTPError:
                time.sleep(0.1 * 2**pause)
        try:
            return attempt()
        except HTTPError as error:
            raise self._unreachable_error("the connection broke") from error

    def _part(self, start: int, wanted: str) -> BaseHTTPResponse:
        """Return a part of the file, in the state in which it was first seen."""
        response = self._ask(self._final, wanted)
        if response.status in EXPIRED and self._final != self._address:
            response.close()
            response = self._follow(wanted)
        expected = f"bytes {start}-"
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(expected):
            response.close()
            raise self._unreachable_error(
                ANOTHER_PART
                if response.status == 206
                else f"it responds with status {response.status} to a request for a part of the file"
            )
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if version != self.version:
            response.close()
            raise OnboardingError("SOURCE_CHANGED", f"{self.url} changed while it was read; try again.")
        return response

    def _follow(self, wanted: str | None) -> BaseHTTPResponse:
        """Follow the redirects of the user's address, each checked as if it were the user's."""
        url = self._address
        for _ in range(MOST_REDIRECTS + 1):
            if scheme_of(url) == "http" and scheme_of(self._address) == "https":
                raise self._unreachable_error("it redirects to an address without encryption")
            if check_scheme(url, self._policy) not in ("http", "https"):
                raise self._unreachable_error("it redirects to an address of another scheme")
            check_host(url, self._policy)
            response = self._ask(url, wanted)
            location = response.get_redirect_location()
            if not location:
                if response.status not in (200, 206, 416):
                    response.close()
                    raise self._unreachable_error(f"it responds with status {response.status}")
                self._final = url
                return response
            response.close()
            url = urljoin(url, location)
        raise self._unreachable_error(f"it redirects more than {MOST_REDIRECTS} times")

    def _ask(self, url: str, wanted: str | None) -> BaseHTTPResponse:
        self._pace.check_deadline()
        headers = {**self._pools.headers, **({"Range": wanted} if wanted else {})}
        try:
            with request_logs.during():
                return self._pools.request("GET", url, headers=headers, preload_content=False, redirect=False)
        except TooBusyError as error:
            raise self._unreachable_error(str(error)) from error
        except HTTPError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, SSLError):
                raise self._unreachable_error("its certificate can't be verified") from error
            raise self._unreachable_error("it does not respond") from error

    def _unreachable_error(self, reason: str) -> OnboardingError:
        return OnboardingError("URL_UNREACHABLE", f"{self.url} can't be read: {reason}.")
