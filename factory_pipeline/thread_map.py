"""Results of threads one by one, in order, with few of them waiting.

What is iterated over is an object, not a generator that holds a pool: a generator that somebody leaves
half-way is closed by the garbage collector, in whichever thread happens to allocate, and would wait there
for its threads. Where that thread was just being started, it waited for ever.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


def map_in_threads(
    task: Callable[[_Given], _Found], given: Iterable[_Given], workers: int
) -> "ThreadResults[_Given, _Found]":
    """Run a task in threads on each argument; yield the results in order, with few of them in memory.

    Args:
        task: must be safe to run in several threads at once; what it raises is raised here.
        given: read lazily, at most about 2 * `workers` arguments ahead.
        workers: number of threads.
    """
    return ThreadResults(task, given, workers)


class ThreadResults(Iterator[_Found], Generic[_Given, _Found]):
    """Results of a task; threads make some ahead.

    Where nobody asks for the rest any more, threads end after what they have been given, and nobody waits.
    """

    def __init__(self, task: Callable[[_Given], _Found], given: Iterable[_Given], workers: int) -> None:
        """Start nothing yet.

        Args:
            task: as in `map_in_threads`.
            given: read lazily.
            workers: number of threads.
        """
        self._task = task
        self._given = iter(given)
        self._most_waiting = 2 * workers
        self._waiting: deque[Future[_Found]] = deque()
        self._pool = ThreadPoolExecutor(workers)

    def __next__(self) -> _Found:
        """Return the next result, or raise what its task or reading its argument raised."""
        try:
            for one in self._given:
                self._waiting.append(self._pool.submit(self._task, one))
                if len(self._waiting) > self._most_waiting:
                    break
            if self._waiting:
                return self._waiting.popleft().result()
        except StopIteration as error:
            self.close()
            # Else the results would end here as if there were no more.
            raise RuntimeError("A task raised StopIteration.") from error
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Wait for the tasks that were started; there are no results after this."""
        self._given = iter(())
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)
