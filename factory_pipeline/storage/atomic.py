"""Writing files atomically, locking them, and noticing a full disk."""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LITTLE_SPACE = 1 << 16
"""Bytes; with less than this a disk is full for everything that is written here."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What systems say of a full disk, and of a user who has used up the share of it."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` once the block ends without an error.

    The file is synced before the rename, so that `path` is there whole or isn't there, also after
    a loss of power. The temporary name starts with a dot and keeps the suffix of `path`.

    Raises:
        OSError: ENOSPC, whatever the block raised, where that left no space on the disk: libraries often say
            only that they could not write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}"
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except Exception as error:
        if shutil.disk_usage(path.parent).free < LITTLE_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def drop_unfinished(path: Path) -> None:
    """Remove what killed processes left of a file under temporary names; nobody may be writing it now."""
    for temporary in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def file_lock(lock: Path) -> Iterator[None]:
    """Run the block in one process at a time: another one with the same lock file waits.

    A process that dies gives the lock up.
    """
    with open_locked(lock):
        yield


def open_locked(lock: Path) -> IO[str]:
    """Open a lock file and wait until no other process holds it; closing the file gives the lock up."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = lock.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except BaseException:
        file.close()
        raise
    return file


def is_held(lock: Path) -> bool:
    """Return whether a living process holds a lock file; False if there is no such file."""
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or its cause, came of a full disk; some libraries tell it in words only."""
    for told in filter(None, (error, error.__cause__)):
        if isinstance(told, OSError) and told.errno in FULL:
            return True
        if any(os.strerror(number) in str(told) for number in FULL):
            return True
    return False
