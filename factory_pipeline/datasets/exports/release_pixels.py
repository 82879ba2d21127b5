"""Releases whose labels are in pixels throughout, as readers of Veda's own expect them; see `release`."""

from pathlib import Path

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates
from factory_pipeline.datasets.exports.release import check_release, is_media, write_release
from factory_pipeline.datasets.model.version_content import VersionContent

__all__ = ["check", "is_media", "write"]


def write(version: VersionContent, folder: Path) -> None:
    """Write the release, labels in pixels from the upper left corner of each image.

    Args:
        version: what is exported.
        folder: of the release.
    """
    write_release(version, folder, LabelCoordinates.PIXEL)


def check(version: VersionContent, folder: Path) -> None:
    """Read the release back.

    Args:
        version: what was exported.
        folder: of the release.
    """
    check_release(version, folder, LabelCoordinates.PIXEL)
