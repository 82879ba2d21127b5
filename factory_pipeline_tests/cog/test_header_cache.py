"""Headers are fetched once, ahead of the read or with it, and bounded in bytes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from factory_pipeline.cog import header_cache
from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy
from factory_pipeline.cog.header import RasterLayout
from factory_pipeline.cog.header_cache import Header, HeaderCache
from factory_pipeline.cog.reader import ReadFailure
from factory_pipeline_tests.cog.factories import layout_of, random_values, write_raster


@pytest.fixture
def cache() -> HeaderCache:
    return HeaderCache(ByteSource(None, RetryPolicy()))


def read(cache: HeaderCache, hrefs: Sequence[str]) -> dict[str, Header]:
    async def reading() -> dict[str, Header]:
        return await cache.read(hrefs, asyncio.Semaphore(2))

    return asyncio.run(reading())


def write(path: Path) -> str:
    return write_raster(path, random_values((128, 128), "uint16"), blockxsize=16, blockysize=16)


def test_headers_that_were_read_ahead_are_not_fetched_again(cache: HeaderCache, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.tif") for number in range(2)]
    asyncio.run(cache.read_ahead(paths, 1))
    for path in paths:
        Path(path).unlink()
    headers = read(cache, paths)
    assert [type(headers[path]) for path in paths] == [RasterLayout] * 2


def test_what_fails_ahead_is_left_to_the_read(cache: HeaderCache, tmp_path: Path) -> None:
    later = str(tmp_path / "later.tif")
    asyncio.run(cache.read_ahead([later], 1))
    failure = read(cache, [later])[later]
    assert failure == ReadFailure(later, f"{later} can't be read: it does not exist.", False, False, True)
    write(tmp_path / "later.tif")
    assert isinstance(read(cache, [later])[later], RasterLayout)


def test_cached_headers_are_bounded_in_bytes(
    cache: HeaderCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{number}.tif") for number in range(6)]
    size = layout_of(paths[0])[0].nbytes
    monkeypatch.setattr(header_cache, "_HEADER_BYTES_KEPT", 3 * size)
    for kept in paths[3:], paths[:3]:  # the second time the first three are fetched again
        assert [*read(cache, paths)] == paths
        assert [*cache._headers] == kept
        assert cache._header_bytes == 3 * size
