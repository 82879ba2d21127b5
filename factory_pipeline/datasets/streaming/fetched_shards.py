"""Runs of samples fetched from a web server or a bucket."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy, SourceError
from factory_pipeline.datasets.streaming.shard_source import Run, Shard, offsets_of, unreadable

T = TypeVar("T")
CONNECTIONS = 4
"""Attempts to connect for the index, in about three seconds; what is fetched later gets half a minute."""
LONGEST_INDEX = 1 << 28
"""Bytes: of an index no more are read."""


class FetchedShards:
    """Shards below an address, fetched by a thread of its own with the retries of `cog.byte_ranges`."""

    def __init__(self, address: str, retry_policy: RetryPolicy | None = None) -> None:
        """Fetch nothing yet."""
        self._address = address.rstrip("/")
        self._source = ByteSource(None, retry_policy or RetryPolicy())
        self._tables: dict[str, asyncio.Task[NDArray[np.int64]]] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, name="fetch-shards", daemon=True).start()

    def read_index(self, name: str) -> bytes:
        """Return a small file."""
        index = self._fetch(name, 0, LONGEST_INDEX, exact=False, connections=CONNECTIONS)
        return self._start(index).result().tobytes()

    def request(self, shard: Shard, first: int, last: int) -> "Future[Run]":
        """As `ShardSource.request`: begin to fetch the samples."""
        return self._start(self._run(shard, first, last))

    def close(self) -> None:
        """End the thread, and what it still fetches; doesn't wait for it.

        The process does, at its end, for requests that are under way: until they have come or stalled.
        """
        self._loop.call_soon_threadsafe(self._stop)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        # The tasks end before: what is ready is run in its order.
        self._loop.call_soon(self._loop.stop)

    def _start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _run(self, shard: Shard, first: int, last: int) -> Run:
        if shard.name not in self._tables:
            self._tables[shard.name] = self._loop.create_task(self._table(shard))
        offsets = await self._tables[shard.name]
        start, end = int(offsets[first]), int(offsets[last + 1])
        return Run(
            first, offsets[first : last + 1] - start, await self._fetch(shard.name, start, end - start)
        )

    async def _table(self, shard: Shard) -> NDArray[np.int64]:
        content = await self._fetch(shard.name, 0, 4 * (shard.samples + 2))
        return offsets_of(content, shard, f"{self._address}/{shard.name}")

    async def _fetch(
        self, name: str, start: int, length: int, *, exact: bool = True, connections: int | None = None
    ) -> memoryview:
        address = f"{self._address}/{name}"
        try:
            fetched = await self._source.fetch(address, start, length, exact=exact, connections=connections)
            return fetched.data
        except SourceError as error:
            raise unreadable(address, str(error)) from error
