"""Weighs what the engine holds in memory while it reads."""

import asyncio
import dataclasses
import itertools
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.cog import header_cache
from factory_pipeline.cog.byte_ranges import ByteSource, FetchedRange
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import HeaderBytes, RasterLayout, parse_header
from factory_pipeline.cog.reader import WindowRead
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster

BLOCK, BLOCKS_ACROSS = 128, 10
MEGABYTE = 2**20


class Scales:
    """Weighs what is fetched and what is decoded for as long as it is in memory."""

    def __init__(self) -> None:
        self.peak = self._weight = 0
        self._lock = threading.RLock()

    def put(self, array: np.ndarray) -> np.ndarray:
        """Weigh an array until it is freed."""
        weakref.finalize(array, self._add, -array.nbytes)
        self._add(array.nbytes)
        return array

    def _add(self, size: int) -> None:
        with self._lock:
            self._weight += size
            self.peak = max(self.peak, self._weight)


def weigh(monkeypatch: pytest.MonkeyPatch) -> Scales:
    """Put all blocks of the engine on scales; fetches are slow enough to pile up."""
    scales = Scales()
    fetch = ByteSource.fetch

    async def weighed_fetch(self: ByteSource, href: str, *span: int, **exact: Any) -> FetchedRange:
        fetched = await fetch(self, href, *span, **exact)
        if exact:  # a header
            return fetched
        data = memoryview(scales.put(np.array(fetched.data)))
        await asyncio.sleep(0.05)
        return FetchedRange(data, fetched.file_size)

    def weighed(decode: Callable[[memoryview, int], Any] | None) -> Callable[[memoryview, int], Any]:
        assert decode
        return lambda data, asked: scales.put(decode(data, asked).copy())

    def parse(href: str, header: HeaderBytes) -> RasterLayout:
        layout = parse_header(href, header)
        return dataclasses.replace(
            layout, decode=weighed(layout.decode), decode_top=weighed(layout.decode_top)
        )

    monkeypatch.setattr(ByteSource, "fetch", weighed_fetch)
    monkeypatch.setattr(header_cache, "parse_header", parse)
    return scales


def reads_of_every_block(folder: Path) -> list[WindowRead]:
    """Write four rasters of about 3 MB, and ask for a window in every block of them."""
    paths = []
    for seed in range(4):
        values = random_values((BLOCK * BLOCKS_ACROSS,) * 2, seed=seed, high=65535)
        paths.append(write_raster(folder / f"{seed}.tif", values, 10, blockxsize=BLOCK, blockysize=BLOCK))
    places = itertools.product(paths, range(BLOCKS_ACROSS), range(BLOCKS_ACROSS))
    return [
        WindowRead((path,), Grid(UTM, LEFT + 1280 * column, TOP - 1280 * row, 10, 10, 32, 32))
        for path, row, column in places
    ]
