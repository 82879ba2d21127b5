"""Writing files atomically, locking them, and noticing a full disk.

A file on an object store is written on the local disk and published by one put.
"""

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
from factory_pipeline.storage.stored_path import StoredPath
from factory_pipeline.storage.temporaries import temporary_in

LITTLE_SPACE = 1 << 16
"""Bytes; with less free space than this a disk is full for all that is written here."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, and of a user's exhausted quota."""
FULL_IN_WORDS = (*(os.strerror(number) for number in FULL), "database or disk is full")
"""The same as libraries say it; the last is SQLite's."""
READ_ONLY_IN_WORDS = ("attempt to write a readonly database", "unable to open database file")
"""What SQLite says where it may not write a database, or the log beside it."""
IO_IN_WORDS = "disk I/O error"
"""What SQLite says of all else that the system refuses, such as room for the index of its log."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends without an error.

    The file is synced before the rename, so that `path` exists complete or not at all, also after a loss of
    power. The temporary name starts with a dot and keeps the suffix of `path`.

    Raises:
        WrittenMeanwhileError: another process published other content on the object store during the block.
        OSError: ENOSPC in place of any error of the block that left no space on the disk: libraries often
            only say that they could not write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_in(working_path(path.parent), path.stem, path.suffix)
    before = path.facts() if isinstance(path, StoredPath) and path.is_published else None
    try:
        yield temporary
        publish(temporary, path, before.e_tag if before is not None else None)
    except Exception as error:
        if shutil.disk_usage(temporary.parent).free < LITTLE_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path, before: str | None = None) -> None:
    """Move a complete file of this machine to its place, where it appears whole or not at all.

    Args:
        temporary: the file; it is synced.
        path: its place; a file that is there is replaced.
        before: on an object store, the tag of the object that is replaced; None if there must be none.

    Raises:
        WrittenMeanwhileError: another process published other content there since.
    """
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    if not isinstance(path, StoredPath) or not path.is_published:
        temporary.replace(working_path(path))
        return
    path.take(working_path(temporary), before)


def working_path(path: Path) -> Path:
    """Return where this machine keeps what no other needs: a path itself, or its copy's on the local disk.

    Args:
        path: of a file or folder that is never published.
    """
    return path.local if isinstance(path, StoredPath) else path


def keep_content(path: Path, target: Path) -> Path:
    """Give the content of a file a second name, which it keeps when the file is replaced.

    Args:
        path: of the file.
        target: the second name; what has it is replaced.

    Returns:
        The target; the path itself where the file system has no links, or the two are on different stores.
    """
    if isinstance(path, StoredPath) or isinstance(target, StoredPath):
        if not (
            isinstance(path, StoredPath) and isinstance(target, StoredPath) and path.shares_store(target)
        ):
            return path
        path.bucket.copy(path.key, target.key)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid.uuid4().hex}.part{target.suffix}")
    try:
        temporary.hardlink_to(path)
        return temporary.replace(target)
    except OSError:
        return path
    finally:
        # A rename between two links to one file does nothing, and does not remove the first.
        temporary.unlink(missing_ok=True)


def drop_unfinished(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes left; no process may be writing it."""
    for temporary in working_path(path.parent).glob(f".{path.stem}.*.part{path.suffix}"):
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
    lock = working_path(lock)
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
        with working_path(lock).open("r") as file:
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
        if any(words in str(told) for words in FULL_IN_WORDS):
            return True
    return False


def describe_refusal(error: BaseException) -> str | None:
    """Return in one sentence what the disk refused, through whatever library; None for another error.

    Args:
        error: of a library that wraps what the system told it, such as SQLAlchemy.
    """
    if disk_is_full(error):
        return "There is no space left on the disk; free some and run the command again."
    told = [str(each) for each in (error, error.__cause__)]
    if any(words in each for words in READ_ONLY_IN_WORDS for each in told):
        return "A database of the factory home can't be written: its file or its folder is read-only."
    if any(IO_IN_WORDS in each for each in told):
        return "A database of the factory home can't be read or written: its disk is full, damaged or away."
    return None
