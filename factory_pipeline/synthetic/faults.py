"""Faults that a server simulates, and counts of its requests."""

import asyncio
import fnmatch
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

COUNTS_PATH = "/_counts"


@dataclass(frozen=True)
class Faults:
    """The faults of requests to some paths."""

    path: str = "*"
    """Glob of the request's path, such as `/stac/search` or `*.tif`."""
    after: int = 0
    """The first so many requests of the path go well."""
    times: int | None = None
    """Only so many requests of the path from there on; None: any number."""
    fraction: float = 1.0
    """The part of these requests that it happens to, drawn with `seed`."""
    seed: int = 0
    delay_s: float = 0.0
    """Wait before anything else."""
    status: int | None = None
    """Answer this status instead of the content."""
    retry_after_s: int | None = None
    """Seconds that the header Retry-After of such an answer asks for."""
    truncate: bool = False
    """Announce the full body, send half of it and close the connection."""
    reset: bool = False
    """Reset the connection without an answer."""
    range_shift: int = 0
    """Answer with a range that begins so many bytes after the requested one, or at the first byte."""


@dataclass
class PathCount:
    """The requests to one path."""

    requests: int = 0
    bytes: int = 0
    """Bytes of bodies that were sent."""
    came: list[float] = field(default_factory=list)
    """When each request came, in seconds of the machine's monotonic clock."""
    faulty: int = 0
    """Requests that a fault happened to."""


class FaultyFront:
    """Stands before the application: counts, delays, and lets happen what `Faults` say."""

    def __init__(self, app: ASGIApp, faults: Sequence[Faults], latency_s: float) -> None:
        self._app = app
        self._faults = [(fault, random.Random(fault.seed)) for fault in faults]
        self._matched: Counter[int] = Counter()
        self._latency_s = latency_s
        self._connections: dict[Any, asyncio.Transport] = {}
        self._counts: dict[str, PathCount] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["path"] == COUNTS_PATH:
            counts = {path: asdict(count) for path, count in self._counts.items()}
            await JSONResponse(counts)(scope, receive, send)
            return
        count = self._counts.setdefault(scope["path"], PathCount())
        count.requests += 1
        count.came.append(time.monotonic())
        fault = self._fault_of(scope["path"])
        if fault is None:
            fault = Faults()
        elif not fault.range_shift or any(name == b"range" for name, _ in scope["headers"]):
            count.faulty += 1
        if self._latency_s + fault.delay_s > 0:
            await asyncio.sleep(self._latency_s + fault.delay_s)
        if fault.reset:
            self._reset(scope["client"])
        elif fault.status is not None:
            asked = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            await Response(status_code=fault.status, headers=asked)(scope, receive, send)
        else:
            asked_for = _shifted(scope, fault.range_shift) if fault.range_shift else scope
            await self._app(asked_for, receive, partial(_send_counted, send, count, fault.truncate))

    def connection_class(self) -> type[asyncio.Protocol]:
        """Uvicorn's protocol, with its connections kept by the client's address so that one can be reset."""
        connections = self._connections

        class Connection(AutoHTTPProtocol):  # type: ignore[valid-type,misc]
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.peer = transport.get_extra_info("peername")
                connections[self.peer] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.peer, None)
                super().connection_lost(exc)

        return Connection

    def _fault_of(self, path: str) -> Faults | None:
        for index, (fault, generator) in enumerate(self._faults):
            if not fnmatch.fnmatchcase(path, fault.path):
                continue
            self._matched[index] += 1
            place = self._matched[index] - fault.after
            drawn = generator.random() < fault.fraction
            if drawn and place > 0 and (fault.times is None or place <= fault.times):
                return fault
        return None

    def _reset(self, client: tuple[str, int]) -> None:
        transport = self._connections[tuple(client)]
        # A socket that lingers for no time sends RST when it is closed, not FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


def _shifted(scope: Scope, by: int) -> Scope:
    """Return the request with another range; one that asks for no range stays as it is."""
    headers = [
        (
            name,
            re.sub(rb"\d+", lambda place: b"%d" % max(0, int(place[0]) + by), value)
            if name == b"range"
            else value,
        )
        for name, value in scope["headers"]
    ]
    return {**scope, "headers": headers}


async def _send_counted(send: Send, count: PathCount, truncate: bool, message: Message) -> None:
    if message["type"] == "http.response.body":
        body = message.get("body", b"")
        if truncate:
            # More is announced and never comes: uvicorn then closes the connection.
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        count.bytes += len(message.get("body", b""))
    await send(message)
