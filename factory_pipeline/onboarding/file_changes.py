"""Changes of the files of a dataset relative to those of the archive."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_pipeline.onboarding.checks.band_order import bands_of, order_of
from factory_pipeline.onboarding.checks.file_roles import IMAGE
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.rewrite_images import (
    copy_georeference,
    declare_nodata,
    make_upright,
    reorder_bands,
    to_cog,
)


@dataclass(frozen=True)
class FileChanges:
    """Which files of an upload are changed, and how."""

    bands: Mapping[str, list[str]]
    """The bands of the images by suffix, in the order that the dataset has."""
    nodata: Mapping[str, float]
    """Nodata values beside those that the files declare, by suffix of images and labels."""
    labels_take_crs: bool
    images_to_cog: bool

    @classmethod
    def of(cls, manifest: UploadManifest) -> "FileChanges":
        """Return the changes that a manifest requests; its bands must be filled in."""
        return cls(
            bands_of(manifest), nodata_by_suffix(manifest), manifest.label_crs is not None, manifest.to_cog
        )

    def touches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a file may be changed; `row` is one of file_contents.CONTENT_SCHEMA."""
        is_image = row["role"] == IMAGE
        return bool(
            row["orientation"]
            or row["suffix"] in self.nodata
            or (is_image and (self.images_to_cog or self._order(row)))
            or (not is_image and self.labels_take_crs and row["crs"] is None)
        )

    def apply(self, path: Path, row: Mapping[str, Any], image: Mapping[str, Any]) -> None:
        """Change one file of the dataset; a change that is already applied is skipped.

        Args:
            path: the file in the dataset's folder.
            row: its contents, as for `touches`.
            image: `crs` and `transform` of the label's image.

        Raises:
            OnboardingError: CHECK_FAILED, the format of the file does not allow the change.
        """
        suffix = row["suffix"]
        if row["orientation"]:
            make_upright(path)
        if row["role"] == IMAGE and self._order(row):
            reorder_bands(path, self.bands[suffix])
        if suffix in self.nodata:
            declare_nodata(path, self.nodata[suffix], "nodata" if row["role"] == IMAGE else "label_nodata")
        if row["role"] == IMAGE and self.images_to_cog:
            to_cog(path)
        if row["role"] != IMAGE and self.labels_take_crs and row["crs"] is None:
            copy_georeference(path, image["crs"], image["transform"])

    def _order(self, row: Mapping[str, Any]) -> tuple[int, ...] | None:
        return order_of(row["band_names"], self.bands.get(row["suffix"], ()))


def nodata_by_suffix(manifest: UploadManifest) -> dict[str, float]:
    """Return the nodata values of a manifest, by suffix of images and labels."""
    first = manifest.training_data_suffixes[0]
    given = {source.file_suffix or first: source.nodata for source in manifest.data_sources}
    given[manifest.label_suffix] = manifest.label_nodata
    return {suffix: value for suffix, value in given.items() if value is not None}
