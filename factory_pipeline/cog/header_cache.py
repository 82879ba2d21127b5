"""The headers of rasters, each fetched once and cached."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from factory_pipeline.cog.byte_ranges import ByteSource, FetchedRange, SourceError, local_path
from factory_pipeline.cog.header import (
    LAYOUT_BYTES,
    HeaderBytes,
    MissingBytesError,
    RasterLayout,
    UnsupportedRasterError,
    parse_header,
)
from factory_pipeline.cog.masks import side_mask
from factory_pipeline.cog.reader import ReadFailure

Header = RasterLayout | UnsupportedRasterError | ReadFailure
"""The layout of a raster, why the block engine can't read it, or why its header could not be fetched."""
_HEADER_RANGE = 32768
_HEADER_BYTES_KEPT = 32 * 2**20
"""Bytes of the headers that are cached: one of a Sentinel-2 band of 484 blocks takes 9 kB."""
_Fetch = Callable[[str, int, int], Awaitable[FetchedRange]]


class HeaderCache:
    """Headers by address, up to 32 MB of them; those that could not be fetched are requested again."""

    def __init__(self, source: ByteSource) -> None:
        """Start empty.

        Args:
            source: fetches the first bytes of the rasters.
        """
        self._source = source
        self._headers: dict[str, Header] = {}
        self._header_bytes = 0

    async def read(self, hrefs: Iterable[str], slots: asyncio.Semaphore) -> dict[str, Header]:
        """Return the headers of rasters; those that are not cached are fetched, all at the same time.

        Args:
            hrefs: unsigned addresses; each counts once.
            slots: limits the concurrent requests.
        """

        async def fetch(href: str, start: int, length: int) -> FetchedRange:
            return await self._source.fetch(href, start, length, exact=False)

        return await self._read(dict.fromkeys(hrefs), slots, fetch)

    async def read_ahead(self, hrefs: Iterable[str], requests_in_flight: int) -> None:
        """Cache headers that will be read later.

        Each is requested once: what fails is left to that read, which tries again and says whose fault it is.

        Args:
            hrefs: unsigned addresses; each counts once.
            requests_in_flight: largest number of concurrent requests.
        """
        await self._read(dict.fromkeys(hrefs), asyncio.Semaphore(requests_in_flight), self._source.fetch_once)

    async def _read(
        self, hrefs: Mapping[str, None], slots: asyncio.Semaphore, fetch: _Fetch
    ) -> dict[str, Header]:
        new = [href for href in hrefs if href not in self._headers]
        found = dict(zip(new, await asyncio.gather(*(_fetch(h, slots, fetch) for h in new)), strict=True))
        headers = {href: found.get(href) or self._headers[href] for href in hrefs}
        for href, header in found.items():
            if not isinstance(header, ReadFailure):
                self._headers[href] = header
                self._header_bytes += _size_of(header)
        while self._header_bytes > _HEADER_BYTES_KEPT:
            self._header_bytes -= _size_of(self._headers.pop(next(iter(self._headers))))
        return headers


def failure_of(href: str, error: SourceError) -> ReadFailure:
    """Return the failure of windows whose bytes could not be fetched.

    Args:
        href: unsigned address.
        error: why they could not.
    """
    return ReadFailure(
        href, describe_failure(href, str(error)), error.transient, error.unavailable, error.refused
    )


def describe_failure(href: str, reason: str) -> str:
    """Return why a file can't be read as a sentence, without the credentials of its address.

    Args:
        href: address.
        reason: a clause.
    """
    return f"{href.partition('?')[0]} can't be read: {reason}."


async def _fetch(href: str, slots: asyncio.Semaphore, fetch: _Fetch) -> Header:
    local = local_path(href)
    if local is not None and side_mask(local):
        return UnsupportedRasterError("a mask file beside it defines which of its pixels hold data")
    async with slots:
        try:
            first = await fetch(href, 0, _HEADER_RANGE)
            header = HeaderBytes(first.file_size)
            header.add(0, first.data)
            while True:
                try:
                    return parse_header(href, header)
                except MissingBytesError as missing:
                    more = await fetch(href, missing.start, max(missing.length, _HEADER_RANGE))
                    header.add(missing.start, more.data)
        except UnsupportedRasterError as error:
            return error
        except SourceError as error:
            return failure_of(href, error)


def _size_of(header: Header) -> int:
    """Return the bytes that a cached header takes."""
    return header.nbytes if isinstance(header, RasterLayout) else LAYOUT_BYTES
