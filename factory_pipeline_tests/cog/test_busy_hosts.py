"""A web server that says how long it wants to be left alone is left alone so long, by all requests."""

import asyncio
import logging
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy, SourceError
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.cog.content_server import CONTENT, ContentHandler, serving
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster

pytestmark = pytest.mark.integration

HASTY = RetryPolicy(retries=4, pause=0.01, stall=2)
UNDERWAY = 0.25
"""Seconds in which what was sent before a server's answer may still arrive."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rasters of one block."""
    root = tmp_path_factory.mktemp("rasters")
    for seed in range(4):
        write_raster(root / f"{seed}.tif", random_values((256, 256), seed=seed, high=30000), 10)
    return root


def reads_from(root: str) -> list[WindowRead]:
    return [WindowRead((f"{root}/{seed}.tif",), Grid(UTM, LEFT, TOP, 10, 10, 32, 32)) for seed in range(4)]


def test_no_request_comes_before_the_time_that_the_server_named(folder: Path) -> None:
    """Four requests come at once and are refused, and one more that asks for the time."""
    faults = [Faults(path="*.tif", status=429, retry_after_s=2, times=5)]
    with SampleServer(folder, faults=faults) as server:
        answers = BlockReader(retry_policy=HASTY).read(reads_from(server.url))
        came = sorted(time for count in server.counts().values() for time in count.came)

    assert all(isinstance(answer, ReadWindow) for answer in answers)
    refused, later = came[:5], came[5:]
    assert refused[-1] - refused[0] < UNDERWAY
    assert later[0] - refused[-1] >= 2


def test_other_servers_go_on_meanwhile(folder: Path) -> None:
    faults = [Faults(path="*.tif", status=503, retry_after_s=2, times=5)]
    with SampleServer(folder, faults=faults) as busy, SampleServer(folder) as free:
        BlockReader(retry_policy=HASTY).read(reads_from(busy.url) + reads_from(free.url))
        came = [time for count in busy.counts().values() for time in count.came]
        meanwhile = [time for count in free.counts().values() for time in count.came]

    assert min(meanwhile) < min(came) + 1


def test_server_that_asks_for_too_long_is_not_asked_again(folder: Path) -> None:
    reader = BlockReader(retry_policy=HASTY)
    with SampleServer(folder, faults=[Faults(path="*.tif", status=429, retry_after_s=3600)]) as server:
        first = reader.read(reads_from(server.url))
        asked = sum(count.requests for count in server.counts().values())
        second = reader.read(reads_from(server.url))
        assert sum(count.requests for count in server.counts().values()) == asked == 5

    for answer in first + second:
        assert isinstance(answer, ReadFailure)
        assert answer.transient
        assert "asks to wait 3600 seconds" in answer.reason


def test_window_is_the_same_when_it_came_with_the_question(folder: Path) -> None:
    with SampleServer(folder, faults=[Faults(path="*.tif", status=500, times=1)]) as server:
        answers = BlockReader(retry_policy=HASTY).read(reads_from(server.url))

    for answer, local in zip(answers, BlockReader().read(reads_from(str(folder))), strict=True):
        assert isinstance(answer, ReadWindow)
        assert isinstance(local, ReadWindow)
        np.testing.assert_array_equal(answer.values, local.values)


class BusyFiles(ContentHandler):
    """Refuses the first requests with what `retry_after` says, then serves CONTENT."""

    refusals = 0
    retry_after = ""
    came: list[float]
    asked: list[str]

    def answer(self) -> None:
        kind = type(self)
        kind.came.append(time.monotonic())
        kind.asked.append(self.path)
        kind.refusals -= 1
        if kind.refusals >= 0:
            self.refuse(503, Retry_After=self.retry_after)
        else:
            self.send_range()


@pytest.fixture
def server() -> Iterator[tuple[str, type[BusyFiles]]]:
    handler = type("Handler", (BusyFiles,), {"came": [], "asked": []})
    with serving(handler) as url:
        yield url, handler


def fetch(source: ByteSource, href: str) -> bytes:
    return bytes(asyncio.run(source.fetch(href, 100, 50)).data)


def test_date_is_understood(server: tuple[str, type[BusyFiles]]) -> None:
    url, handler = server
    named = int(time.time()) + 3
    handler.refusals, handler.retry_after = 2, formatdate(named, usegmt=True)

    assert fetch(ByteSource(None, HASTY), f"{url}/a.tif") == CONTENT[100:150]
    assert time.time() >= named
    assert len(handler.came) == 3


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "Fri, 99 Foo 2020 99:99:99 GMT", "9" * 5000])
def test_wait_that_cant_be_understood_is_an_ordinary_pause(
    server: tuple[str, type[BusyFiles]], retry_after: str
) -> None:
    url, handler = server
    handler.refusals, handler.retry_after = 2, retry_after
    began = time.monotonic()

    assert fetch(ByteSource(None, HASTY), f"{url}/a.tif") == CONTENT[100:150]
    assert time.monotonic() - began < 30


def test_question_is_asked_at_the_same_signed_address_which_is_shown_nowhere(
    server: tuple[str, type[BusyFiles]], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    url, handler = server
    handler.refusals, handler.retry_after = 2, "3600"
    caplog.set_level(logging.DEBUG)

    with pytest.raises(SourceError) as refused:
        fetch(ByteSource(lambda href: f"{href}?sig=SECRET%2Fa", HASTY), f"{url}/some%20folder/T31%2B.tif")

    assert len(handler.asked) == 2
    assert {unquote(path) for path in handler.asked} == {"/some folder/T31+.tif?sig=SECRET/a"}
    shown = [str(refused.value), caplog.text, *capfd.readouterr()]
    assert not any("SECRET" in text for text in shown)
