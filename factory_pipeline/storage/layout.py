"""Where every file of a factory home is kept: the only module that builds a path."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.errors import HomeError


@dataclass(frozen=True)
class FactoryHome:
    """What a user's installation holds: inboxes, builds, the Dagster instance."""

    root: Path

    @classmethod
    def from_environment(cls) -> "FactoryHome":
        """The folder named by FACTORY_HOME, else `./factory_home`."""
        return cls(Path(os.environ.get("FACTORY_HOME") or "factory_home").absolute())

    def require_folder(self) -> None:
        """Raise HomeError if the home is something else than a folder."""
        if self.root.exists() and not self.root.is_dir():
            raise HomeError(f"The factory home {self.root} is not a folder; name another by FACTORY_HOME.")

    def require_existing(self) -> None:
        """Raise HomeError if there is no factory home here: reading makes none."""
        self.require_folder()
        made = (self.registry, self.dagster, self.build_file, self.upload_inbox)
        # The registry of an installation may be a server's, and the folder new.
        if not os.environ.get("FACTORY_REGISTRY") and not any(path.exists() for path in made):
            raise HomeError(
                f"There is no factory home at {self.root}: name one by FACTORY_HOME, or make one, for example"
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
        """A manifest in the inbox."""
        return self.upload_inbox / f"{name}.yaml"

    def dropped_archive(self, name: str) -> Path:
        """The archive of a manifest in the inbox."""
        return self.upload_inbox / f"{name}.zip"

    @property
    def intake_file(self) -> Path:
        """Where uploads may come from and how large they may be, if not as by default."""
        return self.root / "intake.yaml"

    @property
    def datasets(self) -> Path:
        """Onboarded datasets: a folder per name, in it one per version."""
        return self.root / "datasets"

    def upload(self, key: str) -> "UploadFiles":
        """The files of an upload by its key, `name@version`."""
        name, _, version = key.partition("@")
        return UploadFiles(self.root / "uploads" / key, DatasetFiles(self.datasets / name / version))

    def training(self, key: str) -> Path:
        """What was trained on an onboarded dataset."""
        return self.root / "training" / key

    @property
    def collections(self) -> Path:
        """Items and annotations of the data lake: a folder per collection."""
        return self.root / "collections"

    def collection(self, name: str, content_hash: str) -> "CollectionFiles":
        """The files of a collection; the folder is named by the content."""
        return CollectionFiles(self.collections / f"{name}-{content_hash[:8]}")

    @property
    def versions(self) -> Path:
        """A folder per version of a dataset."""
        return self.root / "versions"

    def version(self, version_id: str) -> "VersionFiles":
        """The files of a version of a dataset."""
        return VersionFiles(self.versions / version_id)

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: run history and `dagster.yaml`."""
        return self.root / "dagster"

    @property
    def dagster_config(self) -> Path:
        """The settings of the Dagster instance."""
        return self.dagster / "dagster.yaml"

    @property
    def dagster_ready(self) -> Path:
        """An empty file that exists once Dagster's tables do."""
        return self.dagster / ".made"

    @property
    def dagster_lock(self) -> Path:
        """Held by the process that makes Dagster's tables."""
        return self.dagster / ".lock"

    @property
    def daemon_log(self) -> Path:
        """The log of a daemon that a command started."""
        return self.dagster / "daemon.log"

    @property
    def ui_log(self) -> Path:
        """The log of `factory ui`."""
        return self.dagster / "ui.log"

    def run_lock(self, run_id: str) -> Path:
        """Held by the process that executes a run, so that others can tell whether it is alive."""
        return self.root / "cache" / "runs" / f"{run_id}.lock"

    @property
    def registry(self) -> Path:
        """The registry's database, unless the installation names another by its URL."""
        return self.root / "registry.db"

    @property
    def build_file(self) -> Path:
        """Settings of the build that this home works on."""
        return self.root / "build.yaml"

    @property
    def default_output(self) -> Path:
        """Where a build goes when its settings name no output."""
        return self.root / "builds" / "gedi"


@dataclass(frozen=True)
class CollectionFiles:
    """The tables of one collection of the data lake."""

    root: Path

    @property
    def items(self) -> Path:
        """Its items (stac-geoparquet)."""
        return self.root / "items.parquet"

    def annotations(self, content_hash: str) -> Path:
        """The annotations of one operation (Parquet), named by their content."""
        return self.root / f"annotations-{content_hash[:12]}.parquet"

    def masks(self, content_hash: str) -> Path:
        """The rasters that the masks of one operation lie in."""
        return self.root / f"masks-{content_hash[:12]}"

    def fused(self, split: str) -> Path:
        """The samples of a build as they were when it was collected (HDF5)."""
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
    def unfinished(self) -> Path:
        """A mark that is there while a writer makes the version."""
        return self.root / ".unfinished"

    def export(self, slug: str) -> Path:
        """The folder of one export."""
        return self.root / "exports" / slug


@dataclass(frozen=True)
class BuildFiles:
    """Every file of one build: what a user asked for in `root`, what stages pass on in `stages/`."""

    root: Path

    @property
    def stages(self) -> Path:
        """Files that one stage hands to the next."""
        return self.root / "stages"

    @property
    def footprints(self) -> Path:
        """A folder with a Parquet file per granule and the granule manifest."""
        return self.stages / "footprints"

    @property
    def items(self) -> Path:
        """The STAC items of each search, so that a rerun chooses the same product."""
        return self.stages / "items"

    @property
    def batch_plan(self) -> Path:
        """The batch plan: one row per footprint of the subset, with its batch key and place in it."""
        return self.stages / "batch_plan.parquet"

    def quality(self, split: str) -> Path:
        """The footprints of a split that passed every quality rule (Parquet)."""
        return self.stages / f"{split}_quality.parquet"

    def combined_csv(self, split: str) -> Path:
        """The footprints of a split that passed every quality rule (CSV, for the user)."""
        return self.root / f"{split}_combined.csv"

    def subset_csv(self, split: str) -> Path:
        """The footprints of a split that were drawn for the dataset."""
        return self.root / f"{split}_subset.csv"

    def subset_plot(self, split: str) -> Path:
        """Spatial and temporal distribution of the subset."""
        return self.root / f"{split}_distribution_subset.png"

    def combined_plot(self, split: str) -> Path:
        """Spatial and temporal distribution of all footprints that passed the quality rules."""
        return self.root / f"{split}_distribution.png"

    def chips(self, batch: str, layer: str) -> Path:
        """The chips of one layer (`sentinel2`, `copdem`, `worldcover`) of one batch."""
        return self.stages / "chips" / batch / f"{layer}.npz"

    def progress(self, batch: str) -> Path:
        """How far the layer of a batch is that is being read (text, 0 to 1)."""
        return self.stages / "chips" / batch / "progress"

    def drop_chips(self, batch: str) -> None:
        """Remove the chips of a batch whose dataset file is written."""
        shutil.rmtree(self.stages / "chips" / batch, ignore_errors=True)

    @property
    def batches(self) -> Path:
        """A dataset file per batch."""
        return self.root / "batches"

    def batch(self, batch: str) -> Path:
        """The dataset file of one batch."""
        return self.batches / f"{batch}.h5"

    def take_back(self, batch: str) -> None:
        """Remove all that was made of a batch, so that the next run does it again."""
        # The dataset file goes first: a batch is finished where it is there.
        self.batch(batch).unlink(missing_ok=True)
        self.batch_rejects(batch).unlink(missing_ok=True)
        self.drop_chips(batch)

    def drop_items(self) -> None:
        """Remove the catalog's kept answers, so that the next run asks it again."""
        for kept in self.items.glob("*.json"):
            kept.unlink(missing_ok=True)

    def put_aside_failed(self, batch: str) -> None:
        """Move a batch's dataset file that failed a check to where no later stage takes it from."""
        aside = self.stages / "failed" / f"{batch}.h5"
        aside.parent.mkdir(parents=True, exist_ok=True)
        self.batch(batch).replace(aside)

    def dissolved(self, batch: str) -> Path:
        """Where a batch's dataset file waits when the plan no longer has it; its key may come back."""
        return self.stages / "dissolved" / f"{batch}.h5"

    def fused(self, split: str) -> Path:
        """The fused dataset file of a split."""
        return self.root / f"{split}_dataset.h5"

    def stage_rejects(self, stage: str) -> Path:
        """What one stage before extraction dropped (Parquet)."""
        return self.stages / "rejects" / f"{stage}.parquet"

    @property
    def waiting(self) -> Path:
        """Which host a batch waits for and until when; JSON, there once a host was waited for."""
        return self.stages / "waiting.json"

    def unusable_items(self, batch: str, layer: str) -> Path:
        """The items of the catalog that a stage of a batch could not use, with the reason; JSON, if any."""
        return self.stages / "unusable" / f"{batch}_{layer}.json"

    def batch_rejects(self, batch: str) -> Path:
        """What extraction dropped from one batch (Parquet)."""
        return self.stages / "rejects" / "batches" / f"{batch}.parquet"

    @property
    def rejects(self) -> Path:
        """The reject ledger of the whole build."""
        return self.root / "rejects.parquet"

    @property
    def summary(self) -> Path:
        """Counts of the whole build, as printed at its end."""
        return self.root / "summary.json"


@dataclass(frozen=True)
class DatasetFiles:
    """Every file of one version of an onboarded dataset. Images and labels lie where the index says."""

    root: Path

    @property
    def split_files(self) -> Path:
        """A file per split: one stem per line."""
        return self.root / "split_files"

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
        """The dataset described for machines."""
        return self.root / "croissant.json"

    @property
    def items(self) -> Path:
        """The images and labels as STAC items (stac-geoparquet)."""
        return self.root / "items.parquet"


@dataclass(frozen=True)
class UploadFiles:
    """What the stages of one onboarding pass on, and where the dataset lies once it is finished."""

    root: Path
    finished: DatasetFiles

    @property
    def dataset(self) -> DatasetFiles:
        """The dataset: finished, else as far as it is."""
        return self.finished if self.finished.root.exists() else self.unfinished

    @property
    def unfinished(self) -> DatasetFiles:
        """The dataset while it is made."""
        return DatasetFiles(self.root / "dataset")

    @property
    def lock(self) -> Path:
        """Held by the process that works on a stage."""
        return self.root / ".lock"

    @property
    def received(self) -> Path:
        """What is known of the upload since it came in (JSON)."""
        return self.root / "upload.json"

    @property
    def manifest(self) -> Path:
        """The manifest as it came in, without secrets in its address (JSON)."""
        return self.root / "manifest.json"

    @property
    def archive(self) -> Path:
        """The downloaded archive, while it is needed."""
        return self.root / "archive"

    @property
    def archive_facts(self) -> Path:
        """What the host says of the archive (JSON)."""
        return self.root / "archive.json"

    @property
    def unpacked(self) -> Path:
        """The files of the archive, while they are needed."""
        return self.root / "unpacked"

    @property
    def headers(self) -> Path:
        """What the pre-scan read of every image and label (Parquet)."""
        return self.root / "headers.parquet"

    @property
    def prescan(self) -> Path:
        """Outcome of the pre-scan (JSON); written after `headers`."""
        return self.root / "prescan.json"

    @property
    def contents(self) -> Path:
        """What the pixels of every image and label hold (Parquet)."""
        return self.root / "contents.parquet"

    @property
    def index(self) -> Path:
        """The pairs of the dataset with their paths (Parquet); written once they lie there."""
        return self.root / "index.parquet"

    @property
    def split(self) -> Path:
        """The split of each pair (Parquet)."""
        return self.root / "split.parquet"

    @property
    def split_notes(self) -> Path:
        """What is said of the splits wherever they are shown (JSON)."""
        return self.root / "split_notes.json"

    def drop_refused(self) -> None:
        """Remove what was made of an upload that is refused, but not what says why; a finished one stays."""
        if self.finished.root.exists():
            return
        # The index goes first: it says that images and labels lie at their places.
        self.index.unlink(missing_ok=True)
        self.split.unlink(missing_ok=True)
        self.split_notes.unlink(missing_ok=True)
        shutil.rmtree(self.unfinished.root, ignore_errors=True)
        self.drop_unneeded()

    def drop_unneeded(self) -> None:
        """Remove the archive, its unpacked files, and what killed processes left under temporary names."""
        self.archive.unlink(missing_ok=True)
        shutil.rmtree(self.unpacked, ignore_errors=True)
        for path in list(self.root.rglob(".*.part*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the dataset and everything that was made on the way."""
        if self.finished.root.exists():
            # Away in one step, so that nothing meets half a dataset.
            leaving = self.finished.root.with_name(f".{self.finished.root.name}.removed")
            shutil.rmtree(leaving, ignore_errors=True)
            self.finished.root.rename(leaving)
            shutil.rmtree(leaving)
        with suppress(OSError):
            # The folder of the name stays while another version lies in it.
            self.finished.root.parent.rmdir()
        shutil.rmtree(self.root, ignore_errors=True)
