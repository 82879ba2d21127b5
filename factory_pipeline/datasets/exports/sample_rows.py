"""Samples as rows of a table: texts, a transform, and rasters that have one shape and dtype per column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datasets.exports.hdf5 import MASKS, rasters_of, texts_of
from factory_pipeline.datasets.exports.rasterize import unlabelled_value
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError

TEXTS = ("name", "origin", "crs", "datetime", "metadata", "shapes", "original_name")
"""Columns of text: `metadata` and `shapes` are JSON."""
TRANSFORM = "transform"

Columns = Mapping[str, tuple[SampleRaster, str]]
"""By name: the first raster of a column, and the name of the sample that has it."""
Row = dict[str, Any]
"""Text, a list of six numbers or None, and arrays (bands, height, width) by column."""


def columns_of(version: VersionContent, split: str) -> Columns:
    """Return the columns of rasters of a split: `images/<modality>`, `masks` and `targets`.

    Args:
        version: whose samples are read.
        split: whose samples have the columns.

    Returns:
        The first raster of each column, and the name of its sample.

    Raises:
        ExportError: a raster is of complex numbers, which tables have no type for.
    """
    columns: dict[str, tuple[SampleRaster, str]] = {}
    for sample in version.samples(split):
        for name, raster in rasters_of(sample, version):
            columns.setdefault(name, (raster, sample.name))
    for name, (raster, named) in columns.items():
        if raster.values.dtype.kind == "c":
            raise ExportError(
                f"{name} of {named} is {raster.values.dtype}, and in this format numbers can't be complex:"
                " export as RAW or HDF5."
            )
    return columns


def bytes_of(columns: Columns) -> int:
    """Return how many bytes the rasters of a row are."""
    return sum(raster.values.nbytes for raster, _ in columns.values())


def row_of(sample: Sample, version: VersionContent, columns: Columns) -> Row:
    """Return the row of a sample; a mask or target that it lacks is filled.

    Args:
        sample: of the version.
        version: its modalities and classes determine the rasters.
        columns: of the sample's split, as `columns_of` returned them.

    Raises:
        ExportError: a raster has another shape or dtype than its column.
    """
    row: Row = dict(zip(TEXTS, (*texts_of(sample), sample.original_name or sample.name), strict=True))
    row[TRANSFORM] = None if sample.transform is None else list(sample.transform)
    there = dict(rasters_of(sample, version))
    for name, (first, named) in columns.items():
        raster = there.get(name)
        if raster is None:
            fill = unlabelled_value(version.values) if name == MASKS else first.nodata or 0
            row[name] = np.full(first.values.shape, fill, first.values.dtype)
            continue
        values = raster.values
        if values.shape != first.values.shape or values.dtype != first.values.dtype:
            raise ExportError(
                f"{name} of {sample.name} is {values.dtype} {values.shape}, but of {named}"
                f" {first.values.dtype} {first.values.shape}; one column can't contain both: export as RAW or"
                " COCO."
            )
        row[name] = np.ascontiguousarray(values)
    return row


def transform_to_array(transform: Sequence[float] | None) -> NDArray[np.float64]:
    """Return a row's transform for formats that have arrays alone: (6,), NaN where there is none."""
    return np.full(6, np.nan) if transform is None else np.array(transform, np.float64)


def transform_of_array(stored: NDArray[np.float64]) -> list[float] | None:
    """Return a row's transform from what `transform_to_array` made of it."""
    return None if np.isnan(stored).all() else [float(number) for number in stored]


def check_rows(version: VersionContent, split: str, found: Iterator[Mapping[str, Any]], place: str) -> None:
    """Compare rows that were read back with the samples of a split; NaN equals NaN in arrays.

    Args:
        version: that was written.
        split: of its samples.
        found: the rows in their order.
        place: the file or folder that they are read from, for the message.

    Raises:
        ExportError: a row is missing, differs, or is one too many.
    """
    columns = columns_of(version, split)
    for sample in version.samples(split):
        row = next(found, None)
        if row is None or not _is_equal(row, row_of(sample, version, columns)):
            raise ExportError(f"{sample.name} differs when {place} is read back.")
    if next(found, None) is not None:
        raise ExportError(f"{place} has more rows than the version has samples.")


def _is_equal(found: Mapping[str, Any], expected: Row) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == value.dtype
        and np.array_equal(found[name], value, equal_nan=value.dtype.kind == "f")
        if isinstance(value, np.ndarray)
        else found[name] == value
        for name, value in expected.items()
    )
