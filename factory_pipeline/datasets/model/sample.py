"""One image of a dataset version in memory, with its labels and properties: the input of exports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import CROWD, GROUP, AnnotationType

Affine6 = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f of x = a * column + b * row + c, y = d * column + e * row + f."""


@dataclass(frozen=True)
class SampleRaster:
    """Bands on the grid of an image."""

    values: NDArray[Any]
    """(bands, height, width)"""
    bands: tuple[str, ...]
    """Names of the bands."""
    nodata: float | None = None
    rgb: tuple[int, int, int] | None = None
    """Positions of red, green and blue among the bands."""


@dataclass(frozen=True)
class Shape:
    """An annotation that is drawn: rectangle, polygon or line.

    Coordinates are pixels (x, y) from the upper left corner of the image.
    """

    type: AnnotationType
    label: str
    bbox: tuple[float, float, float, float]
    """x, y, width, height."""
    rings: tuple[NDArray[Any], ...] = ()
    """(points, 2) float64 of x, y, the last point not repeated: the outer ring and holes of a polygon; a
    line. Empty for a rectangle."""
    confidence: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    operation: str = ""
    source: str = "human"

    @property
    def group(self) -> str | None:
        """The key that parts of one object share, within an image, label and operation."""
        value = self.metadata.get(GROUP)
        return None if value is None else str(value)

    @property
    def is_crowd(self) -> bool:
        """Whether it stands for many objects that are not separated."""
        return bool(self.metadata.get(CROWD))


@dataclass(frozen=True)
class Sample:
    """An image of a version, or an augmented copy of one."""

    name: str
    """Unique in the version; stem of its files."""
    split: str
    images: Mapping[str, SampleRaster]
    """By modality; all of one height and width."""
    shapes: tuple[Shape, ...] = ()
    mask: SampleRaster | None = None
    """(1, height, width) of class values, `nodata` where no class is known."""
    target: SampleRaster | None = None
    """(1, height, width) of measured values, as for regression."""
    crs: str | None = None
    transform: Affine6 | None = None
    """From pixels to coordinates of the CRS; None if the image is not georeferenced."""
    acquired: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """The raster file that holds exactly these bands, by modality.

    Empty for a copy, and for images in HDF5.
    """
    original_name: str = ""
    """The original name of the image, without its suffix; the id of its item if it is not known."""
    origin: str = ""
    """Name of the original of an augmented copy; empty for an original."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        raster = next(iter(self.images.values()))
        return raster.values.shape[1], raster.values.shape[2]
