"""Gathering what is found in many files: threads that don't run ahead, tables that grow part by part.

A row as a dictionary takes some ten times the memory that it has in a frame.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import polars as pl

ROWS_AT_ONCE = 5_000

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


def in_order(task: Callable[[_Given], _Found], given: Iterable[_Given], workers: int) -> Iterator[_Found]:
    """Run a task in threads on each that is given; answers come in order, few of them waiting."""
    waiting: deque[Future[_Found]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for one in given:
            waiting.append(pool.submit(task, one))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def frame_of(
    rows: Iterable[Mapping[str, Any]], schema: Mapping[str, pl.DataType | type[pl.DataType]]
) -> pl.DataFrame:
    """Rows as a frame of a schema; a few thousand of them at a time as dictionaries."""
    left = iter(rows)
    parts = [pl.DataFrame(schema=schema)]
    while part := list(islice(left, ROWS_AT_ONCE)):
        parts.append(pl.DataFrame(part, schema=schema))
    return pl.concat(parts)
