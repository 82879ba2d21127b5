"""Peers in an environment of their own: a script there prepares, says so, and works when it is told."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import Work
from benchmarks.report import is_installed

APART = Path(sys.prefix) / "apart"
"""Environments of peers that need other versions than the project, each in a folder of its name."""


def find_python(variable: str, module: str) -> str | None:
    """Return the interpreter that an environment variable names, or one that has the module.

    None if the peer is not installed.
    """
    if named := os.environ.get(variable):
        return named
    apart = python_apart(module)
    if apart.exists():
        return str(apart)
    return sys.executable if is_installed(module) else None


def python_apart(peer: str) -> Path:
    """Return where the interpreter is of a peer that has an environment of its own."""
    return APART / peer / "bin" / "python"


def prepare_script(python: str, script: str, *arguments: str) -> Work:
    """Start a script of this folder, wait until it is ready, and return what lets it work and end.

    The script prints a line when it is ready, waits for a line, works, and prints its result as the last one.
    """
    process = subprocess.Popen(
        [python, str(Path(__file__).with_name(script)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    _read_line(process, script)

    def work() -> Any:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        result = _read_line(process, script)
        process.stdin.close()
        process.wait()
        return int(result)

    return work


def _read_line(process: "subprocess.Popen[str]", script: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{script} ended with exit code {process.wait()}")
    return line
