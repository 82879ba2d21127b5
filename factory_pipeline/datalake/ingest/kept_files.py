"""The fused files of a build, kept for their collection: a later fuse does not remove its samples."""

from collections.abc import Callable, Sequence
from pathlib import Path

from factory_pipeline.errors import LakeError
from factory_pipeline.storage.atomic import keep_content

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
    """Give the content a path that stays when a later fuse replaces the file, where that can be done.

    Raises:
        LakeError: the file changed since `state` was read.
    """
    kept = keep_content(path, target)
    # What has the second name is what was looked at, if the file is still the same afterwards.
    if file_state(path) != state:
        raise LakeError(f"The dataset file {path} changed while it was registered; try again.")
    return kept
