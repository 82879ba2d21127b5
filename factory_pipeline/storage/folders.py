"""Folders that appear whole or not at all, and are removed so that no reader finds half of them."""

import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from factory_pipeline.errors import StoreError
from factory_pipeline.storage.atomic import publish, working_path
from factory_pipeline.storage.stored_path import PUBLISHING, StoredPath
from factory_pipeline.storage.temporaries import temporary_in

REQUESTS = 16
"""Files that are sent to a store, or fetched from it, at the same time."""


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; publish it as `folder` if the block ends without an error.

    Args:
        folder: must not exist.
    """
    parent = working_path(folder.parent)
    parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_in(parent, folder.name)
    try:
        temporary.mkdir()
        yield temporary
        publish_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_folder(temporary: Path, folder: Path) -> None:
    """Move a complete folder to its place, where it appears whole or not at all.

    On an object store the folder does not exist until the last file is there. A writer that was killed in
    between leaves one that does not exist; the next writer publishes it.

    Args:
        temporary: the folder, on this machine or, file by file, on the same store.
        folder: its place, where there is none.
    """
    if not isinstance(folder, StoredPath):
        sync_tree(temporary)
        temporary.rename(folder)
        _sync_entries(folder.parent)
        return
    # What a killed writer left may be more than is published now.
    remove_folder(folder)
    with _marked(folder), ThreadPoolExecutor(REQUESTS) as pool:
        if isinstance(temporary, StoredPath) and temporary.is_published:
            keys = temporary.bucket.names_below(temporary.key)
            targets = [f"{folder.key}/{key.removeprefix(f'{temporary.key}/')}" for key in keys]
            list(pool.map(folder.bucket.copy, keys, targets))
        else:
            local = working_path(temporary)
            files = {path: folder / path.relative_to(local) for path in local.rglob("*") if path.is_file()}
            if hidden := sorted(str(target) for target in files.values() if not target.is_published):
                raise StoreError(f"{hidden[0]} can't be on an object store: its name begins with a dot.")
            list(pool.map(publish, files, files.values()))
    remove_folder(temporary)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all files in it; it disappears at once. One that does not exist is no error."""
    if isinstance(folder, StoredPath):
        if folder.is_published and (keys := folder.bucket.names_below(folder.key)):
            with _marked(folder):
                folder.bucket.delete(*(key for key in keys if not key.endswith(f"/{PUBLISHING}")))
        shutil.rmtree(folder.local, ignore_errors=True)
        return
    leaving = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.removed")
    try:
        folder.rename(leaving)
    except FileNotFoundError:
        return
    try:
        shutil.rmtree(leaving)
    except PermissionError:
        # Folders of an archive may be ones that their owner can't write.
        for path in (leaving, *leaving.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(leaving, ignore_errors=True)


def check_writable(folder: Path) -> None:
    """Make a folder, and check that files can be written in it.

    Args:
        folder: on the local disk or on a store.

    Raises:
        OSError: it can't be made, or no file can be written.
        StoreError: the store refuses or does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{uuid.uuid4().hex[:8]}.writable"
    if isinstance(probe, StoredPath):
        probe.bucket.put_mark(probe.key)
        probe.bucket.delete(probe.key)
    else:
        probe.touch()
        probe.unlink()


@contextmanager
def _marked(folder: StoredPath) -> Iterator[None]:
    """Have a folder not exist during the block, and after a failure of it."""
    mark = folder / PUBLISHING
    folder.bucket.put_mark(mark.key)
    yield
    folder.bucket.delete(mark.key)


def fetch_folder(folder: Path) -> Path:
    """Return a local folder with the present files of a folder, for programs that read folders."""
    if not isinstance(folder, StoredPath) or not folder.is_published:
        return folder.local if isinstance(folder, StoredPath) else folder
    keys = folder.bucket.names_below(folder.key)
    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(lambda key: (folder / key.removeprefix(f"{folder.key}/")).fetch(), keys))
    return folder.local


def sync_tree(folder: Path) -> None:
    """Have all files of a folder on the disk; a sync per file would take minutes for many small ones.

    Args:
        folder: on the local disk; its whole file system is synced.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync = getattr(ctypes.CDLL(None), "syncfs", None)
        if sync is None or sync(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)


def _sync_entries(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
