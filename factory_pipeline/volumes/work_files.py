"""The files that a piece of work makes: each is of one work, which no other overwrites."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import pyarrow.parquet as pq

from factory_pipeline.errors import PairFileError
from factory_pipeline.storage.atomic import atomic_write, drop_unfinished, file_lock
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.volumes.pair_files import WORK


@dataclass(frozen=True)
class WorkFiles:
    """The files of a work, of which the first names the others' folder of parts and their lock."""

    paths: tuple[Path, ...]
    work: str
    """Hash of all that decides their content."""

    @property
    def parts(self) -> Path:
        """Folder of what is finished while the work is under way."""
        return self.paths[0].with_name(f".{self.paths[0].stem}.{self.work[:16]}.parts")

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Lock the files for the block, whose end removes the parts; yield whether all files are finished.

        Raises:
            PairFileError: a file exists that is of other work.
        """
        lock = self.paths[0].with_name(f".{self.paths[0].stem}.lock")
        with file_lock(lock):
            for path in self.paths:
                self._require_own(path)
            finished = all(path.exists() for path in self.paths)
            for path in self.paths:
                drop_unfinished(path)
            yield finished
            remove_folder(self.parts)
            # Who waits for it finds finished files, under whatever lock.
            lock.unlink(missing_ok=True)

    def _require_own(self, path: Path) -> None:
        work_of = {".h5": hdf5_work, ".parquet": table_work}.get(path.suffix)
        if work_of is not None and path.exists() and work_of(path) != self.work:
            raise PairFileError(
                f"{path} exists and is of another spec, of other settings or of a volume that has changed;"
                " it is never overwritten: move it, or write to another folder."
            )


@contextmanager
def create_hdf5(path: Path, work: str) -> Iterator[h5py.File]:
    """Open a new HDF5 file that appears at its path when the block ends; it says of what work it is.

    Args:
        path: of the file.
        work: what it is part of, as an attribute.
    """
    with atomic_write(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        file.attrs[WORK] = work
        yield file


def hdf5_work(path: Path) -> str | None:
    """Return the hash of the work that an HDF5 file is of; None if it says nothing of it."""
    try:
        with h5py.File(path) as file:
            return file.attrs.get(WORK)
    except OSError:
        return None


def table_work(path: Path) -> str | None:
    """Return the hash of the work that a table is of; None if it says nothing of it."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError):
        return None
    value = metadata.get(WORK.encode())
    return json.loads(value) if value else None
