"""Paths of one release that is imported, from its archive to the images of the collection."""

from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.storage.folders import remove_folder


@dataclass(frozen=True)
class ReleaseFiles:
    """The files of a release that is imported, or was."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the process that imports it."""
        return self.root.with_name(f".{self.root.name}.lock")

    @property
    def request(self) -> Path:
        """Where the release came from and what the user said of it (JSON)."""
        return self.root / "request.json"

    @property
    def archive(self) -> Path:
        """The downloaded archive, while it is needed."""
        return self.root / "archive"

    @property
    def unpacked(self) -> Path:
        """The files of the archive, while they are needed."""
        return self.root / "unpacked"

    @property
    def images(self) -> Path:
        """The images of the collection."""
        return self.root / "images"

    @property
    def numbers(self) -> Path:
        """The labels of a regression, as rasters."""
        return self.root / "numbers"

    @property
    def tables(self) -> Path:
        """Tables of the collection before they are moved to it."""
        return self.root / "tables"

    @property
    def report(self) -> Path:
        """What was found and decided (JSON); written last."""
        return self.root / "report.json"

    def drop_imported(self) -> None:
        """Remove what an import has made, so that it begins anew; the archive and the request stay."""
        self.report.unlink(missing_ok=True)
        for folder in (self.unpacked, self.images, self.numbers, self.tables):
            remove_folder(folder)

    def drop(self) -> None:
        """Remove everything of the release."""
        remove_folder(self.root)
