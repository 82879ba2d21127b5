"""The sample's server behind a link: a latency before each answer and a bandwidth that all answers share."""

import asyncio
import json
import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factory_pipeline.synthetic.faults import COUNTS_PATH, FaultyFront
from factory_pipeline.synthetic.files import FolderFiles
from factory_pipeline.synthetic.server import HOST
from factory_pipeline.synthetic.stac_api import STAC_PATH, CatalogApi


@dataclass(frozen=True)
class Link:
    """What lies between client and server."""

    latency_s: float = 0.0
    """Wait before each answer."""
    bytes_per_s: float | None = None
    """Of all answers together; None: as fast as the machine."""


@dataclass(frozen=True)
class Traffic:
    """What a server was asked."""

    requests: int
    bytes: int
    """Of bodies."""


class ArchiveServer:
    """Files with ranges, and a STAC API if there is a catalog, in a process of its own for a `with` block."""

    def __init__(self, root: Path, link: Link) -> None:
        self._root = root
        self.link = link
        self.url = ""
        """URL of the root, without a slash at its end; known within the `with` block."""

    @property
    def stac_url(self) -> str:
        """URL of the STAC API."""
        return self.url + STAC_PATH

    def traffic(self) -> Traffic:
        """Everything since the start."""
        with urlopen(self.url + COUNTS_PATH) as answer:
            counts = json.load(answer).values()
        return Traffic(sum(count["requests"] for count in counts), sum(count["bytes"] for count in counts))

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(there, self._root, self.link), daemon=True)
        self._process.start()
        there.close()
        self.url = here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


class _Narrow:
    """Lets a body pass when all bodies before it have passed."""

    def __init__(self, app: ASGIApp, bytes_per_s: float) -> None:
        self._app, self._bytes_per_s = app, bytes_per_s
        self._free_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pass_through(message: Message) -> None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now) + len(message.get("body", b"")) / self._bytes_per_s
            await asyncio.sleep(self._free_at - now)
            await send(message)

        await self._app(scope, receive, pass_through)


def _serve(pipe: Connection, root: Path, link: Link) -> None:
    catalog = CatalogApi(root).routes() if (root / "stac" / "catalog.json").exists() else []
    routes = [*catalog, Route("/{path:path}", FolderFiles(root).answer)]
    app: ASGIApp = Starlette(routes=routes)
    if link.bytes_per_s is not None:
        app = _Narrow(app, link.bytes_per_s)
    front = FaultyFront(app, (), link.latency_s)
    config = uvicorn.Config(
        front,
        host=HOST,
        port=0,
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=60,
    )
    with config.bind_socket() as listener:
        pipe.send(f"http://{HOST}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])
