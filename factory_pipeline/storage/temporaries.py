"""Names of temporary files and folders, by which those of processes that died are known and removed.

A name has the machine and the process in it, so that what a living process writes, or one of another machine
that shares the folder, is never removed.
"""

import os
import re
import shutil
import uuid
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAME = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]{8}\.part")
_STEM_BYTES = 80
"""Of the stem, so that the name of a temporary is never too long where that of the file itself is not."""
_swept: set[Path] = set()
"""Folders in which this process has removed what others left."""


def temporary_in(folder: Path, stem: str, suffix: str = "") -> Path:
    """Return a new hidden path in a folder, `.<stem>.<who writes it>.part<suffix>`.

    What processes of this machine that have died left in the folder is removed, once per process and folder.

    Args:
        folder: on the local disk; it need not exist.
        stem: what the name begins with; of a long one its beginning.
        suffix: what it ends with.
    """
    if folder not in _swept:
        _swept.add(folder)
        remove_left(folder)
    beginning = os.fsencode(stem)[:_STEM_BYTES].decode("utf-8", errors="ignore")
    return folder / f".{beginning}.{_writer()}.part{suffix}"


def remove_left(folder: Path) -> None:
    """Remove what processes of this machine that have died left unfinished in a folder.

    Args:
        folder: on the local disk; it need not exist.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        left = [Path(entry) for entry in entries if entry.name.startswith(".") and _is_of_dead(entry.name)]
        for path in left:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_of_dead(name: str) -> bool:
    found = _NAME.search(name)
    machine = _machine()
    return (
        found is not None
        and machine is not None
        and found["machine"] == machine
        and _start_of(found["pid"]) != found["start"]
    )


def _writer() -> str:
    """Return what names this process; where the system does not tell, something that is never removed."""
    drawn = uuid.uuid4().hex[:8]
    machine, pid = _machine(), str(os.getpid())
    start = _start_of(pid)
    return drawn if machine is None or start is None else f"{machine}-{pid}-{start}-{drawn}"


@lru_cache(maxsize=1)
def _machine() -> str | None:
    """Return what names this boot of this machine, and the namespace of process ids; None if not known."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None
    return sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]


def _start_of(pid: str) -> str | None:
    """Return when a running process began, in ticks since the boot; None if none has this id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program, in parentheses, may contain anything; the fields after it are simple.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in ("Z", "X") else fields[18]
