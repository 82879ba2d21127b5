"""Byte ranges of files, wherever they lie: local folders, web servers, object stores.

Requests go through obstore. Its own retries are switched off: it does not retry a body that breaks off or
comes short, and two layers of retries would multiply. A web server that says how long it wants to be left
alone (Retry-After) is left alone so long, by all requests; see `retry_after`. One that is busy and doesn't
say, and an object store, whose answers obstore doesn't show, gets pauses four times as long, about 50
seconds in all by default. What fails even then is asked for once more if its server still sends what it has
sent before: so a file that never comes is told from a server that went away.
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

from factory_pipeline.cog.retry_after import BusyHosts, HostBusyError
from factory_pipeline.web_retries import PASSING_STATUS

_BUSY_STATUS = {429, 503}
REFUSED_STATUS = frozenset({401, 402, 403, 404, 407, 410, 451})
"""Answers of a server that will not give a file: to this account, for now, or at all."""
_LONGEST_PAUSE = 20.0
_BUSY_FACTOR = 4
_STORES_KEPT = 64
_WITNESS_TRIES = 3
"""One refusal among many answers must not count as an outage."""


class SourceError(Exception):
    """Bytes that could not be had; the message is a sentence without credentials."""

    def __init__(self, reason: str, *, passing: bool, away: bool = False, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused
        """True where the server answers that there is no such file, or that it may not be read."""
        self.passing = passing
        """True where a later try may succeed."""
        self.away = away
        """True where the server sends nothing at all any more, or nothing of what it sent before."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long a server is waited for."""

    retries: int = 6
    """Tries after the first one."""
    pause: float = 0.5
    """Seconds before the first retry; doubled for each that follows, up to 20, with jitter."""
    stall: float = 20.0
    """Seconds without a byte after which a request is given up."""
    longest_wait: float = 600.0
    """Largest Retry-After that is waited for, in seconds; a server that asks for more is not asked again."""


@dataclass(frozen=True)
class FetchedRange:
    """What a range request brought."""

    data: memoryview
    file_size: int
    """Size of the whole file in bytes."""


class ByteSource:
    """Fetches ranges of files by address. One store (and so one connection pool) per host or bucket.

    `sign` is asked before every request, one call at a time and off the event loop, so that a token that
    ends during a long run is renewed; it is expected to remember its tokens.
    """

    def __init__(self, sign: Callable[[str], str] | None, patience: RetryPolicy) -> None:
        self._sign = sign
        self._patience = patience
        self._stores: OrderedDict[str, ObjectStore] = OrderedDict()
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="sign")
        self._busy = BusyHosts(patience.stall, patience.longest_wait)
        self._known_good: dict[str, str] = {}
        self._away: dict[str, str] = {}
        """By server: why nothing is asked of it."""

    def reset_outages(self) -> None:
        """Ask the servers again that had gone away."""
        self._away.clear()

    async def fetch(self, href: str, start: int, length: int, *, exact: bool = True) -> FetchedRange:
        """Bytes `start` to `start + length` of a file.

        With `exact=False` the file may end earlier.

        Raises:
            SourceError: the file isn't there, may not be read, or did not come after all retries.
        """
        tries = self._patience.retries + 1
        try:
            answer = await self._fetch_with_retries(href, start, length, exact, tries)
        except SourceError as refusal:
            if not refusal.refused or not await self._gives_again(href):
                raise
            # It may give again since.
            answer = await self._fetch_with_retries(href, start, length, exact, 1)
        if isinstance(answer, _Failure) and await self._probe_server(href):
            # It may have come back after the last try.
            answer = await self._fetch_with_retries(href, start, length, exact, 1)
        if isinstance(answer, FetchedRange):
            self._known_good[_server(href)] = self._known_good[_container(href)] = href
            return answer
        raise SourceError(f"{answer.reason} ({tries} tries)", passing=True)

    async def _fetch_with_retries(
        self, href: str, start: int, length: int, exact: bool, tries: int
    ) -> "FetchedRange | _Failure":
        """A range, or the failure of the last of so many tries, which is a passing one."""
        failure = _Failure("it was not asked for", passing=True)
        for attempt in range(tries):
            if (why := self._away.get(_server(href))) is not None:
                raise SourceError(why, passing=True, away=True)
            try:
                await self._busy.wait(href)
                fetched = await self._try(href, start, length)
                expected = length if exact else min(length, fetched.file_size - start)
                if len(fetched.data) == expected:
                    return fetched
                if exact and start + length > fetched.file_size:
                    raise SourceError("the file is shorter than its header says", passing=False)
                failure = _Failure("its server sent less than was asked for", passing=True)
            except HostBusyError as error:
                raise SourceError(str(error), passing=True, away=True) from error
            except (BaseError, OSError) as error:
                failure = _explain(error)
            if not failure.passing:
                raise SourceError(failure.reason, passing=False, refused=failure.refused)
            if attempt < tries - 1 and not self._busy.seconds_left(href):
                await asyncio.sleep(self._pause(attempt, busy=failure.busy))
        return failure

    async def _probe_server(self, href: str) -> bool:
        """Whether the server of a file that did not come sends what it has sent before; False where it has
        sent nothing yet.

        Raises:
            SourceError: it doesn't. Nothing more is asked of it until `forget_who_was_away`.
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
            if not refusal.away:
                return True  # who refuses answers
            raise
        raise self._is_away(href, "its server has stopped answering")

    async def _gives_again(self, href: str) -> bool:
        """Whether the server of a refused file gives what it gave before; False where it gave nothing.

        A file that is missing or private is refused alone. A token that has ended, or an account that is
        locked out for its many requests, is refused everything.

        Raises:
            SourceError: it refuses that too. Nothing more is asked of it until `forget_who_was_away`.
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
        return self._is_away(href, "its server refuses what it sent before")

    def _is_away(self, href: str, why: str) -> SourceError:
        return SourceError(self._away.setdefault(_server(href), why), passing=True, away=True)

    async def _try(self, href: str, start: int, length: int) -> FetchedRange:
        local = local_path(href)
        if local is not None:
            return await asyncio.to_thread(_read_local, local, start, length)
        url = await self._signed(href)
        store, path = self._locate(url)
        sent = time.monotonic()
        try:
            result = await obstore.get_async(store, path, options={"range": (start, start + length)})
            return FetchedRange(memoryview(await result.bytes_async()), result.meta["size"])
        except BaseError as error:
            if not isinstance(store, HTTPStore) or _status(error) not in PASSING_STATUS:
                raise
            told = await self._busy.ask(url, start, length, sent)
            if told is None:
                raise
            return FetchedRange(*told)

    async def _signed(self, href: str) -> str:
        if self._sign is None:
            return href
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._signing, self._sign, href)
        except Exception as error:
            raise _SigningError(type(error).__name__) from error

    def _pause(self, attempt: int, *, busy: bool) -> float:
        longest = min(self._patience.pause * 2**attempt, _LONGEST_PAUSE)
        if busy:
            longest = min(longest * _BUSY_FACTOR, _LONGEST_PAUSE)
        return longest * random.uniform(0.5, 1)

    def _locate(self, url: str) -> tuple[ObjectStore, str]:
        """The store that an address belongs to, and the path in it."""
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme in ("http", "https"):
            # obstore keeps the query of a store's address in every request, and encodes paths itself
            root = f"{root}/?{parts.query}" if parts.query else root
            path = unquote(parts.path.lstrip("/"))
        else:
            # A name in an object store may hold what begins a fragment elsewhere.
            path = urlsplit(url, allow_fragments=False).path.lstrip("/")
        store = self._stores.pop(root, None) or self._open(root, parts.scheme)
        self._stores[root] = store
        if len(self._stores) > _STORES_KEPT:
            self._stores.popitem(last=False)
        return store, path

    def _open(self, root: str, scheme: str) -> ObjectStore:
        client: Any = {
            "allow_http": True,  # it is the address, or the endpoint in the environment, that decides
            "connect_timeout": timedelta(seconds=min(10.0, self._patience.stall)),
            "read_timeout": timedelta(seconds=self._patience.stall),
            "timeout": timedelta(minutes=5),
        }
        retry: Any = {"max_retries": 0}
        config: Any = {}
        if scheme == "s3" and os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "1"):
            config = {"skip_signature": True}
        try:
            if scheme in ("http", "https"):
                return HTTPStore.from_url(root, client_options=client, retry_config=retry)
            return from_url(root, config=config, client_options=client, retry_config=retry)
        except (BaseError, ValueError) as error:
            # the text of the error may hold the signature
            reason = f"{scheme} addresses can't be opened with the settings of the environment"
            raise SourceError(reason, passing=False) from error


def _server(href: str) -> str:
    """What answers for an address: its host, or its bucket."""
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}"


def _container(href: str) -> str:
    """The folder at the top of a server in which a file lies: access is given container by container."""
    path = urlsplit(href).path.lstrip("/")
    return f"{_server(href)}/{path.partition('/')[0] if '/' in path else ''}"


def local_path(href: str) -> Path | None:
    """The file that an address without a host names, or None."""
    if href.startswith("file://"):
        return Path(unquote(urlsplit(href).path))
    return None if "://" in href else Path(href)


def _read_local(path: Path, start: int, length: int) -> FetchedRange:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return FetchedRange(memoryview(os.pread(file.fileno(), length, start)), size)


class _SigningError(OSError):
    """An address that could not be signed."""


@dataclass(frozen=True)
class _Failure:
    reason: str
    passing: bool
    busy: bool = False
    refused: bool = False


def _explain(error: BaseError | OSError) -> _Failure:
    """Why a request failed. The text of the error holds the signed address: it is never passed on."""
    if isinstance(error, FileNotFoundError):
        return _Failure("it isn't there", passing=False, refused=True)
    if isinstance(error, _SigningError):
        return _Failure(f"its address could not be signed ({error})", passing=True)
    if isinstance(error, OSError) and error.errno is not None:
        return _Failure(f"it can't be read: {error.strerror}", passing=False)
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return _Failure("its server does not let us read it", passing=False, refused=True)
    if kind in ("NotSupportedError", "InvalidPathError", "UnknownConfigurationKeyError"):
        return _Failure(f"its server can't send parts of it ({kind})", passing=False)
    if "token request" in str(error):
        reason = "its store is asked with credentials and the environment has none that can be had"
        return _Failure(f"{reason}; name them, or say that the data is public", passing=True)
    code = _status(error)
    if code is None:
        return _Failure("the connection to its server failed or stalled", passing=True)
    return _Failure(
        f"its server answered with status {code}",
        passing=code in PASSING_STATUS,
        busy=code in _BUSY_STATUS,
        refused=code in REFUSED_STATUS,
    )


def _status(error: BaseError | OSError) -> int | None:
    """The status of an answer that is an error; obstore tells it in words only."""
    status = re.search(r"status code: (\d{3})", str(error))
    return int(status[1]) if status else None
