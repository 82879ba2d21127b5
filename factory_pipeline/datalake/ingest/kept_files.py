"""The fused files of a build, kept for their collection: a later fuse does not remove its samples."""

import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from factory_pipeline.errors import LakeError

FileState = tuple[int, ...]
"""Values that differ after a change of a file."""


def file_state(path: Path) -> FileState:
    """Return values that differ after a change of the file."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def keep_and_write(
    fused: Sequence[Path],
    kept: Sequence[Path],
    states: Sequence[FileState],
    write: Callable[[Sequence[Path]], None],
) -> None:
    """Link fused files to paths of their collection, then write its tables; all of it is done, or nothing.

    Args:
        fused: the files.
        kept: their paths in the collection; used if the file system supports hard links.
        states: of the files when their content was looked at.
        write: writes the tables; takes the path of each file from now on.

    Raises:
        LakeError: a file changed since its state was read.
    """
    try:
        write([_link_to_keep(*each) for each in zip(fused, kept, states, strict=True)])
    except BaseException:
        for target in kept:
            target.unlink(missing_ok=True)
        raise


def _link_to_keep(path: Path, target: Path, state: FileState) -> Path:
    """Link the file to a path that stays when a later fuse replaces it; return the file itself without links.

    Raises:
        LakeError: the file changed since `state` was read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid.uuid4().hex}.part{target.suffix}")
    try:
        try:
            os.link(path, temporary)
        except OSError:
            kept = path
        else:
            kept = temporary
        if file_state(kept) != state:
            raise LakeError(f"The dataset file {path} changed while it was registered; try again.")
        return path if kept is path else temporary.replace(target)
    finally:
        # A rename between two links to one file does nothing, and does not remove the first.
        temporary.unlink(missing_ok=True)
