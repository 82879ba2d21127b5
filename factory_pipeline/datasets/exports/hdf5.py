"""HDF5: a file per split with images, masks, measured values and shapes, one chunk per sample.

Chunks are shuffled and deflated, which every HDF5 library reads. Text is variable-length UTF-8.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from factory_pipeline.datasets.exports.clip_annotations import has_area
from factory_pipeline.datasets.exports.media import image_of
from factory_pipeline.datasets.exports.rasterize import index_mask, unlabelled_value
from factory_pipeline.datasets.exports.raw import shape_record
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent, filled_splits
from factory_pipeline.errors import ExportError
from factory_pipeline.hdf5.codec import LEVEL, encode_chunk
from factory_pipeline.hdf5.layout import make_parent

IMAGES, MASKS, TARGETS = "images", "masks", "targets"
TEXTS = ("names", "origins", "crs", "times", "metadata", "shapes")
"""Text per sample: `shapes` and `metadata` are JSON, `origins` is the original of an augmented copy."""
TRANSFORMS = "transforms"
ROWS = 1024
"""Rows of text that are written at once, and per chunk of the transforms."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `train.h5`, `test.h5` and `validation.h5`, those that have samples.

    Raises:
        ExportError: samples of a split differ in size, bands or dtype, so that one array can't contain them.
    """
    for split in filled_splits(version):
        with h5py.File(folder / f"{split}.h5", "w", track_order=False) as file:
            _Writer(file, version, split).write()


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every sample, by h5py."""
    for split in filled_splits(version):
        with _open_file(folder / f"{split}.h5") as file:
            for row, sample in enumerate(version.samples(split)):
                _check_sample(file, row, sample, version)


def is_media(path: PurePosixPath) -> bool:  # noqa: ARG001
    """Return False: images and annotations are in one file."""
    return False


class _Writer:
    """Appends the samples of a split to a file; a dataset is made with the first sample that needs it."""

    def __init__(self, file: h5py.File, version: VersionContent, split: str) -> None:
        self._file = file
        self._version = version
        self._split = split
        self._length = version.counts[split]
        self._first: dict[str, str] = {}
        """Name of the sample that each dataset was made for."""

    def write(self) -> None:
        facts = {"dataset": self._version.dataset, "version": self._version.number, "split": self._split}
        self._file.attrs.update(facts)
        self._file.attrs["labels"] = list(self._version.labels)
        self._file.attrs["label_values"] = [self._version.values[label] for label in self._version.labels]
        texts = {
            name: self._file.create_dataset(name, self._length, h5py.string_dtype(), track_order=False)
            for name in TEXTS
        }
        transforms = self._file.create_dataset(
            TRANSFORMS,
            (self._length, 6),
            np.float64,
            chunks=(min(ROWS, self._length), 6),
            compression="gzip",
            track_order=False,
        )
        rows: list[tuple[str, ...]] = []
        placed: list[tuple[float, ...]] = []
        for row, sample in enumerate(self._version.samples(self._split), start=1):
            for path, raster in rasters_of(sample, self._version):
                self._append(path, row - 1, raster, sample)
            rows.append(texts_of(sample))
            placed.append(sample.transform or (np.nan,) * 6)
            if len(rows) == ROWS or row == self._length:
                for name, column in zip(TEXTS, zip(*rows, strict=True), strict=True):
                    texts[name][row - len(rows) : row] = column
                transforms[row - len(rows) : row] = placed
                rows, placed = [], []

    def _append(self, path: str, row: int, raster: SampleRaster, sample: Sample) -> None:
        values = np.ascontiguousarray(raster.values)
        if path not in self._first:
            self._make(path, raster)
            self._first[path] = sample.name
        dataset = self._file[path]
        if dataset.shape[1:] != values.shape or dataset.dtype != values.dtype:
            raise ExportError(
                f"{path} of {sample.name} is {values.dtype} {values.shape}, but of {self._first[path]}"
                f" {dataset.dtype} {dataset.shape[1:]}; one array can't contain both: export as RAW or COCO."
            )
        dataset.id.write_direct_chunk((row, 0, 0, 0), encode_chunk(values))

    def _make(self, path: str, raster: SampleRaster) -> None:
        make_parent(self._file, path)
        dataset = self._file.create_dataset(
            path,
            (self._length, *raster.values.shape),
            raster.values.dtype,
            chunks=(1, *raster.values.shape),
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=True,
            # The fill value of a sample without this raster.
            fillvalue=raster.values.dtype.type(raster.nodata or 0),
            track_order=False,
        )
        dataset.attrs["band_names"] = list(raster.bands)
        if raster.nodata is not None:
            dataset.attrs["nodata"] = raster.nodata
        if raster.rgb is not None:
            dataset.attrs["rgb"] = raster.rgb


def rasters_of(sample: Sample, version: VersionContent) -> Iterator[tuple[str, SampleRaster]]:
    """Yield the rasters of a sample, each with the path of its HDF5 dataset.

    Args:
        sample: of the version.
        version: its modalities and classes determine the rasters.
    """
    for modality in version.modalities:
        yield f"{IMAGES}/{modality}", image_of(sample, modality)
    if sample.mask is not None or any(map(has_area, sample.shapes)):
        yield MASKS, index_mask(sample, version)
    if sample.target is not None:
        yield TARGETS, sample.target


def texts_of(sample: Sample) -> tuple[str, ...]:
    """Return the texts of a sample in the order of TEXTS."""
    return (
        sample.name,
        sample.origin,
        sample.crs or "",
        sample.acquired.isoformat() if sample.acquired else "",
        json.dumps(dict(sample.metadata), sort_keys=True, ensure_ascii=False),
        json.dumps([shape_record(shape) for shape in sample.shapes], ensure_ascii=False),
    )


@contextmanager
def _open_file(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError) as error:
        raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error


def _check_sample(file: h5py.File, row: int, sample: Sample, version: VersionContent) -> None:
    expected = dict(rasters_of(sample, version))
    for path, raster in expected.items():
        if not np.array_equal(file[path][row], raster.values, equal_nan=raster.values.dtype.kind == "f"):
            raise ExportError(f"{path} of {sample.name} differs in values when it is read back.")
    if (
        MASKS in file
        and MASKS not in expected
        and (file[MASKS][row] != unlabelled_value(version.values)).any()
    ):
        raise ExportError(f"{sample.name} has no mask, but one is read back.")
    for name, text in zip(TEXTS, texts_of(sample), strict=True):
        if file[name].asstr()[row] != text:
            raise ExportError(f"{name} of {sample.name} differs when it is read back.")
    placed = np.array(sample.transform or (np.nan,) * 6)
    if not np.array_equal(file[TRANSFORMS][row], placed, equal_nan=True):
        raise ExportError(f"{sample.name} differs in georeference when it is read back.")
