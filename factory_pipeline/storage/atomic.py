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

from factory_pipeline.redaction import redact

LITTLE_SPACE = 1 << 16
"""Bytes; with less free space than this a disk is full for all that is written here."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, and of a user's exhausted quota."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends without an error.

    The file is synced before the rename, so that `path` exists complete or not at all, also after a loss of
    power. The temporary name starts with a dot and keeps the suffix of `path`.

    Raises:
        OSError: ENOSPC in place of any error of the block that left no space on the disk: libraries often
            only say that they could not write.
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
    """Remove the temporary files of `path` that killed processes left; no process may be writing it."""
    for temporary in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically (UTF-8).

    Args:
        path: of the file; one that exists is replaced. Its folder is made if it is missing.
        text: encoded as UTF-8.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_settings(path: Path, text: str) -> None:
    """Write a small text file atomically (UTF-8), readable by its owner alone if it contains credentials.

    Args:
        path: as for `write_text`.
        text: addresses in it may have user, password or signature.
    """
    with atomic_write(path) as temporary:
        if redact(text) != text:
            temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def file_lock(lock: Path) -> Iterator[None]:
    """Run the block in one process at a time; another process that locks the same file waits.

    The lock of a process that dies is released.
    """
    with open_locked(lock):
        yield


def open_locked(lock: Path) -> IO[str]:
    """Open a lock file and wait until no other process holds it; closing the file releases the lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = lock.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except BaseException:
        file.close()
        raise
    return file


def is_held(lock: Path) -> bool:
    """Return whether a running process holds a lock file; False if the file does not exist."""
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or its cause, is a full disk; some libraries say so in words only."""
    for told in filter(None, (error, error.__cause__)):
        if isinstance(told, OSError) and told.errno in FULL:
            return True
        if any(os.strerror(number) in str(told) for number in FULL):
            return True
    return False
