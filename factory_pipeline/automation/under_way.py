"""Work that outlives a tick of a sensor: what is slow holds up neither the tick nor the rest."""

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found")


class UnderWay(Generic[Asked, Found]):
    """Tasks in threads; one that isn't done in time goes on and is asked again at the next tick."""

    def __init__(self, workers: int, name: str) -> None:
        """Nothing is under way; `name` is that of the threads."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._tasks: dict[Asked, Future[Found]] = {}

    def ask(self, tasks: Mapping[Asked, Callable[[], Found]], seconds: float) -> dict[Asked, Future[Found]]:
        """Those of the tasks that are done after at most so many seconds, in their order.

        A task that is under way already is not started again.
        """
        for asked, task in tasks.items():
            if asked not in self._tasks:
                self._tasks[asked] = self._pool.submit(task)
        wait([self._tasks[asked] for asked in tasks], timeout=seconds)
        return {asked: self._tasks.pop(asked) for asked in tasks if self._tasks[asked].done()}
