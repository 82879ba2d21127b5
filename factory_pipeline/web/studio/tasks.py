"""Work that a person started on a page, and how far it is: each is a run of the factory.

What is told here is forgotten when the studio ends; the run goes on, and its result is on the pages as ever.
"""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from factory_pipeline.errors import FactoryError
from factory_pipeline.web.studio.context import render
from factory_pipeline.web.studio.training_metrics import TrainingMetrics

AT_ONCE = 8
"""Runs that are waited for; Dagster's queue decides how many work."""
MOST_KEPT = 200
MOST_LINES = 500
log = logging.getLogger(__name__)


@dataclass
class Task:
    """Work under way, or ended."""

    title: str
    """What is done, as a sentence begins."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    step: str = "Waiting for its turn"
    fraction: float = 0.0
    lines: list[str] = field(default_factory=list)
    """What the run said, the last MOST_LINES lines."""
    error: str = ""
    href: str = ""
    """Where the result is shown; empty until it has ended well."""
    is_done: bool = False
    metrics: Callable[[], TrainingMetrics | None] = lambda: None
    """Return what a training has logged so far."""

    def progress(self, step: str, fraction: float) -> None:
        """Take how far it is.

        Args:
            step: in words.
            fraction: 0 to 1.
        """
        self.step, self.fraction = step, fraction

    def say(self, line: str) -> None:
        """Take a line of the run's log."""
        self.lines.append(line)
        del self.lines[:-MOST_LINES]


Work = Callable[[Task], str]
"""Does the work, tells the task how far it is, and returns where the result is shown."""


class Tasks:
    """The work that was started since the studio began."""

    def __init__(self) -> None:
        """Nothing was started."""
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="task")
        self._known: OrderedDict[str, Task] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, title: str, work: Work) -> Task:
        """Start work beside the requests.

        Args:
            title: in words.
            work: is called with the task.
        """
        task = Task(title)
        with self._lock:
            self._known[task.id] = task
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        self._pool.submit(self._run, task, work)
        return task

    def get(self, task_id: str) -> Task:
        """Return a task.

        Raises:
            HTTPException: it is not known: it began before the studio did, or long ago.
        """
        with self._lock:
            task = self._known.get(task_id)
        if task is None:
            raise HTTPException(404)
        return task

    def _run(self, task: Task, work: Work) -> None:
        try:
            task.href = work(task)
        except FactoryError as error:
            task.error = str(error)
        except Exception as error:
            log.exception("%s ended", task.title)
            task.error = f"This was not expected: {type(error).__name__}. The studio's log has all of it."
        finally:
            task.is_done = True


def tasks_of(request: Request) -> Tasks:
    """Return the work of the studio."""
    tasks: Tasks = request.app.state.tasks
    return tasks


def show(request: Request) -> Response:
    """Show how far some work is; the part of the page that asks again gets itself alone."""
    task = tasks_of(request).get(request.path_params["task"])
    if request.headers.get("hx-request"):
        if task.href:
            return Response(status_code=204, headers={"HX-Redirect": task.href})
        return render(request, "task_progress.html", task=task)
    return render(request, "task.html", task=task)


ROUTES = [Route("/tasks/{task}", show)]
