"""The process of a command that was typed: it imports all it needs once, and workers are forked from it."""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import click

from factory_pipeline.fork_server import start_fork_server
from factory_pipeline.malloc_arenas import limit_arenas


class OwnProcess:
    """Object of the click context where the process belongs to the command, not to somebody who calls it."""

    def __init__(self) -> None:
        """Undo what whoever started the process has left it with, and what is not for a command."""
        # At the end the interpreter would search all objects of imported modules for garbage: half a second
        # of a command that imports Dagster.
        atexit.register(gc.freeze)
        # Where ended children are not told, all of them seem to have done their work.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Else the next file that is opened is what libraries take for standard error, and write into.
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)

    def end(self, status: int) -> NoReturn:
        """End the process now, without waiting for its threads.

        A thread that waits for an answer of a server does so until that has stalled, and Python waits for the
        thread.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)


def import_runs() -> None:
    """Import all that runs need, for a command that executes one.

    In a process that belongs to somebody else, or that has imported it, it does nothing.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.find_object(OwnProcess) is None:
        return
    if "factory_pipeline.definitions" in sys.modules:
        return
    # Searching what is imported for garbage takes a third of the CPU of importing it, and copies its memory
    # in each worker.
    gc.disable()
    from factory_pipeline.runs.instance import load_definitions

    load_definitions()
    gc.freeze()
    gc.enable()


def import_for_workers() -> None:
    """Import all that runs need, and have this command's workers share it; call it before anything is opened.

    In a process that belongs to somebody else it does nothing.
    """
    if click.get_current_context().find_object(OwnProcess) is None:
        return
    # Before imports start threads, and for the workers that are forked.
    limit_arenas()
    import_runs()
    from factory_pipeline.runs.history import EventLog

    EventLog.keep_empty()
    start_fork_server()
