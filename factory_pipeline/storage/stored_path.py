"""Paths of files that are kept on an object store.

A `StoredPath` is used as any other path. The store has the truth; a folder of the local disk, the scratch
folder, has copies: a file is fetched when it is opened, unless its copy is that of the present version.
What is asked about a file (does it exist, how large is it) is asked of the store. A program that opens the
path by its name, such as HDF5, gets the name of the copy.

Files are published by `atomic`, folders by `folders`; a path here can't be opened for writing. A name that
begins with a dot is never published: unfinished files, locks and marks of one machine are such.
"""

import errno
import filecmp
import fnmatch
import hashlib
import io
import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path, PosixPath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from factory_pipeline.errors import StoreError, WrittenMeanwhileError
from factory_pipeline.redaction import display
from factory_pipeline.storage.temporaries import temporary_in

if TYPE_CHECKING:
    from factory_pipeline.storage.object_store import Bucket, ObjectFacts

SCHEMES = ("s3", "gs", "az")
"""Kinds of stores that files can be kept on."""
MARK = "object-stores"
"""The folder in the scratch folder that has the copies: below it scheme, bucket and key follow."""
PUBLISHING = ".publishing"
"""Name of an object in a folder that is being published or removed, and so does not exist for readers."""


def is_store(address: str | Path) -> bool:
    """Return whether a text is the address of a folder or file on an object store."""
    return str(address).partition("://")[0] in SCHEMES and "://" in str(address)


def to_path(location: str | Path) -> Path:
    """Return the path of a location, which may be on an object store.

    Args:
        location: a path, or an address such as `s3://bucket/folder`; a path is returned as it is.

    Raises:
        StoreError: the address has no bucket.
    """
    if isinstance(location, Path):
        return location
    if not is_store(location):
        return Path(location)
    scheme, _, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise StoreError(
            f"{display(location)} names no bucket; allowed are addresses such as {scheme}://bucket/folder."
        )
    parts = [part for part in key.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise StoreError(f"{display(location)} has '..' in it, which an object store does not know.")
    return StoredPath(scratch_folder(), MARK, scheme, bucket, *parts)


def is_of_store(local: Path) -> bool:
    """Return whether a path of this machine is among the copies of what is on a store."""
    return MARK in local.parts


def scratch_folder() -> Path:
    """Return the local folder for copies and unfinished files, FACTORY_SCRATCH or one in the user's cache.

    Raises:
        StoreError: there is neither.
    """
    named = os.environ.get("FACTORY_SCRATCH")
    if named:
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(cache or Path.home() / ".cache") / "factory_pipeline"
    except RuntimeError as error:
        raise StoreError(
            "This user has no home directory for copies of what is on the store: set FACTORY_SCRATCH to a"
            " folder of this machine."
        ) from error


class StoredPath(PosixPath):
    """The path of a file or folder on an object store; its parts are those of the local copy.

    As a text it is the address on the store, which is what messages, settings and tables have.
    """

    @property
    def location(self) -> tuple[str, str] | None:
        """The address of the bucket and the key in it; None of a relative path."""
        parts = self.parts
        if not self.is_absolute() or MARK not in parts:
            return None
        scheme, bucket, *key = parts[parts.index(MARK) + 1 :]
        return f"{scheme}://{bucket}", "/".join(key)

    @property
    def is_published(self) -> bool:
        """Whether this path is on the store, not an unfinished file or a lock of this machine."""
        found = self.location
        return found is not None and not any(part.startswith(".") for part in found[1].split("/"))

    @property
    def local(self) -> Path:
        """The path of the copy; nothing is fetched."""
        return Path(*self.parts)

    @property
    def bucket(self) -> "Bucket":
        """The store that has this path."""
        # Only who keeps files on a store has the package for it.
        from factory_pipeline.storage.object_store import Bucket

        assert self.location is not None
        return Bucket(self.location[0])

    def shares_store(self, other: "StoredPath") -> bool:
        """Return whether another path is in the same bucket."""
        return (
            self.location is not None and other.location is not None and self.location[0] == other.location[0]
        )

    @property
    def key(self) -> str:
        """The key of the object."""
        assert self.location is not None
        return self.location[1]

    def __str__(self) -> str:
        found = self.location
        return super().__str__() if found is None else "/".join(filter(None, found))

    def __repr__(self) -> str:
        return f"StoredPath({str(self)!r})"

    def __reduce__(self) -> tuple[type["StoredPath"], tuple[str, ...]]:
        return type(self), self.parts

    def __fspath__(self) -> str:
        if self.is_published:
            self.fetch()
        return str(self.local)

    def facts(self) -> "ObjectFacts | None":
        """Return what the store says of the file now; None if it does not exist."""
        return self.bucket.find(self.key) if self.key else None

    def _facts_lately(self, *, lists_next: bool = False) -> "ObjectFacts | None":
        return self.bucket.find_lately(self.key, lists_next=lists_next) if self.key else None

    def fetch(self) -> None:
        """Bring the local copy up to the store's present version; a file that is not there loses its copy.

        Raises:
            StoreError: the store refuses or does not answer.
        """
        found, local = self._facts_lately(), self.local
        if found is None:
            if local.is_file():
                local.unlink(missing_ok=True)
                _tag_file(local).unlink(missing_ok=True)
            return
        if _copied_version(local) == found.e_tag:
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_in(local.parent, local.stem, local.suffix)
        try:
            found = self.bucket.download(self.key, temporary)
            temporary.replace(local)
        finally:
            temporary.unlink(missing_ok=True)
        note_version(local, found.e_tag)

    def exists(self, **_options: Any) -> bool:
        """Return whether there is such a file or folder; a folder that is being published does not exist."""
        if not self.is_published:
            return self.local.exists()
        return self._facts_lately(lists_next=True) is not None or self.is_dir()

    def is_file(self, **_options: Any) -> bool:
        """Return whether there is such a file."""
        return self._facts_lately() is not None if self.is_published else self.local.is_file()

    def is_dir(self, **_options: Any) -> bool:
        """Return whether there are files below this path that are not being published or removed."""
        if not self.is_published:
            return self.local.is_dir()
        if not self.bucket.has_any(self.key):
            return False
        return self.bucket.find((self / PUBLISHING).key) is None

    def is_symlink(self) -> bool:
        """Return whether this is a link: a store has none."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size, time and a number that differs after each change; other values are those of any file.

        Raises:
            FileNotFoundError: there is no such file or folder.
        """
        if not self.is_published:
            return self.local.stat(follow_symlinks=follow_symlinks)
        found = self._facts_lately(lists_next=True)
        if found is None:
            if self.is_dir():
                return os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, 0, 0, 0, 0, 0, 0))
            raise _missing(self)
        number = int.from_bytes(hashlib.sha256(found.e_tag.encode()).digest()[:7], "big")
        when = int(found.modified.timestamp())
        return os.stat_result((stat.S_IFREG | 0o644, number, 0, 1, 0, 0, found.size, when, when, when))

    def lstat(self) -> os.stat_result:
        """Return what `stat` returns."""
        return self.stat()

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """Open the file for reading; one that is not published also for writing.

        Args:
            mode: as of `Path.open`.
            *arguments: as of `Path.open`.
            **options: as of `Path.open`.

        Raises:
            FileNotFoundError: there is no such file.
            io.UnsupportedOperation: the mode writes; `atomic_write` does.
        """
        if self.is_published and set(mode) & set("wax+"):
            raise io.UnsupportedOperation(
                f"{self} can't be opened for writing; files are written by atomic_write"
            )
        return self.as_local().open(mode, *arguments, **options)

    def as_local(self) -> Path:
        """Return the path of the copy, after it was fetched."""
        return Path(os.fspath(self))

    def iterdir(self) -> Generator["StoredPath", None, None]:
        """Yield the files and folders in this folder."""
        if not self.is_published:
            yield from (self / path.name for path in self.local.iterdir())
            return
        for key in self.bucket.names_in(self.key):
            name = PurePosixPath(key).name
            if not name.startswith("."):
                yield self / name

    def glob(self, pattern: str, **_options: Any) -> Iterator["StoredPath"]:  # type: ignore[override]
        """Yield the files and folders below this folder that match a pattern.

        Args:
            pattern: as of `Path.glob`; the last part begins with a dot where unfinished files are meant.
        """
        parts = PurePosixPath(pattern).parts
        if not self.is_published or parts[-1].startswith("."):
            yield from (self / path.relative_to(self.local) for path in self.local.glob(pattern))
            return
        if len(parts) == 1 and parts[0] != "**":
            yield from (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, parts[0]))
            return
        seen = set()
        for key in self.bucket.names_below(self.key):
            relative = PurePosixPath(key).relative_to(self.key)
            if any(part.startswith(".") for part in relative.parts):
                continue
            for found in (*reversed(relative.parents[:-1]), relative):
                if found not in seen and _matches(found.parts, parts):
                    seen.add(found)
                    yield self / found

    def rglob(self, pattern: str, **_options: Any) -> Iterator["StoredPath"]:  # type: ignore[override]
        """Yield what `glob` does at any depth below this folder."""
        return self.glob(f"**/{pattern}")

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make the folder of the copies; a store has no folders without files.

        Args:
            mode: of the folder on this machine.
            parents: whether folders above it are made, which those of copies always are.
            exist_ok: whether it may exist.

        Raises:
            FileExistsError: the folder exists on the store, and `exist_ok` is not set.
        """
        if not self.is_published:
            self.local.mkdir(mode, parents, exist_ok)
            return
        if not exist_ok and self.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        self.local.mkdir(mode, parents=True, exist_ok=True)

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Make an unfinished file, or note that it is in use.

        Args:
            mode: of the file on this machine.
            exist_ok: whether it may exist.

        Raises:
            io.UnsupportedOperation: the file is one that is published.
        """
        if self.is_published:
            raise io.UnsupportedOperation(f"{self} can't be touched; files are written by atomic_write")
        self.local.touch(mode, exist_ok)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file.

        Raises:
            FileNotFoundError: there is no such file, and `missing_ok` is not set.
        """
        if not self.is_published:
            self.local.unlink(missing_ok)
            return
        if not missing_ok and self._facts_lately() is None:
            raise _missing(self)
        self.bucket.delete(self.key)
        self.local.unlink(missing_ok=True)
        _tag_file(self.local).unlink(missing_ok=True)

    def rmdir(self) -> None:
        """Remove the folder of the copies, which is empty; a store has no folders without files.

        Raises:
            OSError: there are files in it.
        """
        if self.is_published and self.bucket.has_any(self.key):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self))
        if self.local.is_dir() and not any(self.local.iterdir()):
            self.local.rmdir()

    def rename(self, target: str | Path) -> Path:  # type: ignore[override]
        """Give another name on the same store to a file; what has that name is replaced.

        Raises:
            io.UnsupportedOperation: the target is not on the store, or this is a folder: see `folders`.
            WrittenMeanwhileError: another process wrote the target at the same time.
        """
        if not isinstance(target, StoredPath) or not self.is_file():
            raise io.UnsupportedOperation(
                f"{self} can't be renamed to {target}: allowed are files of one store"
            )
        if not target.is_published:
            self.as_local().replace(target.local)
            self.unlink(missing_ok=True)
        elif self.is_published:
            self.bucket.copy(self.key, target.key)
            self.unlink()
        else:
            before = target.facts()
            target.take(self.local, before.e_tag if before is not None else None)
        return target

    def take(self, file: Path, before: str | None) -> None:
        """Publish a complete file of this machine, which becomes the copy.

        Args:
            file: on the local disk.
            before: the tag of the object that is replaced; None if there must be none.

        Raises:
            WrittenMeanwhileError: another process published other content since.
        """
        try:
            tag = self.bucket.put(self.key, file, before)
        except WrittenMeanwhileError:
            # Both may have made the same, and a put whose answer was lost was sent again.
            if not filecmp.cmp(file, self.as_local(), shallow=False):
                raise
            file.unlink()
            return
        self.local.parent.mkdir(parents=True, exist_ok=True)
        file.replace(self.local)
        note_version(self.local, tag)

    def replace(self, target: str | Path) -> Path:  # type: ignore[override]
        """Do what `rename` does."""
        return self.rename(target)

    def resolve(self, strict: bool = False) -> "StoredPath":  # noqa: ARG002
        """Return the path itself: a store has no links."""
        return self

    def absolute(self) -> "StoredPath":
        """Return the path itself."""
        return self


def _missing(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def note_version(local: Path, tag: str) -> None:
    """Note of which version of an object a local file is the copy.

    Args:
        local: the file.
        tag: of the version.
    """
    found = local.stat()
    noted = _tag_file(local)
    noted.parent.mkdir(parents=True, exist_ok=True)
    noted.write_text(f"{found.st_size} {found.st_mtime_ns} {tag}", encoding="utf-8")


def _copied_version(local: Path) -> str | None:
    """Return the tag of the version that a local file is the copy of; None if it is none, or was changed."""
    try:
        found, noted = local.stat(), _tag_file(local).read_text(encoding="utf-8")
    except OSError:
        return None
    size, _, rest = noted.partition(" ")
    when, _, tag = rest.partition(" ")
    return tag if (size, when) == (str(found.st_size), str(found.st_mtime_ns)) else None


def _tag_file(local: Path) -> Path:
    # Not beside the copy: programs read folders of copies.
    place = local.parts.index(MARK)
    return Path(*local.parts[:place], f"{MARK}-versions", *local.parts[place + 1 :])


def _matches(found: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether the parts of a path match those of a pattern; `**` stands for any number of folders."""
    if not pattern:
        return not found
    if pattern[0] == "**":
        return any(_matches(found[start:], pattern[1:]) for start in range(len(found) + 1))
    return bool(found) and fnmatch.fnmatchcase(found[0], pattern[0]) and _matches(found[1:], pattern[1:])
