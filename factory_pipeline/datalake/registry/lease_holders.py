"""Processes that hold leases, named so that others of the same machine can tell whether one has died.

Process ids are reused, so a name also identifies the process by the boot of the machine, the namespace of
process ids (of a container), and the start time of the process. If a system does not provide these, as
outside of Linux, or if the holder runs on another machine, its death is only known when its lease expires.
"""

import os
import socket

from factory_pipeline.storage.process_identity import machine_identity, start_of_process


def this_process() -> str:
    """Return the name of this process: `host:process id`, and `:identity` if the system provides one."""
    host, pid = socket.gethostname(), os.getpid()
    identity = _identity(pid)
    return f"{host}:{pid}" if identity is None else f"{host}:{pid}:{identity}"


def shown(holder: str) -> str:
    """Return the part of a holder's name that is meaningful to people: `host:process id`."""
    return ":".join(holder.split(":")[:2])


def is_known_dead(holder: str) -> bool:
    """Return whether a holder has certainly ended: a process of this machine that no longer runs."""
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
    machine, started = machine_identity(), start_of_process(pid)
    return None if machine is None or started is None else f"{machine}-{started}"
