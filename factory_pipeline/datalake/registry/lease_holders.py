"""Processes that hold leases, named so that others of the same machine can tell whether one has died.

A process id alone is given again, so a name also has what identifies the process: the boot of the machine,
the namespace of process ids (of a container), and when the process started. Where a system does not tell
these, as outside of Linux, or where the holder runs on another machine, only its lease tells that it died.
"""

import os
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ENDED = ("Z", "X")
"""States of processes that have ended and that nobody has waited for yet."""


def this_process() -> str:
    """Return the name of this process: `host:process id`, and `:identity` where the system tells one."""
    host, pid = socket.gethostname(), os.getpid()
    identity = _identity(pid)
    return f"{host}:{pid}" if identity is None else f"{host}:{pid}:{identity}"


def shown(holder: str) -> str:
    """Return the part of a holder's name that tells a person something: `host:process id`."""
    return ":".join(holder.split(":")[:2])


def is_known_dead(holder: str) -> bool:
    """Return whether a holder certainly has ended: a process of this machine that does not run any more."""
    host, _, rest = holder.partition(":")
    pid, _, identity = rest.partition(":")
    here = _identity(os.getpid())
    if not identity or here is None or host != socket.gethostname():
        return False
    if identity.rpartition("-")[0] != here.rpartition("-")[0]:  # another boot, or another container
        return False
    return _identity(int(pid)) != identity


def _identity(pid: int) -> str | None:
    """Return boot, namespace and start time of a running process; None if it has ended or can't be seen."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip().replace("-", "")
        namespace = Path("/proc/self/ns/pid").stat().st_ino
        # The name of the program, in parentheses, may hold anything; what follows it are plain fields.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    state, started = fields[0], fields[19]
    return None if state in _ENDED else f"{boot}-{namespace}-{started}"
