"""A download that goes on where it was interrupted: what was received stays in a file."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

ReadFrom = Callable[[int], Iterable[bytes]]
"""Gives the bytes of the source from a position on."""


def resume_download(
    part: Path,
    read_from: ReadFrom,
    *,
    is_transient: Callable[[Exception], bool],
    retries: int,
    resumable: bool = True,
) -> None:
    """Append to a file what it lacks of a source.

    A try that fails but brings new bytes of a resumable source does not count: a host that cuts every
    connection after a while still serves all of a large file. After an error the bytes stay for the next
    call.

    Args:
        part: the file that grows; it is created where it does not exist. A symbolic link is not followed.
        read_from: gives the bytes from a position on, and raises an error if the source ends too early.
        is_transient: whether another try may succeed after an error of `read_from`.
        retries: how many tries in a row may bring nothing before the error is raised.
        resumable: whether the source can be read from any position; if not, each try starts at 0.

    Raises:
        Exception: the last error of `read_from`.
        OSError: the file can't be written.
    """
    failures = 0
    while True:
        if not resumable:
            part.unlink(missing_ok=True)
        with open(part, "ab", opener=_open_without_links) as file:
            start = file.tell()
            try:
                for piece in read_from(start):
                    file.write(piece)
                return
            except Exception as error:
                gained = resumable and file.tell() > start
                failures = 0 if gained else failures + 1
                if not is_transient(error) or failures > retries:
                    raise
            finally:
                file.flush()
                os.fsync(file.fileno())


def _open_without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
