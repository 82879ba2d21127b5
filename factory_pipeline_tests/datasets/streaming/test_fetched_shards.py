"""Shards below an address: what does not answer is told without credentials, and closing ends the thread."""

import threading

import pytest

from factory_pipeline.cog.byte_ranges import RetryPolicy
from factory_pipeline.datasets.streaming.fetched_shards import FetchedShards
from factory_pipeline.datasets.streaming.shard_source import Shard
from factory_pipeline.errors import DatasetFileError

NOWHERE = "http://user:SECRET@127.0.0.1:1/train/"
"""No host listens on this port."""


def test_a_host_that_does_not_answer_is_told_and_the_thread_ends() -> None:
    before = set(threading.enumerate())
    shards = FetchedShards(NOWHERE, RetryPolicy(retries=0))
    (own,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "fetch-shards")
    for asked in (lambda: shards.read_index("index.json"), shards.request(Shard("a.bin", 1, 9), 0, 0).result):
        with pytest.raises(DatasetFileError, match=r"http://127\.0\.0\.1:1/train/") as error:
            asked()
        assert "SECRET" not in str(error.value)
    shards.close()
    own.join(10)
    assert not own.is_alive()


def test_an_index_without_a_server_is_given_up_soon_and_a_shard_is_waited_for() -> None:
    shards = FetchedShards(NOWHERE, RetryPolicy(retries=6, pause=0.001))
    with pytest.raises(DatasetFileError, match=r"no connection .* check its host and port \(4 attempts\)"):
        shards.read_index("index.json")
    with pytest.raises(DatasetFileError, match=r"no connection .* \(7 attempts\)"):
        shards.request(Shard("a.bin", 1, 9), 0, 0).result()
    shards.close()
