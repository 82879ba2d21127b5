"""Work that outlives a tick of a sensor: what is slow holds up neither the tick nor the rest."""

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found")


class BackgroundTasks(Generic[Asked, Found]):
    """Tasks in threads; one that isn't done in time goes on and is asked again at the next tick."""

    def __init__(self, workers: int, name: str) -> None:
        """Nothing is under way; `name` is that of the threads."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._tasks: dict[Asked, Future[Found]] = {}

    def __contains__(self, asked: Asked) -> bool:
        """Whether a task is under way, or done and not yet given out."""
        return asked in self._tasks

    def ask(self, tasks: Mapping[Asked, Callable[[], Found]], seconds: float) -> dict[Asked, Future[Found]]:
        """Those of the tasks that are done after at most so many seconds, in their order.

        A task that is under way already is neither started again nor waited for: it has had its time.
        """
        begun = [asked for asked in tasks if asked not in self._tasks]
        for asked in begun:
            self._tasks[asked] = self._pool.submit(tasks[asked])
        wait([self._tasks[asked] for asked in begun], timeout=seconds)
        return {asked: self._tasks.pop(asked) for asked in tasks if self._tasks[asked].done()}
