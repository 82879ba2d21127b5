"""Paths of every file of one upload and of the dataset that its onboarding makes."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.storage.atomic import working_path
from factory_pipeline.storage.folders import remove_folder


@dataclass(frozen=True)
class DatasetFiles:
    """Every file of one version of an onboarded dataset. The index has the paths of images and labels."""

    root: Path

    @property
    def split_files(self) -> Path:
        """A file per split: one stem per line."""
        return self.root / "split_files"

    @property
    def splits(self) -> Path:
        """The record of the splits (JSON); datasets of earlier releases have none."""
        return self.root / "splits.json"

    @property
    def training_params(self) -> Path:
        """Statistics of the bands and labels of the training images."""
        return self.root / "training_params.json"

    @property
    def terratorch(self) -> Path:
        """A configuration for `terratorch fit`."""
        return self.root / "terratorch.yaml"

    @property
    def page(self) -> Path:
        """The dataset page."""
        return self.root / "dataset.html"

    @property
    def croissant(self) -> Path:
        """The description of the dataset for machines (Croissant, JSON-LD)."""
        return self.root / "croissant.json"

    @property
    def items(self) -> Path:
        """The images and labels as STAC items (stac-geoparquet)."""
        return self.root / "items.parquet"


@dataclass(frozen=True)
class UploadFiles:
    """The files that the stages of one onboarding pass on, and the folder of the finished dataset."""

    root: Path
    finished: DatasetFiles

    @property
    def dataset(self) -> DatasetFiles:
        """The dataset: the finished one if it exists, else the unfinished one."""
        return self.finished if self.finished.root.exists() else self.unfinished

    @property
    def unfinished(self) -> DatasetFiles:
        """The dataset while it is written."""
        return DatasetFiles(self.root / "dataset")

    @property
    def lock(self) -> Path:
        """Held by the process that runs a stage."""
        return self.root / ".lock"

    @property
    def received(self) -> Path:
        """When and from where the upload was received (JSON)."""
        return self.root / "upload.json"

    @property
    def manifest(self) -> Path:
        """The manifest as received, without secrets in its address (JSON)."""
        return self.root / "manifest.json"

    @property
    def description(self) -> Path:
        """A description that replaces that of the manifest where the dataset is shown (text), if any."""
        return self.root / "description.txt"

    @property
    def archive(self) -> Path:
        """The downloaded archive, while it is needed."""
        return working_path(self.root / "archive")

    @property
    def archive_facts(self) -> Path:
        """What the host reports about the archive (JSON)."""
        return self.root / "archive.json"

    @property
    def unpacked(self) -> Path:
        """The files of the archive, while they are needed."""
        return working_path(self.root / "unpacked")

    @property
    def headers(self) -> Path:
        """The header of every image and label, as read by the pre-scan (Parquet)."""
        return self.root / "headers.parquet"

    @property
    def prescan(self) -> Path:
        """Result of the pre-scan (JSON); written after `headers`."""
        return self.root / "prescan.json"

    @property
    def contents(self) -> Path:
        """What the pixels of every image and label contain (Parquet)."""
        return self.root / "contents.parquet"

    @property
    def tallies(self) -> Path:
        """How often each value occurs in each image and label, while it is needed; after `contents`."""
        return working_path(self.root / "tallies.bin")

    @property
    def index(self) -> Path:
        """The pairs of the dataset with their paths (Parquet); written after the files exist."""
        return self.root / "index.parquet"

    @property
    def split(self) -> Path:
        """The split of each pair (Parquet)."""
        return self.root / "split.parquet"

    @property
    def split_notes(self) -> Path:
        """The notes that are shown with the splits (JSON)."""
        return self.root / "split_notes.json"

    def drop_refused(self) -> None:
        """Remove what was made of a refused upload, except the files that say why; a finished one stays."""
        if self.finished.root.exists():
            return
        # The index is removed first: it says that images and labels exist at their paths.
        self.index.unlink(missing_ok=True)
        self.split.unlink(missing_ok=True)
        self.split_notes.unlink(missing_ok=True)
        remove_folder(self.unfinished.root)
        self.drop_unneeded()

    def drop_unneeded(self) -> None:
        """Remove the archive, its unpacked files and tallies, and temporary files of killed processes."""
        self.archive.unlink(missing_ok=True)
        self.tallies.unlink(missing_ok=True)
        remove_folder(self.unpacked)
        for path in list(working_path(self.root).rglob(".*.part*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the dataset and everything that was made for it."""
        if self.finished.root.exists():
            remove_folder(self.finished.root)
        with suppress(OSError):
            # The folder of the name stays while it contains another version.
            self.finished.root.parent.rmdir()
        remove_folder(self.root)
