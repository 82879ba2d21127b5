"""Arrays that a thread uses again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from factory_pipeline.cog.scratch import Scratch


def test_an_array_is_used_again_under_its_name_in_any_shape_that_it_has_room_for() -> None:
    scratch = Scratch()
    first = scratch.empty("a", (4, 6))
    again = scratch.empty("a", (3, 5), np.uint16)
    assert (again.shape, again.dtype) == ((3, 5), np.uint16)
    assert np.shares_memory(first, again)
    assert not np.shares_memory(first, scratch.empty("b", (4, 6)))
    larger = scratch.empty("a", (40, 6))
    assert not np.shares_memory(first, larger)
    assert np.shares_memory(larger, scratch.empty("a", (4, 6)))


def test_large_arrays_are_not_kept() -> None:
    scratch = Scratch()
    assert not np.shares_memory(scratch.empty("a", (1024, 1024)), scratch.empty("a", (1024, 1024)))
    scratch = Scratch(largest=8 * 1024**2)
    assert np.shares_memory(scratch.empty("a", (1024, 1024)), scratch.empty("a", (1024, 1024)))


def test_each_thread_has_its_own() -> None:
    scratch = Scratch()
    own = scratch.empty("a", (4,))
    with ThreadPoolExecutor(1) as thread:
        assert not np.shares_memory(own, thread.submit(scratch.empty, "a", (4,)).result())
