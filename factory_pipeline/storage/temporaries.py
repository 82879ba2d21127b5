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

from factory_pipeline.storage.process_identity import machine_identity, start_of_process

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
        and start_of_process(int(found["pid"])) != found["start"]
    )


def _writer() -> str:
    """Return what names this process; where the system does not tell, something that is never removed."""
    drawn = uuid.uuid4().hex[:8]
    machine, pid = _machine(), os.getpid()
    start = start_of_process(pid)
    return drawn if machine is None or start is None else f"{machine}-{pid}-{start}-{drawn}"


@lru_cache(maxsize=1)
def _machine() -> str | None:
    """Return what names this boot of this machine, and the namespace of process ids; None if not known."""
    identity = machine_identity()
    return None if identity is None else sha256(identity.encode()).hexdigest()[:8]
