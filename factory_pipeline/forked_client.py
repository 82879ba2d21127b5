"""The client of servers and object stores, which does not work in a process that was forked once it ran.

Its threads are not in the forked process: a request there would wait for ever, whatever its time limit.
"""

import os

from factory_pipeline.errors import StoreError

_opened_in: int | None = None
"""The process that opened a client first: this one, or the one that it was forked from."""


def require_own_client() -> None:
    """Note that this process opens a client, or uses one; call it each time before that.

    Raises:
        StoreError: the process that this one was forked from had opened one.
    """
    global _opened_in
    if _opened_in is None:
        _opened_in = os.getpid()
    elif _opened_in != os.getpid():
        raise StoreError(
            "This process was forked from one that had asked a server or an object store before, and can't"
            " ask any: start such processes by spawn, as multiprocessing.get_context('spawn') does."
        )
