"""Whether the files of an export are unchanged: size and SHA-256 of each are compared with its listing."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, read_exported
from factory_pipeline.errors import ExportError
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.thread_map import map_in_threads

WORKERS = 4
"""Number of files that are hashed concurrently."""


def find_damage(folder: Path, content_hash: str | None = None, *, media: bool = True) -> Iterator[str]:
    """Yield a sentence for each file of an export that is missing or differs.

    Files that are not in the listing are ignored.

    Args:
        folder: of the export.
        content_hash: as the registry has it; None trusts the listing.
        media: False skips the media, as for a download of only the annotations.
    """
    try:
        listed = read_exported(folder)
    except ExportError as error:
        yield str(error)
        return
    if content_hash is not None and listed.content_hash != content_hash:
        yield f"{LISTING} belongs to another export: its content hash is {listed.content_hash[:12]}..."
        return
    wanted = (file for file in listed.files if media or not file.media)
    for difference in map_in_threads(lambda file: _difference(folder, file), wanted, WORKERS):
        if difference is not None:
            yield difference


def _difference(folder: Path, file: ExportedFile) -> str | None:
    path = folder / file.path
    try:
        for parent in reversed(PurePosixPath(file.path).parents[:-1]):
            if (folder / parent).is_symlink():
                return f"{parent} is a symbolic link, not a folder of the export."
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return f"{file.path} is not a file."
        if found.st_size != file.bytes:
            return f"{file.path} has {found.st_size:,} bytes, not {file.bytes:,}."
        if (sha256 := sha256_of(path)) != file.sha256:
            return f"{file.path} was changed: its SHA-256 is {sha256[:12]}..., not {file.sha256[:12]}..."
    except FileNotFoundError:
        return f"{file.path} is missing."
    except (OSError, ValueError) as error:
        return f"{file.path} can't be read: {getattr(error, 'strerror', None) or error}."
    return None
