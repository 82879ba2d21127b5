"""A process's clock that is set forth or back while it works."""

import datetime as standard
import sys
import time
from collections.abc import Sequence
from typing import Any


def step_clock(steps: Sequence[tuple[float, float]]) -> None:
    """Set this process's clock, as Python's code sees it, some seconds after the call.

    Args:
        steps: after how many seconds, and by how many seconds it is set.
    """
    true_time, true_ns, began = time.time, time.time_ns, time.monotonic()
    plain = standard.datetime

    def offset() -> float:
        passed = time.monotonic() - began
        return sum(by for after, by in steps if passed >= after)

    class Kind(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, plain)

    class Stepped(plain, metaclass=Kind):
        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return plain(*arguments, **named)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return plain.fromtimestamp(time.time(), tz)

    time.time = lambda: true_time() + offset()
    time.time_ns = lambda: true_ns() + round(offset() * 1e9)
    for name, module in list(sys.modules.items()):
        if name.startswith(("factory_pipeline.", "dagster.")) and getattr(module, "datetime", None) is plain:
            module.datetime = Stepped  # type: ignore[attr-defined]
