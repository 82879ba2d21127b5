"""A server on loopback for a folder: its files with range requests, and a STAC API over its static catalog.

It speaks to clients as the public hosts do, so that the demo and the tests go the way of a real build;
and it can be told to fail as they do.
"""

import json
import multiprocessing
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from factory_pipeline.stac.item_search import BadSearchError
from factory_pipeline.synthetic.faults import COUNTS_PATH, Faults, FaultyFront, PathCount
from factory_pipeline.synthetic.files import FolderFiles
from factory_pipeline.synthetic.stac_api import STAC_PATH, CatalogApi, bad_search

HOST = "127.0.0.1"


def _front(root: Path, faults: Sequence[Faults], latency_s: float) -> FaultyFront:
    api = CatalogApi(root).routes() if (root / "stac" / "catalog.json").exists() else []
    files = Route("/{path:path}", FolderFiles(root).answer)
    app = Starlette(routes=[*api, files], exception_handlers={BadSearchError: bad_search})
    return FaultyFront(app, faults, latency_s)


def serve(
    root: Path,
    port: int,
    on_ready: Callable[[str], None],
    faults: Sequence[Faults] = (),
    latency_s: float = 0.0,
) -> None:
    """Serve a folder on loopback until the process is asked to end.

    Files are at their path below `root`; where there is `stac/catalog.json`, `/stac` is a STAC API.

    Args:
        root: the folder.
        port: 0 takes a free one.
        on_ready: called with the URL of the root, without a slash at its end, once requests are answered.
        faults: what goes wrong; of several that match a path the first counts.
        latency_s: wait before each answer.

    Raises:
        CatalogError: the static catalog can't be read.
        OSError: the port is taken.
    """
    server = _uvicorn(_front(root, faults, latency_s))
    with _listen(port) as listener:
        # Whoever connects from here on waits in the listener's queue until the server takes it.
        on_ready(_url_of(listener))
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    return socket.create_server((HOST, port), backlog=512)


def _url_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _uvicorn(front: FaultyFront) -> uvicorn.Server:
    config = uvicorn.Config(
        front,
        http=front.connection_class(),
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


class SampleServer:
    """`serve` for the time of a `with` block, in a thread or in a process of its own.

    A process leaves the caller's Python threads alone, which matters where speed is measured.
    """

    def __init__(
        self,
        root: Path,
        port: int = 0,
        faults: Sequence[Faults] = (),
        latency_s: float = 0.0,
        own_process: bool = False,
    ) -> None:
        self._arguments = (root, port, faults, latency_s)
        self._start = self._start_process if own_process else self._start_thread
        self.url = ""
        """URL of the root, without a slash at its end; known within the `with` block."""

    @property
    def stac_url(self) -> str:
        """URL of the STAC API."""
        return self.url + STAC_PATH

    def counts(self) -> dict[str, PathCount]:
        """By path: how many requests there were, and how many bytes were sent."""
        with urlopen(self.url + COUNTS_PATH) as answer:
            return {path: PathCount(**count) for path, count in json.load(answer).items()}

    def __enter__(self) -> Self:
        self.url, self._stop = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start_thread(self) -> tuple[str, Callable[[], None]]:
        root, port, faults, latency_s = self._arguments
        server = _uvicorn(_front(root, faults, latency_s))
        listener = _listen(port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listener.close()

        return _url_of(listener), stop

    def _start_process(self) -> tuple[str, Callable[[], None]]:
        root, port, faults, latency_s = self._arguments
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        arguments = (root, port, sender.send, faults, latency_s)
        process = context.Process(target=serve, args=arguments, daemon=True)
        process.start()
        sender.close()
        try:
            url = receiver.recv()
        except EOFError as error:
            raise RuntimeError(f"The server of {root} ended before it was ready.") from error

        def stop() -> None:
            process.terminate()
            process.join()

        return url, stop
