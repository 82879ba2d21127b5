"""The formats that a dataset version is exported in.

A format is a module of this package with three functions: `write`, `check` and `is_media`. It is imported on
first use, so that listing the formats is fast.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from factory_pipeline.errors import ArgumentError

if TYPE_CHECKING:
    from factory_pipeline.datasets.model.version_content import VersionContent


@dataclass(frozen=True)
class Format:
    """One format of exports."""

    name: str
    """Its name for users, such as `YOLO Darknet`."""
    slug: str
    """The name of its folders, such as `yolo-darknet`."""
    module: str
    """The module of this package that writes and checks it."""

    @property
    def asset(self) -> str:
        """Name of the asset that makes exports in it, such as `yolo_darknet_export`."""
        return f"{self.slug.replace('-', '_')}_export"

    def write(self, version: "VersionContent", folder: Path) -> None:
        """Write a version into an empty folder, one sample at a time in memory.

        Args:
            version: read one sample at a time, split by split.
            folder: exists and is empty.

        Raises:
            ExportError: the format can't represent something in the version.
        """
        self._import_module().write(version, folder)

    def check(self, version: "VersionContent", folder: Path) -> None:
        """Read the written files back and compare them with the version.

        Args:
            version: that was written.
            folder: of the export.

        Raises:
            ExportError: a file differs from the version.
        """
        self._import_module().check(version, folder)

    def is_media(self, path: PurePosixPath) -> bool:
        """Return whether a file is skipped by a download of only the annotations.

        Args:
            path: relative to the folder of the export.
        """
        return bool(self._import_module().is_media(path))

    def _import_module(self) -> ModuleType:
        return importlib.import_module(f"{__package__}.{self.module}")


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format("RAW", "raw", "raw"),
            Format("YOLO Darknet", "yolo-darknet", "yolo"),
            Format("Semantic Segmentation", "semantic-segmentation", "segmentation"),
            Format("COCO", "coco", "coco"),
            Format("TerraTorch", "terratorch", "terratorch"),
            Format("Croissant", "croissant", "croissant"),
            Format("HDF5", "hdf5", "hdf5"),
            Format("Parquet", "parquet", "parquet"),
            Format("WebDataset", "webdataset", "webdataset"),
            Format("HF", "hf", "hf"),
            Format("Zarr", "zarr", "zarr"),
            Format("LitData", "litdata", "litdata"),
            Format("Release", "release", "release"),
            Format("Release Pixels", "release-pixels", "release_pixels"),
        )
    }
)
"""By name."""


def format_named(name: object, argument: str = "export_types") -> Format:
    """Return the format with a name.

    Args:
        name: as the user typed it.
        argument: name of the argument, for the message.

    Raises:
        ArgumentError: there is no such format.
    """
    if isinstance(name, str) and name in FORMATS:
        return FORMATS[name]
    allowed = ", ".join(repr(each) for each in FORMATS)
    raise ArgumentError(argument, name, f"allowed are {allowed}")
