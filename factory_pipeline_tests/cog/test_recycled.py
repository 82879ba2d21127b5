"""Arrays whose memory is used again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from factory_pipeline.cog.recycled import Recycler

MB = 2**20


def address(values: np.ndarray) -> int:
    return int(values.__array_interface__["data"][0])


def test_memory_is_used_again_once_no_view_of_the_array_is_left() -> None:
    recycler = Recycler(kept=4 * MB)
    first = recycler.empty((2, MB // 4), np.uint16)
    assert (first.shape, first.dtype, type(first)) == ((2, MB // 4), np.uint16, np.ndarray)
    where = address(first)
    part = first[1].reshape(-1, 4).view(np.int16)[:, 1:]
    del first
    other = recycler.empty((MB,), np.uint8)
    assert address(other) != where
    del part
    assert address(recycler.empty((MB,), np.uint8)) == where


def test_what_is_in_use_is_never_handed_out_twice() -> None:
    recycler = Recycler(kept=4 * MB)

    def work(number: int) -> bool:
        for _ in range(50):
            mine = recycler.empty((MB // 8,), np.uint16)
            mine[:] = number
            if (mine != number).any():
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_an_array_gets_the_smallest_room_that_is_not_twice_what_it_needs() -> None:
    recycler = Recycler(kept=16 * MB)
    sizes = [MB, 3 * MB, 4 * MB]
    arrays = [recycler.empty((size,), np.uint8) for size in sizes]
    places = dict(zip(sizes, map(address, arrays), strict=True))
    del arrays
    assert address(recycler.empty((2 * MB,), np.uint8)) == places[3 * MB]
    small = recycler.empty((MB // 4,), np.uint8)
    assert address(small) != places[MB]


def test_no_more_is_kept_than_was_allowed() -> None:
    recycler = Recycler(kept=2 * MB)
    arrays = [recycler.empty((MB,), np.uint8) for _ in range(4)]
    del arrays
    assert sum(free.nbytes for free in recycler._free) == 2 * MB


def test_small_arrays_are_new_ones() -> None:
    recycler = Recycler(kept=MB)
    assert recycler.empty((4, 4), np.float32).flags.owndata
