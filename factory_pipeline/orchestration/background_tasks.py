"""Tasks that may take longer than a tick of a sensor: slow ones delay neither the tick nor the others."""

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class BackgroundTasks(Generic[Key, Found]):
    """Tasks in threads; one that isn't done in time continues and is polled again at the next tick."""

    def __init__(self, workers: int, name: str) -> None:
        """Start without tasks; `name` is that of the threads."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._tasks: dict[Key, Future[Found]] = {}

    def __contains__(self, key: Key) -> bool:
        """Return whether a task is running, or is done and was not returned yet."""
        return key in self._tasks

    def poll(self, tasks: Mapping[Key, Callable[[], Found]], seconds: float) -> dict[Key, Future[Found]]:
        """Start the tasks that are not running yet, and return those that are done, in their order.

        Args:
            tasks: what to do, by a key; one that is running already is neither started again nor waited for.
            seconds: how long to wait for the tasks that are started.
        """
        started = [key for key in tasks if key not in self._tasks]
        for key in started:
            self._tasks[key] = self._pool.submit(tasks[key])
        wait([self._tasks[key] for key in started], timeout=seconds)
        return {key: self._tasks.pop(key) for key in tasks if self._tasks[key].done()}
