"""Which process one is: ids are used again, so that the machine and the start of the process belong to it."""

from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ENDED = ("Z", "X")
"""States of processes that have ended and whose parent has not waited for them yet."""


def machine_identity() -> str | None:
    """Return the boot of this machine and the namespace of process ids (of a container), as `boot-namespace`.

    None where the system does not tell, as outside of Linux.
    """
    try:
        boot = _BOOT.read_text(encoding="ascii").strip().replace("-", "")
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return None


def start_of_process(pid: int) -> str | None:
    """Return when a running process began, in ticks since the boot; None if it has ended or can't be seen.

    Args:
        pid: id of the process, in the namespace of this one.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program, in parentheses, may contain anything; the fields after it are simple.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in _ENDED else started
