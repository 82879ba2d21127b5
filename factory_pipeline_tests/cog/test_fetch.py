"""Blocks come over HTTP once, whatever goes wrong on the way."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy, SourceError
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, layout_of, random_values, write_raster
from factory_pipeline_tests.cog.sample_reads import sample_reads

pytestmark = pytest.mark.integration

HASTY = RetryPolicy(retries=8, pause=0.01, stall=0.4)
ONCE = RetryPolicy(retries=1, pause=0.01, stall=0.4)
HEADER = 32768
BLOCK, BLOCKS_ACROSS = 112, 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rasters of 225 blocks of about 20 kB each."""
    root = tmp_path_factory.mktemp("rasters")
    for seed in range(3):
        values = random_values((BLOCK * BLOCKS_ACROSS,) * 2, seed=seed, high=30000)
        write_raster(root / f"{seed}.tif", values, 10, blockxsize=BLOCK, blockysize=BLOCK)
    return root


def reads_from(root: str, count: int = 60) -> list[WindowRead]:
    """Windows that share blocks, in the upper left part of each raster."""
    random = np.random.default_rng(0)
    places = random.integers(0, 400, (count, 2))
    return [
        WindowRead(
            (f"{root}/{number % 3}.tif",),
            Grid(UTM, LEFT + 10 * x + 5 * (number % 2), TOP - 10 * y, 10, 10, 32, 32),
            Resampling.BILINEAR,
        )
        for number, (x, y) in enumerate(places.tolist())
    ]


def assert_as_local(answers: list[ReadWindow | ReadFailure], folder: Path) -> None:
    for answer, local in zip(answers, BlockReader().read(reads_from(str(folder))), strict=True):
        assert isinstance(answer, ReadWindow), answer
        assert isinstance(local, ReadWindow)
        np.testing.assert_array_equal(answer.values, local.values)
        np.testing.assert_array_equal(answer.valid, local.valid)


def needed_blocks(reads: list[WindowRead]) -> list[tuple[str, int]]:
    """Address and number of every block that holds a neighbour of a window's pixels."""
    blocks = set()
    for read in reads:
        column, row = (read.grid.left - LEFT) / 10, (TOP - read.grid.top) / 10
        rows = range(int(max(row - 0.5, 0)) // BLOCK, int(row + 31.5) // BLOCK + 1)
        columns = range(int(max(column - 0.5, 0)) // BLOCK, int(column + 31.5) // BLOCK + 1)
        blocks |= {
            (read.hrefs[0], row * BLOCKS_ACROSS + column) for row, column in itertools.product(rows, columns)
        }
    return sorted(blocks)


def test_every_block_is_fetched_once(folder: Path) -> None:
    blocks = needed_blocks(reads_from(str(folder)))
    unique = sum(int(layout_of(path)[0].byte_counts[block]) for path, block in blocks)
    reader = BlockReader(retry_policy=HASTY)

    with SampleServer(folder) as server:
        assert_as_local(reader.read(reads_from(server.url)), folder)
        first = server.counts()
        reader.read(reads_from(server.url))
        second = server.counts()

    sent = sum(count.bytes for count in first.values())
    assert unique < sent <= 1.1 * unique + 3 * 2 * HEADER
    # Neighbours in the file share a request.
    assert sum(count.requests for count in first.values()) < len(blocks)
    # Headers are not fetched again.
    assert sum(count.bytes for count in second.values()) - sent <= 1.1 * unique


@pytest.mark.parametrize(
    "fault",
    [
        Faults(path="*.tif", fraction=0.1, status=503),
        Faults(path="*.tif", fraction=0.1, status=429, retry_after_s=1),
        Faults(path="*.tif", fraction=0.2, truncate=True),
        Faults(path="*.tif", fraction=0.2, reset=True),
        Faults(path="*.tif", fraction=0.1, delay_s=1.0),
    ],
    ids=["503", "429", "truncated", "reset", "stalled"],
)
def test_faults_that_pass_leave_no_trace(folder: Path, fault: Faults) -> None:
    with SampleServer(folder, faults=[fault]) as server:
        assert_as_local(BlockReader(retry_policy=HASTY).read(reads_from(server.url)), folder)


def test_all_faults_at_once_leave_no_trace_in_a_build(small_archive: Path) -> None:
    """All layers of the sample archive, over a server on which a quarter of the requests go wrong."""
    faults = [
        Faults(path="*.tif", fraction=0.1, seed=1, status=503),
        Faults(path="*.tif", fraction=0.05, seed=2, truncate=True),
        Faults(path="*.tif", fraction=0.05, seed=3, reset=True),
        Faults(path="*.tif", fraction=0.05, seed=4, delay_s=2.0),
    ]
    patient = replace(HASTY, retries=12, stall=1.0)  # a busy machine is no fault
    with SampleServer(small_archive) as server:
        undisturbed = BlockReader().read(sample_reads(small_archive, server.url, every=8))
        requests = sum(count.requests for count in server.counts().values())
    with SampleServer(small_archive, faults=faults) as server:
        disturbed = BlockReader(retry_policy=patient).read(sample_reads(small_archive, server.url, every=8))
        assert sum(count.requests for count in server.counts().values()) > 1.1 * requests

    for one, other in zip(undisturbed, disturbed, strict=True):
        assert isinstance(one, ReadWindow), one
        assert isinstance(other, ReadWindow), other
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.valid, other.valid)


@pytest.mark.parametrize(
    ("fault", "reason", "transient"),
    [
        (Faults(path="/1.tif", status=503), "its server answered with status 503 (2 attempts)", True),
        (
            Faults(path="/1.tif", truncate=True),
            "the connection to its server failed or stalled (2 attempts)",
            True,
        ),
        (Faults(path="/1.tif", status=404), "it does not exist", False),
        (Faults(path="/1.tif", status=403), "its server does not let us read it", False),
        (Faults(path="/1.tif", status=400), "its server answered with status 400", False),
    ],
    ids=["503", "truncated", "404", "403", "400"],
)
def test_faults_that_stay_fail_only_the_windows_of_their_file(
    folder: Path, fault: Faults, reason: str, transient: bool
) -> None:
    with SampleServer(folder, faults=[fault]) as server:
        reads = reads_from(server.url, 9)
        answers = BlockReader(retry_policy=ONCE).read(reads)
        href = f"{server.url}/1.tif"

    refused = reason in ("it does not exist", "its server does not let us read it")
    failure = ReadFailure(href, f"{href} can't be read: {reason}.", transient, refused=refused)
    assert answers[1::3] == [failure] * 3
    assert all(isinstance(answer, ReadWindow) for answer in answers[::3] + answers[2::3])


def test_server_that_is_not_there_fails_for_a_passing_reason() -> None:
    (answer,) = BlockReader(retry_policy=ONCE).read(reads_from("http://127.0.0.1:9", 1))

    assert isinstance(answer, ReadFailure)
    assert answer.transient


@pytest.mark.parametrize(
    "fault", [Faults(after=8, status=503), Faults(after=8, reset=True)], ids=["503", "reset"]
)
def test_a_server_that_goes_away_in_the_middle_is_told_from_files_that_never_come(
    folder: Path, fault: Faults
) -> None:
    with SampleServer(folder, faults=[fault]) as server:
        answers = BlockReader(retry_policy=ONCE).read(reads_from(server.url))
        # 8 answers, and a try or two for each of at most 64 requests and for what came before.
        assert sum(count.requests for count in server.counts().values()) < 8 + 64 * 2 * (2 + 3)

    failures = [answer for answer in answers if isinstance(answer, ReadFailure)]
    assert failures
    assert all(failure.unavailable and failure.transient for failure in failures)
    assert all("its server has stopped responding." in failure.reason for failure in failures)


def test_a_server_that_comes_back_loses_nothing(folder: Path) -> None:
    """It is away for longer than any request is tried again, but for the last try."""
    reader = BlockReader(retry_policy=ONCE, requests_in_flight=1)
    with SampleServer(folder, faults=[Faults(path="/1.tif", after=2, times=2, status=503)]) as server:
        assert_as_local(reader.read(reads_from(server.url)), folder)


def test_a_server_that_was_away_is_asked_again_by_the_next_batch(folder: Path) -> None:
    reader = BlockReader(retry_policy=ONCE, requests_in_flight=1)
    with SampleServer(folder, faults=[Faults(after=4, times=5, reset=True)]) as server:
        first = reader.read(reads_from(server.url))
        assert any(isinstance(answer, ReadFailure) and answer.unavailable for answer in first)
        assert_as_local(reader.read(reads_from(server.url)), folder)


def test_a_server_that_asks_for_an_hour_is_away(folder: Path) -> None:
    reader = BlockReader(retry_policy=ONCE)
    fault = Faults(path="/1.tif", after=1, status=503, retry_after_s=3600)
    with SampleServer(folder, faults=[fault]) as server:
        answers = reader.read(reads_from(server.url))
    failures = [answer for answer in answers if isinstance(answer, ReadFailure)]
    assert any(failure.unavailable and "asks to wait" in failure.reason for failure in failures)


def test_a_server_that_refuses_what_it_sent_before_counts_as_away(folder: Path) -> None:
    faults = [Faults(path="/0.tif", after=1, status=404), Faults(path="/1.tif", status=503)]

    async def fetch_both(url: str) -> None:
        source = ByteSource(None, ONCE)
        await source.fetch(f"{url}/0.tif", 0, 100)
        await source.fetch(f"{url}/1.tif", 0, 100)

    with (
        SampleServer(folder, faults=faults) as server,
        pytest.raises(SourceError, match="refuses what it sent before") as told,
    ):
        asyncio.run(fetch_both(server.url))
    assert told.value.transient
    assert told.value.unavailable


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_all_in_the_middle_is_away_until_it_gives_again(
    folder: Path, status: int
) -> None:
    """As archives do that lock out who asks much, or whose tokens have ended."""
    reader = BlockReader(retry_policy=ONCE, requests_in_flight=4)
    fault = Faults(after=8, times=12, status=status)
    with SampleServer(folder, faults=[fault]) as server:
        first = reader.read(reads_from(server.url))
        asked = sum(count.requests for count in server.counts().values())
        for _ in range(12):
            answers = reader.read(reads_from(server.url))
            if all(isinstance(answer, ReadWindow) for answer in answers):
                break
            assert any(isinstance(answer, ReadFailure) and answer.unavailable for answer in answers)
        assert_as_local(answers, folder)
    failures = [answer for answer in first if isinstance(answer, ReadFailure)]
    assert failures
    assert all(failure.unavailable and failure.transient for failure in failures)
    assert "its server refuses what it sent before." in failures[0].reason
    # Whoever refuses is left alone.
    assert asked < 8 + 4 * 3
