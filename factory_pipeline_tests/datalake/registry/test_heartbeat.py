import threading
import time

import pytest

from factory_pipeline.datalake.registry.heartbeat import beating


def test_it_beats_in_a_thread_of_its_own_until_the_block_ends():
    beats: list[int] = []
    third = threading.Event()

    def beat() -> None:
        beats.append(threading.get_ident())
        if len(beats) == 3:
            third.set()

    with beating(beat, 0.001):
        assert third.wait(30)
    count = len(beats)
    assert count >= 3
    assert threading.get_ident() not in beats
    time.sleep(0.05)
    assert len(beats) == count


def test_a_block_that_fails_ends_it_too():
    before = threading.active_count()
    with pytest.raises(RuntimeError), beating(lambda: None, 0.001):
        raise RuntimeError
    assert threading.active_count() == before


def test_a_block_that_is_shorter_than_the_interval_has_no_beat():
    beats: list[None] = []
    with beating(lambda: beats.append(None), 60):
        pass
    assert beats == []
