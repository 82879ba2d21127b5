"""A module as a program that ends with the process that started it: `python -m ... PID MODULE ARGUMENTS`.

A process that is killed (`kill -9`) can't end its children. So each child watches its parent itself, and
ends as by SIGTERM once that is gone: Dagster's web server and daemon then end their own children, the code
servers, as they do at every end.

Neither it nor its children look for modules in the working directory, as the command does not: a user may
have a `numpy.py` there, or a folder `dagster`.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_END = 30.0


def command_with_parent(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a module until the calling process ends.

    Args:
        module: importable name, run as by `python -m`.
        arguments: of the module's command line.
    """
    return [sys.executable, "-P", "-m", __name__, str(os.getpid()), module, *arguments]


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    os._exit(1)


def main() -> None:
    """Run the module that the arguments name."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    os.environ["PYTHONSAFEPATH"] = "1"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
