"""Reading a dataset file: its summary, and its samples for training."""

import mmap
import operator
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.codec import Compression, decode_chunk
from factory_pipeline.hdf5.fields import DATA, Field
from factory_pipeline.hdf5.layout import ChunkIndex, compression_of
from factory_pipeline.hdf5.opening import (
    fields_of,
    is_own,
    open_dataset,
    open_samples,
    read_values,
    recipe_of,
    require_schema,
)
from factory_pipeline.plain_text import count_noun

__all__ = ["DEFAULT_FIELDS", "LABEL", "FileSummary", "FusedDataset", "describe", "open_dataset"]

GEDI_EPOCH = datetime(2018, 1, 1)
Sample = dict[str, NDArray[Any]]
LABEL = "label"
"""The key of the label in a sample."""
_READ = 1 << 14
"""Samples whose values are looked at together."""
DEFAULT_FIELDS = ("Sentinel-2 L2A", "WorldCover", "CopDEM")


@dataclass(frozen=True)
class FileSummary:
    """A summary of a dataset file, for people; `str()` formats it in a few lines."""

    path: Path
    split: str
    """Empty where the file does not say it."""
    samples: int
    file_bytes: int
    bands: tuple[str, ...]
    """Of Sentinel-2, SCL first."""
    shapes: dict[str, tuple[int, ...]]
    """Of each dataset of the group `data`."""
    agbd_range: tuple[float, float] | None
    """Smallest and largest AGBD [Mg/ha]; None without samples."""
    dates: tuple[datetime, datetime] | None
    """Times of the first and the last shot, UTC; None without samples."""
    crs: dict[str, int]
    """Samples by CRS."""
    recipe: str
    """Canonical JSON; empty for samples that other software made."""
    recipe_hash: str
    software_version: str
    """Empty where the file does not say it."""

    def __str__(self) -> str:
        window = self.shapes["Sentinel-2 L2A"][-1]
        lines = [
            ("File", f"{self.path} ({self.file_bytes / 1e6:.1f} MB)"),
            ("Split", self.split or "not said"),
            ("Samples", f"{self.samples:,}"),
            ("Window", f"{window} x {window} pixels"),
            ("Bands", " ".join(self.bands)),
        ]
        if self.agbd_range and self.dates:
            lines += [
                ("AGBD", f"{self.agbd_range[0]:.1f} to {self.agbd_range[1]:.1f} Mg/ha"),
                ("Acquired", f"{self.dates[0]:%Y-%m-%d} to {self.dates[1]:%Y-%m-%d}"),
                ("CRS", ", ".join(f"{name} ({count:,})" for name, count in self.crs.items())),
            ]
        lines += [
            ("Recipe", self.recipe_hash[:12] or "none: the samples were made by other software"),
            ("Version", self.software_version or "not said"),
        ]
        return "\n".join(f"{label + ':':<10}{value}" for label, value in lines)


def describe(path: Path) -> FileSummary:
    """Summarise a dataset file from its tables; no raster is read.

    Raises:
        DatasetFileError: the file is missing, truncated or no dataset file.
    """
    with open_samples(path) as file:
        fields = require_schema(file, path)
        samples = len(file[f"{DATA}/AGBD Values"])
        agbd, seconds = (_range_of(file[f"{DATA}/{name}"]) for name in ("AGBD Values", "GEDI Delta Time"))
        return FileSummary(
            path=path,
            split=str(file.attrs.get("split", "")),
            samples=samples,
            file_bytes=path.stat().st_size,
            bands=fields[0].band_names,
            shapes={field.name: file[field.path].shape for field in fields if field.group == DATA},
            agbd_range=agbd,
            dates=(shot_time(seconds[0]), shot_time(seconds[1])) if seconds else None,
            crs=_count_texts(file[f"{DATA}/CRS"]),
            recipe=str(file.attrs.get("recipe", "")),
            recipe_hash=str(file.attrs.get("recipe_hash", "")),
            software_version=str(file.attrs.get("software_version", "")),
        )


def _parts_of(dataset: h5py.Dataset) -> Iterator[NDArray[Any]]:
    """Yield the values of a dataset, those of some samples at a time."""
    for start in range(0, len(dataset), _READ):
        yield dataset[start : start + _READ]


def _range_of(dataset: h5py.Dataset) -> tuple[float, float] | None:
    """Return the smallest and the largest value; None without samples."""
    # Times are stored as texts.
    parts = (part.astype(np.float64) for part in _parts_of(dataset))
    edges = [(float(part.min()), float(part.max())) for part in parts]
    if not edges:
        return None
    # Unlike Python's, numpy's least of NaN and a number is NaN, whatever their order.
    return float(np.min(edges)), float(np.max(edges))


def _count_texts(dataset: h5py.Dataset) -> dict[str, int]:
    """Return how often each text occurs, ordered by the texts."""
    counts: Counter[bytes] = Counter()
    for part in _parts_of(dataset):
        texts, numbers = np.unique(part.astype("S"), return_counts=True)
        counts.update(dict(zip(texts.tolist(), numbers.tolist(), strict=True)))
    return {text.decode(): count for text, count in sorted(counts.items())}


def shot_time(seconds: float) -> datetime:
    """Return the time of a shot (UTC, without a time zone) from the seconds since GEDI_EPOCH."""
    return GEDI_EPOCH + timedelta(seconds=seconds)


def _default_fields(recipe: DatasetRecipe | None) -> Sequence[str]:
    """Return what a sample holds if nothing else is requested: every source, and where it has data."""
    if recipe is None:
        return DEFAULT_FIELDS
    return [name for source in recipe.sources for name in (source, f"{source}_mask")]


class FusedDataset:
    """The samples of a dataset file, by index: a map-style dataset as `torch.utils.data.DataLoader` takes it.

    Files of other software with the same datasets are read too, through HDF5 where their storage differs.

    Needs no torch. Chunks are read by position and decoded outside HDF5, whose one lock would let only one
    thread read. What is not compressed (`factory fuse --compression none`) is mapped into memory and copied
    from there. Workers may be forked or spawned: a fork reads through the same descriptor, which has no
    position of its own to share; a pickle contains the arguments and opens the file anew.
    """

    def __init__(
        self,
        path: Path | str,
        fields: Sequence[str] | None = None,
        label: str | None = None,
        transform: Callable[[Sample], Any] | None = None,
        threads: int = 2,
    ) -> None:
        """Open a dataset file and look up where its chunks are.

        Args:
            path: a batch file or a fused file.
            fields: datasets of the group `data`, by their names in the file; keys of a sample. None for
                DEFAULT_FIELDS, or for the sources and masks of a recipe's file.
            label: the dataset that a sample holds under LABEL; None for the AGBD, or a recipe's label.
            transform: applied to every sample; what it returns is the sample then.
            threads: decode a batch; 1 is best where each of several workers has but one core.

        Raises:
            DatasetFileError: the file is missing, truncated or no dataset file, or lacks a field.
        """
        self._arguments = (path, None if fields is None else tuple(fields), label, transform, threads)
        self._path = Path(path)
        self._transform = transform
        self._threads = threads
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._indexes: dict[str, tuple[ChunkIndex, Compression]] = {}
        self._mapped: Sample = {}
        self._by_hdf5: dict[str, Field] = {}
        self._file: tuple[int, h5py.File] | None = None
        self._lock = threading.Lock()
        self._columns: Sample = {}
        self._layers: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        with open_samples(self._path) as file:
            is_ours = is_own(file)
            recipe = recipe_of(file)
            fields = fields if fields is not None else _default_fields(recipe)
            label = label if label is not None else (LABEL if recipe is not None else "AGBD Values")
            known = {
                field.name: field for field in fields_of(file) if field.path in file and field.group == DATA
            }
            for key, name in (*((name, name) for name in fields), (LABEL, label)):
                if name not in known:
                    raise DatasetFileError(f"{path} has no field {name!r}; it has {', '.join(known)}.")
                dataset = file[known[name].path]
                self._length = len(dataset)
                if not known[name].is_raster:
                    field = known[name]
                    self._columns[key] = dataset[:] if is_ours else read_values(file, field, 0, self._length)
                    continue
                self._layers[key] = known[name].dtype, dataset.shape[1:]
                try:
                    is_direct = dataset.dtype == known[name].dtype and self._find_samples(key, dataset)
                except ValueError as error:
                    if is_ours:
                        raise DatasetFileError(f"{path} can't be read: {error}.") from error
                    is_direct = False
                if not is_direct:
                    self._by_hdf5[key] = known[name]
            self._descriptor = os.open(self._path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def _find_samples(self, key: str, dataset: h5py.Dataset) -> bool:
        """Look up where the samples of a raster are, and return True.

        Raises:
            ValueError: it is stored otherwise than in our files, or not whole.
        """
        compression = compression_of(dataset) or Compression.DEFLATE
        index = ChunkIndex.of(dataset, compression)
        if compression is not Compression.NONE:
            self._indexes[key] = index, compression
        elif len(dataset):
            with self._path.open("rb") as file:
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # Raises ValueError where the file ends before the samples do.
            values = np.frombuffer(whole, dataset.dtype, dataset.size, int(index.offsets[0]))
            self._mapped[key] = values.reshape(dataset.shape)
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        """Return one sample: arrays by field name and under LABEL, or what `transform` makes of them.

        Raises:
            IndexError: there is no such sample.
            DatasetFileError: the sample is damaged.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Iterable[int]) -> list[Any]:
        """Return several samples at once, which is faster; torch's DataLoader calls this for a batch."""
        batch = self.read_batch(indices)
        samples = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        return samples if self._transform is None else [self._transform(sample) for sample in samples]

    def read_batch(self, indices: Iterable[int]) -> Sample:
        """Return several samples as one array per field, (len(indices), ...), without `transform`.

        Raises:
            IndexError: there is no such sample.
            DatasetFileError: a sample is damaged.
        """
        wanted = np.array([self._checked(index) for index in indices], np.intp)
        batch: Sample = {
            key: np.empty((len(wanted), *shape), dtype) for key, (dtype, shape) in self._layers.items()
        }
        for key, values in self._mapped.items():
            # The indices are checked; without "clip" numpy would copy twice.
            np.take(values, wanted, axis=0, out=batch[key], mode="clip")
        parts = min(self._threads, len(wanted)) if self._indexes or self._by_hdf5 else 0
        if parts > 1:
            # Every so-manyth sample: the parts are then alike in size.
            list(
                self._threads_of_this_process().map(
                    lambda part: self._decode(wanted.tolist(), batch, part, parts), range(parts)
                )
            )
        elif parts:
            self._decode(wanted.tolist(), batch, 0, 1)
        return batch | {key: column[wanted] for key, column in self._columns.items()}

    def _decode(self, wanted: Sequence[int], batch: Sample, first: int, step: int) -> None:
        """Read and decode every `step`-th of the wanted samples into the batch."""
        for place in range(first, len(wanted), step):
            sample = wanted[place]
            for key, field in self._by_hdf5.items():
                batch[key][place] = self._read_by_hdf5(field, sample)
            for key, (index, compression) in self._indexes.items():
                stored = os.pread(self._descriptor, int(index.sizes[sample]), int(index.offsets[sample]))
                try:
                    decode_chunk(stored, batch[key][place], compression)
                except ValueError as error:
                    raise DatasetFileError(
                        f"Sample {sample} of {self._path} is damaged in {key}: {error}."
                    ) from error

    def _read_by_hdf5(self, field: Field, sample: int) -> NDArray[Any]:
        """Read a raster that other software stored, through HDF5 and its one lock."""
        with self._lock:
            # An open file of HDF5 does not survive a fork.
            if self._file is None or self._file[0] != os.getpid():
                self._file = os.getpid(), h5py.File(self._path, "r")
            try:
                return read_values(self._file[1], field, sample, sample + 1)[0]
            except (OSError, RuntimeError) as error:
                raise DatasetFileError(
                    f"Sample {sample} of {self._path} is damaged in {field.name}."
                ) from error

    def _checked(self, index: int) -> int:
        position = operator.index(index)
        if not -self._length <= position < self._length:
            raise IndexError(
                f"there is no sample {position}; the file has {count_noun(self._length, 'sample')}"
            )
        return position % self._length

    def _threads_of_this_process(self) -> ThreadPoolExecutor:
        """Return a pool of the process: threads do not survive a fork."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self._threads)
        return self._pool[1]
