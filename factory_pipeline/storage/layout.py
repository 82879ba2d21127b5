"""Paths in a factory home; only this module and `*_files` beside it build paths."""

import os
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.errors import HomeError
from factory_pipeline.storage.atomic import working_path
from factory_pipeline.storage.pair_set_files import PairSetFiles
from factory_pipeline.storage.release_files import ReleaseFiles
from factory_pipeline.storage.stored_path import StoredPath, to_path
from factory_pipeline.storage.studio_files import StudioFiles
from factory_pipeline.storage.upload_files import DatasetFiles, UploadFiles


def require_working_directory() -> None:
    """Raise HomeError if somebody removed the working directory of this process."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise HomeError(
            "The working directory of this process was removed: change to one that exists."
        ) from error


@dataclass(frozen=True)
class FactoryHome:
    """The folder of a user's installation: inboxes, builds, data lake, the Dagster instance.

    It may be on an object store. What belongs to one machine, such as locks, logs and the settings of its
    Dagster instance, is then in the scratch folder of that machine.
    """

    root: Path

    @classmethod
    def at(cls, location: str | Path) -> "FactoryHome":
        """Return the home at a location.

        Args:
            location: a path, or an address such as `s3://bucket/home`.

        Raises:
            StoreError: the address names no bucket.
            HomeError: the path is relative, and the working directory is gone; or it is no text.
        """
        path = to_path(location)
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            # polars and GDAL take paths as UTF-8 alone.
            raise HomeError(
                f"The path of the factory home {str(path)!a} is not UTF-8: name another, or set"
                " PYTHONUTF8=1 where the locale is not UTF-8."
            ) from error
        if not path.is_absolute():
            require_working_directory()
        return cls(path.absolute())

    @classmethod
    def from_environment(cls) -> "FactoryHome":
        """Return the folder that FACTORY_HOME names, else `./factory_home`."""
        return cls.at(os.environ.get("FACTORY_HOME") or "factory_home")

    @property
    def is_remote(self) -> bool:
        """Whether the home is on an object store."""
        return isinstance(self.root, StoredPath)

    def require_folder(self) -> None:
        """Raise HomeError if the home exists and is not a folder, or is remote and its registry is local."""
        if self.is_remote:
            self.registry_address  # noqa: B018
        elif self.root.exists() and not self.root.is_dir():
            raise HomeError(
                f"The factory home {self.root} is not a folder; set FACTORY_HOME to another path."
            )

    def require_existing(self) -> None:
        """Raise HomeError if the home does not exist: a command that reads never creates it."""
        self.require_folder()
        # The registry may be on a server while the folder is still new.
        if os.environ.get("FACTORY_REGISTRY"):
            return
        made = (self.registry, self.dagster, self.build_file, self.upload_inbox)
        if not any(path.exists() for path in made):
            raise HomeError(
                f"The factory home {self.root} does not exist: set FACTORY_HOME to another, or create one,"
                " for example"
                " by factory demo."
            )

    @property
    def granule_inbox(self) -> Path:
        """Granules dropped here extend the dataset."""
        return self.root / "inbox" / "granules"

    @property
    def upload_inbox(self) -> Path:
        """Manifests dropped here, with their archives or without, are onboarded."""
        return self.root / "inbox" / "uploads"

    def dropped_manifest(self, name: str) -> Path:
        """Return the path of a manifest in the inbox."""
        return self.upload_inbox / f"{name}.yaml"

    def dropped_archive(self, name: str) -> Path:
        """Return the path of the archive of a manifest in the inbox."""
        return self.upload_inbox / f"{name}.zip"

    @property
    def spec_inbox(self) -> Path:
        """Specs of image pairs dropped here are cut out of their volumes and aligned."""
        return self.root / "inbox" / "specs"

    @property
    def recipe_inbox(self) -> Path:
        """Recipes of datasets dropped here are built; paths in them start here."""
        return self.root / "inbox" / "recipes"

    def pair_set(self, key: str) -> PairSetFiles:
        """Return the files of a set of image pairs by its key, `name@digest`."""
        return PairSetFiles(self.root / "pairs" / key)

    @property
    def intake_file(self) -> Path:
        """From where uploads are allowed and how large they may be, if not the defaults."""
        return self.root / "intake.yaml"

    @property
    def datasets(self) -> Path:
        """Onboarded datasets: a folder per name, with one folder per version in it."""
        return self.root / "datasets"

    def upload(self, key: str) -> "UploadFiles":
        """Return the files of an upload by its key, `name@version`."""
        name, _, version = key.partition("@")
        return UploadFiles(self.root / "uploads" / key, DatasetFiles(self.datasets / name / version))

    def release(self, key: str) -> ReleaseFiles:
        """Return the files of an imported release by its key, `name@version`."""
        return ReleaseFiles(self.root / "releases" / key)

    def training(self, key: str) -> Path:
        """Return the path of the model that was trained on an onboarded dataset."""
        return self.root / "training" / key

    @property
    def collections(self) -> Path:
        """Items and annotations of the data lake: a folder per collection."""
        return self.root / "collections"

    def collection(self, name: str, content_hash: str) -> "CollectionFiles":
        """Return the files of a collection; the folder is named by the content.

        Args:
            name: of the collection.
            content_hash: hex digest of its content; the first 8 digits are part of the folder's name.
        """
        return CollectionFiles(self.collections / f"{name}-{content_hash[:8]}")

    @property
    def versions(self) -> Path:
        """A folder per version of a dataset."""
        return self.root / "versions"

    def version(self, version_id: str) -> "VersionFiles":
        """Return the files of a version of a dataset."""
        return VersionFiles(self.versions / version_id)

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: run history and `dagster.yaml`."""
        return working_path(self.root) / "dagster"

    @property
    def dagster_config(self) -> Path:
        """The settings of the Dagster instance."""
        return self.dagster / "dagster.yaml"

    @property
    def shared_dagster_config(self) -> Path:
        """The settings of the Dagster instances of all machines that work on a home on an object store."""
        return self.root / "dagster" / "dagster.yaml"

    @property
    def dagster_ready(self) -> Path:
        """An empty file that exists as soon as Dagster's tables do."""
        return self.dagster / ".made"

    @property
    def dagster_lock(self) -> Path:
        """Held by the process that creates Dagster's tables."""
        return self.dagster / ".lock"

    @property
    def ui_log(self) -> Path:
        """The log of `factory ui`."""
        return self.dagster / "ui.log"

    @property
    def ui_lock(self) -> Path:
        """The file that `factory ui` holds while it runs; it says where the studio is."""
        return self.dagster / "ui.lock"

    def run_lock(self, run_id: str) -> Path:
        """Return the file that the process of a run holds, so that others can tell whether it is alive."""
        return self._run_locks / f"{run_id}.lock"

    def locked_runs(self) -> list[str]:
        """Return the ids of the runs that have a lock file, held or not, sorted."""
        return sorted(path.stem for path in self._run_locks.glob("*.lock"))

    @property
    def _run_locks(self) -> Path:
        return working_path(self.root) / "cache" / "runs"

    @property
    def studio(self) -> StudioFiles:
        """What the studio keeps between two visits."""
        return StudioFiles(working_path(self.root) / "studio")

    @property
    def registry(self) -> Path:
        """The registry's database (SQLite) of a local home, unless FACTORY_REGISTRY names another."""
        return self.root / "registry.db"

    @property
    def registry_address(self) -> str | Path:
        """Where the registry is: the database that FACTORY_REGISTRY names, else `registry`.

        Raises:
            HomeError: the home is on an object store and FACTORY_REGISTRY names no PostgreSQL database.
        """
        named = os.environ.get("FACTORY_REGISTRY")
        if self.is_remote and not (named or "").startswith(("postgres://", "postgresql:", "postgresql+")):
            raise HomeError(
                f"The factory home {self.root} is on an object store, so its registry must be in PostgreSQL: "
                "set FACTORY_REGISTRY to an address such as postgresql://user@host/database."
            )
        return named or self.registry

    @property
    def build_file(self) -> Path:
        """Settings of the build that this home works on."""
        return self.root / "build.yaml"

    def dataset_build(self, name: str) -> Path:
        """Return the path of settings of the build of a recipe (JSON), by the recipe's name."""
        return self.root / "builds" / f"{name}.json"

    def dataset_build_names(self) -> list[str]:
        """Return the names of the recipes that have settings of a build, sorted."""
        return sorted(path.stem for path in (self.root / "builds").glob("[!.]*.json"))

    def dataset_output(self, name: str) -> Path:
        """Return the output folder of the build of a recipe from the inbox, by the recipe's name."""
        return self.root / "builds" / "recipes" / name

    @property
    def default_output(self) -> Path:
        """The output folder of a build whose settings name none."""
        return self.root / "builds" / "gedi"


@dataclass(frozen=True)
class CollectionFiles:
    """The tables of one collection of the data lake."""

    root: Path

    @property
    def items(self) -> Path:
        """Its items (stac-geoparquet)."""
        return self.root / "items.parquet"

    @property
    def thumbnails(self) -> Path:
        """Thumbnails of its items, by which near-identical ones are found (Parquet); not every one has it."""
        return self.root / "thumbnails.parquet"

    def annotations(self, content_hash: str) -> Path:
        """Return the path of the annotations of one operation (Parquet), named by their content."""
        return self.root / f"annotations-{content_hash[:12]}.parquet"

    def masks(self, content_hash: str) -> Path:
        """Return the path of the folder with the rasters of the masks of one operation."""
        return self.root / f"masks-{content_hash[:12]}"

    @property
    def point_labels(self) -> Path:
        """The labels of points as rasters, a row per item (HDF5)."""
        return self.root / "labels.h5"

    def fused(self, split: str) -> Path:
        """Return the path of the samples of a build as they were when it was registered (HDF5)."""
        return self.root / f"{split}_dataset.h5"


@dataclass(frozen=True)
class VersionFiles:
    """The files of one version of a dataset: its manifest, and a folder per export."""

    root: Path

    @property
    def manifest(self) -> Path:
        """Its items with splits and annotations (Parquet)."""
        return self.root / "manifest.parquet"

    @property
    def splits(self) -> Path:
        """The record of its splits (JSON); versions of earlier releases have none."""
        return self.root / "splits.json"

    @property
    def unfinished(self) -> Path:
        """A marker file that exists while a process writes the version."""
        return self.root / ".unfinished"

    def export(self, slug: str) -> Path:
        """Return the path of the folder of one export."""
        return self.root / "exports" / slug
