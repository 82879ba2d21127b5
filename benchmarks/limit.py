"""What no reader of whole blocks can go below: receiving each that is needed once, and inflating it."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import imagecodecs
from obstore.store import HTTPStore

from factory_pipeline.cog.header import HeaderBytes, RasterLayout, parse_header
from factory_pipeline.cog.read_plan import plan_reads
from factory_pipeline.cog.reader import WindowRead, stack_reads

IN_FLIGHT = 64


@dataclass(frozen=True)
class Block:
    """One block of one file."""

    path: str
    """Of its file, below the server's root."""
    start: int
    size: int
    """Bytes in the file."""
    decoded: int
    """Most bytes that it inflates to."""


def unique_blocks(root: Path, reads: Sequence[WindowRead]) -> list[Block]:
    """Every block that the windows touch, once."""
    paths = {href: urlsplit(href).path.lstrip("/") for read in reads for href in read.hrefs}
    layouts = {href: _layout(href, root / path) for href, path in paths.items()}
    return [
        Block(
            paths[layout.href],
            int(layout.offsets[block]),
            int(layout.byte_counts[block]),
            layout.block_bytes,
        )
        for layout, blocks in plan_reads(stack_reads(reads), layouts).uses.items()
        for block in blocks
    ]


def receive(url: str, blocks: Sequence[Block]) -> Callable[[], int]:
    """Fetch each block with the engine's client, and let it go; the work gives the bytes."""
    store = HTTPStore.from_url(url, client_options={"allow_http": True})

    async def fetch_all() -> int:
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def fetch(block: Block) -> int:
            async with slots:
                return len(await store.get_range_async(block.path, start=block.start, length=block.size))

        return sum(await asyncio.gather(*(fetch(block) for block in blocks)))

    return lambda: asyncio.run(fetch_all())


def receive_by_socket(url: str, blocks: Sequence[Block]) -> Callable[[], int]:
    """Fetch each block over a bare socket: what the kernel alone takes."""
    address = urlsplit(url)

    def fetch(part: Sequence[Block]) -> int:
        buffer, total = bytearray(16 * 2**20), 0
        with socket.create_connection((address.hostname, address.port)) as connection:
            for block in part:
                asked = f"bytes={block.start}-{block.start + block.size - 1}"
                connection.sendall(
                    f"GET /{block.path} HTTP/1.1\r\nHost: {address.netloc}\r\nRange: {asked}\r\n\r\n".encode()
                )
                got = connection.recv_into(buffer)
                while (end := buffer.find(b"\r\n\r\n", 0, got)) < 0:
                    got += connection.recv_into(memoryview(buffer)[got:])
                while got < end + 4 + block.size:
                    got += connection.recv_into(memoryview(buffer)[got:])
                total += block.size
        return total

    def work() -> int:
        with ThreadPoolExecutor(8) as pool:
            return sum(pool.map(fetch, [blocks[first::8] for first in range(8)]))

    return work


def inflate(root: Path, blocks: Sequence[Block]) -> Callable[[], int]:
    """Inflate each block from memory; the work gives the bytes."""
    stored = []
    for block in blocks:
        with (root / block.path).open("rb") as file:
            file.seek(block.start)
            stored.append((file.read(block.size), block.decoded))
    return lambda: sum(len(imagecodecs.deflate_decode(data, out=size)) for data, size in stored)


def _layout(href: str, path: Path) -> RasterLayout:
    data = path.read_bytes()
    header = HeaderBytes(len(data))
    header.add(0, memoryview(data))
    return parse_header(href, header)
