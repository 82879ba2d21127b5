"""Byte ranges of files in local folders, on web servers and in object stores.

Requests go through obstore. Its own retries are switched off: it does not retry a truncated body, and two
layers of retries would multiply. All requests to a web server that sends Retry-After wait for as long as it
says; see `busy_hosts`. One that is busy and doesn't say, and an object store, whose headers obstore doesn't
show, get pauses four times as long, about 50 seconds in all by default. A file that fails even then is
requested once more if its server still sends a file that it has sent before: so a single broken file is
distinguished from a server that is unavailable.

Threads of ours wait for the answers. obstore's own `get_async` delivers them in threads of its runtime, which
Python does not wait for at its end: one that still runs Python then is unwound through Rust, with the
interpreter's lock lost, and the process that was done dies of SIGABRT or SIGSEGV.
"""

import asyncio
import os
import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore, ObjectStore, from_url

from factory_pipeline.cog.busy_hosts import BusyHosts, HostBusyError
from factory_pipeline.forked_client import require_own_client
from factory_pipeline.web_retries import TRANSIENT_STATUS

_BUSY_STATUS = {429, 503}
REFUSED_STATUS = frozenset({401, 402, 403, 404, 407, 410, 451})
"""Statuses of a server that refuses a file: to this account, for now, or permanently."""
_LONGEST_PAUSE = 20.0
_BUSY_FACTOR = 4
_own_random = random.Random()
"""The caller's generator may be seeded: its numbers stay its own, and processes seeded alike still spread."""
_STORES_KEPT = 64
_MOST_THREADS = 1024
"""No limit: as many threads are started as there are requests at a time, which their callers limit."""
_WITNESS_TRIES = 3
"""One refusal among many responses must not count as an outage."""


class SourceError(Exception):
    """Bytes that could not be fetched; the message is a sentence without credentials."""

    def __init__(
        self, reason: str, *, transient: bool, unavailable: bool = False, refused: bool = False
    ) -> None:
        super().__init__(reason)
        self.refused = refused
        """True if the server responds that the file does not exist, or that access is denied."""
        self.transient = transient
        """True if a later attempt may succeed."""
        self.unavailable = unavailable
        """True if the server no longer responds, or no longer sends what it sent before."""


@dataclass(frozen=True)
class RetryPolicy:
    """Retries and timeouts of requests to one server."""

    retries: int = 6
    """Attempts after the first one."""
    pause: float = 0.5
    """Seconds before the first retry; doubled for each that follows, up to 20, with jitter."""
    stall: float = 20.0
    """Seconds without a byte after which a request is cancelled."""
    longest_wait: float = 600.0
    """Largest Retry-After that is waited for, in seconds.

    A server that asks for more gets no more requests.
    """


@dataclass(frozen=True)
class FetchedRange:
    """The result of a range request."""

    data: memoryview
    file_size: int
    """Size of the whole file in bytes."""


class ByteSource:
    """Fetches ranges of files by address. One store (and so one connection pool) per host or bucket.

    `sign` is called before every request, one call at a time and off the event loop, so that a token that
    expires during a long run is renewed; it is expected to cache its tokens.
    """

    def __init__(
        self, sign: Callable[[str], str] | None, retry_policy: RetryPolicy, *, requester_pays: bool = False
    ) -> None:
        self._sign = sign
        self._requester_pays = requester_pays
        self._retry_policy = retry_policy
        self._stores: OrderedDict[str, ObjectStore] = OrderedDict()
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="sign")
        self._requesting = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="fetch")
        self._busy = BusyHosts(retry_policy.stall, retry_policy.longest_wait)
        self._known_good: dict[str, str] = {}
        self._unavailable: dict[str, str] = {}
        """By server: why it gets no requests."""

    def reset_outages(self) -> None:
        """Forget which servers were unavailable, so that they get requests again."""
        self._unavailable.clear()

    async def fetch(
        self, href: str, start: int, length: int, *, exact: bool = True, connections: int | None = None
    ) -> FetchedRange:
        """Fetch bytes `start` to `start + length` of a file.

        Args:
            href: unsigned address or path.
            start: position of the first byte.
            length: number of bytes.
            exact: with False the file may end earlier.
            connections: attempts to connect, where fewer than all attempts: of an address that may be
                misspelt, to which nobody listens.

        Raises:
            SourceError: the file does not exist, access is denied, or all retries failed.
        """
        tries = self._retry_policy.retries + 1
        try:
            answer = await self._fetch_with_retries(href, start, length, exact, tries, connections)
        except SourceError as refusal:
            if not refusal.refused or not await self._still_serves(href):
                raise
            # It may send files again since then.
            answer = await self._fetch_with_retries(href, start, length, exact, 1)
        if isinstance(answer, _Failure) and await self._probe_server(href):
            # It may have recovered after the last attempt.
            answer = await self._fetch_with_retries(href, start, length, exact, 1)
        if isinstance(answer, FetchedRange):
            return self._remember(href, answer)
        raise SourceError(f"{answer.reason} ({tries} attempts)", transient=True)

    async def fetch_once(self, href: str, start: int, length: int) -> FetchedRange:
        """Fetch bytes of a file, which may end earlier, with one attempt and no verdict on its server.

        Args:
            href: unsigned address or path.
            start: position of the first byte.
            length: number of bytes.

        Raises:
            SourceError: the attempt failed, for whatever reason.
        """
        answer = await self._fetch_with_retries(href, start, length, False, 1)
        if isinstance(answer, FetchedRange):
            return self._remember(href, answer)
        raise SourceError(answer.reason, transient=True)

    def _remember(self, href: str, answer: FetchedRange) -> FetchedRange:
        """Note that the server of a file has sent it."""
        self._known_good[_server(href)] = self._known_good[_container(href)] = href
        return answer

    async def _fetch_with_retries(
        self,
        href: str,
        start: int,
        length: int,
        exact: bool,
        tries: int,
        connections: int | None = None,
    ) -> "FetchedRange | _Failure":
        """Return a range, or the failure of the last of `tries` attempts, which is transient."""
        failure = _Failure("it was not requested", transient=True)
        unreachable = 0
        for attempt in range(tries):
            if (why := self._unavailable.get(_server(href))) is not None:
                raise SourceError(why, transient=True, unavailable=True)
            try:
                await self._busy.wait(href)
                fetched = await self._try(href, start, length)
                expected = length if exact else min(length, fetched.file_size - start)
                if len(fetched.data) == expected:
                    return fetched
                if exact and start + length > fetched.file_size:
                    raise SourceError("the file is shorter than its header says", transient=False)
                failure = _Failure("its server sent less than was requested", transient=True)
            except HostBusyError as error:
                raise SourceError(str(error), transient=True, unavailable=True) from error
            except (BaseError, OSError) as error:
                failure = _explain(error)
            if not failure.transient:
                raise SourceError(failure.reason, transient=False, refused=failure.refused)
            unreachable += failure.unreachable
            if connections is not None and unreachable >= connections:
                raise SourceError(
                    f"{failure.reason}; check its host and port ({attempt + 1} attempts)", transient=True
                )
            if attempt < tries - 1 and not self._busy.seconds_left(href):
                await asyncio.sleep(self._pause(attempt, busy=failure.busy))
        return failure

    async def _probe_server(self, href: str) -> bool:
        """Ask the server of a file that did not come for a file that it has sent before.

        Returns:
            True if it sends that file; False if the server has sent nothing yet.

        Raises:
            SourceError: it doesn't. It gets no more requests until `reset_outages`.
        """
        witness = self._known_good.get(_server(href))
        if witness is None:
            return False
        try:
            if isinstance(await self._fetch_with_retries(witness, 0, 1, False, _WITNESS_TRIES), FetchedRange):
                return True
        except SourceError as refusal:
            if refusal.refused:
                raise self._refuses_all(href) from None
            if not refusal.unavailable:
                return True  # a server that refuses does respond
            raise
        raise self._mark_unavailable(href, "its server has stopped responding")

    async def _still_serves(self, href: str) -> bool:
        """Return whether the server of a refused file still sends what it sent before.

        False if it sent nothing.

        A file that is missing or private is refused alone. With an expired token, or from an account that is
        locked out for too many requests, everything is refused.

        Raises:
            SourceError: it refuses that too. It gets no more requests until `reset_outages`.
        """
        witness = self._known_good.get(_container(href)) or self._known_good.get(_server(href))
        if witness is None or local_path(href) is not None:
            return False
        try:
            return isinstance(await self._fetch_with_retries(witness, 0, 1, False, 1), FetchedRange)
        except SourceError as refusal:
            if refusal.refused:
                raise self._refuses_all(href) from None
            raise

    def _refuses_all(self, href: str) -> SourceError:
        return self._mark_unavailable(href, "its server refuses what it sent before")

    def _mark_unavailable(self, href: str, why: str) -> SourceError:
        """Send no more requests to the server of a file; return the error that says so."""
        return SourceError(self._unavailable.setdefault(_server(href), why), transient=True, unavailable=True)

    async def _try(self, href: str, start: int, length: int) -> FetchedRange:
        local = local_path(href)
        if local is not None:
            return await asyncio.to_thread(_read_local, local, start, length)
        url = await self._sign_href(href)
        store, path = self._locate(url)
        sent = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._requesting, _request, store, path, start, length)
        except BaseError as error:
            if not isinstance(store, HTTPStore) or _status(error) not in TRANSIENT_STATUS:
                raise
            fetched = await self._busy.ask(url, start, length, sent)
            if fetched is None:
                raise
            return FetchedRange(*fetched)

    async def _sign_href(self, href: str) -> str:
        if self._sign is None:
            return href
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._signing, self._sign, href)
        except Exception as error:
            raise _SigningError(type(error).__name__) from error

    def _pause(self, attempt: int, *, busy: bool) -> float:
        longest = min(self._retry_policy.pause * 2**attempt, _LONGEST_PAUSE)
        if busy:
            longest = min(longest * _BUSY_FACTOR, _LONGEST_PAUSE)
        return longest * _own_random.uniform(0.5, 1)

    def _locate(self, url: str) -> tuple[ObjectStore, str]:
        """Return the store of an address, and the path in it."""
        require_own_client()
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme in ("http", "https"):
            # obstore keeps the query of a store's address in every request, and encodes paths itself
            root = f"{root}/?{parts.query}" if parts.query else root
            path = unquote(parts.path.lstrip("/"))
        else:
            # A name in an object store may contain `#`, which begins a fragment in other addresses.
            path = urlsplit(url, allow_fragments=False).path.lstrip("/")
        store = self._stores.pop(root, None) or self._open(root, parts.scheme)
        self._stores[root] = store
        if len(self._stores) > _STORES_KEPT:
            self._stores.popitem(last=False)
        return store, path

    def _open(self, root: str, scheme: str) -> ObjectStore:
        client: Any = {
            "allow_http": True,  # the address, or the endpoint in the environment, decides
            "connect_timeout": timedelta(seconds=min(10.0, self._retry_policy.stall)),
            "read_timeout": timedelta(seconds=self._retry_policy.stall),
            "timeout": timedelta(minutes=5),
        }
        retry: Any = {"max_retries": 0}
        config: Any = {}
        if scheme == "s3" and os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "1"):
            config = {"skip_signature": True}
        if scheme == "s3" and self._requester_pays:
            config["request_payer"] = True
        try:
            if scheme in ("http", "https"):
                return HTTPStore.from_url(root, client_options=client, retry_config=retry)
            return from_url(root, config=config, client_options=client, retry_config=retry)
        except (BaseError, ValueError) as error:
            # the text of the error may contain the signature
            reason = f"{scheme} addresses can't be opened with the settings of the environment"
            raise SourceError(reason, transient=False) from error


def _server(href: str) -> str:
    """Return the server of an address: its host, or its bucket."""
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}"


def _container(href: str) -> str:
    """Return the top folder of the server that a file is in: access is granted by container."""
    path = urlsplit(href).path.lstrip("/")
    return f"{_server(href)}/{path.partition('/')[0] if '/' in path else ''}"


def local_path(href: str) -> Path | None:
    """Return the path of an address without a host, or None."""
    if href.startswith("file://"):
        return Path(unquote(urlsplit(href).path))
    return None if "://" in href else Path(href)


def _request(store: ObjectStore, path: str, start: int, length: int) -> FetchedRange:
    result = obstore.get(store, path, options={"range": (start, start + length)})
    return FetchedRange(memoryview(result.bytes()), result.meta["size"])


def _read_local(path: Path, start: int, length: int) -> FetchedRange:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return FetchedRange(memoryview(os.pread(file.fileno(), length, start)), size)


class _SigningError(OSError):
    """An address that could not be signed."""


@dataclass(frozen=True)
class _Failure:
    reason: str
    transient: bool
    busy: bool = False
    refused: bool = False
    unreachable: bool = False
    """True if no connection was made: nothing listens there, or the host is unknown."""


def _explain(error: BaseError | OSError) -> _Failure:
    """Return why a request failed, without the error's text: that contains the signed address."""
    if isinstance(error, FileNotFoundError):
        return _Failure("it does not exist", transient=False, refused=True)
    if isinstance(error, _SigningError):
        return _Failure(f"its address could not be signed ({error})", transient=True)
    if isinstance(error, OSError) and error.errno is not None:
        return _Failure(f"it can't be read: {error.strerror}", transient=False)
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return _Failure("its server does not let us read it", transient=False, refused=True)
    if kind in ("NotSupportedError", "InvalidPathError", "UnknownConfigurationKeyError"):
        return _Failure(f"its server can't send parts of it ({kind})", transient=False)
    if "token request" in str(error):
        reason = "its store requires credentials and the environment has none that are valid"
        return _Failure(f"{reason}; set them, or declare the data as public", transient=True)
    code = _status(error)
    if code is None and "kind: Connect," in str(error):
        return _Failure("no connection to its server was made", transient=True, unreachable=True)
    if code is None:
        return _Failure("the connection to its server failed or stalled", transient=True)
    return _Failure(
        f"its server answered with status {code}",
        transient=code in TRANSIENT_STATUS,
        busy=code in _BUSY_STATUS,
        refused=code in REFUSED_STATUS,
    )


def _status(error: BaseError | OSError) -> int | None:
    """Return the HTTP status of an error; obstore reports it in its text only."""
    status = re.search(r"status code: (\d{3})", str(error))
    return int(status[1]) if status else None
