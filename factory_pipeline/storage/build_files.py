"""Paths of every file of one build."""

from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.storage.folders import remove_folder


@dataclass(frozen=True)
class BuildFiles:
    """Every file of one build: its results in `root`, what stages pass to later ones in `stages/`."""

    root: Path

    @property
    def stages(self) -> Path:
        """Files that one stage passes to the next."""
        return self.root / "stages"

    @property
    def footprints(self) -> Path:
        """A folder with a Parquet file per granule and the granule manifest."""
        return self.stages / "footprints"

    @property
    def items(self) -> Path:
        """The STAC items of each search, cached so that a rerun chooses the same product."""
        return self.stages / "items"

    @property
    def batch_plan(self) -> Path:
        """The batch plan: a row per footprint of the subset, with its batch key and position in it."""
        return self.stages / "batch_plan.parquet"

    @property
    def polygons(self) -> Path:
        """The polygons of a recipe's labels, for extraction (Parquet)."""
        return self.stages / "polygons.parquet"

    def quality(self, split: str) -> Path:
        """Return the path of the footprints of a split that passed every quality rule (Parquet)."""
        return self.stages / f"{split}_quality.parquet"

    def combined_csv(self, split: str) -> Path:
        """Return the path of the footprints of a split that passed every quality rule (CSV, for the user)."""
        return self.root / f"{split}_combined.csv"

    def subset_csv(self, split: str) -> Path:
        """Return the path of the footprints of a split that were sampled for the dataset (CSV)."""
        return self.root / f"{split}_subset.csv"

    def subset_plot(self, split: str) -> Path:
        """Return the path of the plot of the spatial and temporal distribution of the subset."""
        return self.root / f"{split}_distribution_subset.png"

    def combined_plot(self, split: str) -> Path:
        """Return spatial and temporal distribution of all footprints that passed the quality rules."""
        return self.root / f"{split}_distribution.png"

    @property
    def chips_of_batches(self) -> Path:
        """A folder with a folder for each batch that has chips and no dataset file yet."""
        return self.stages / "chips"

    def chips(self, batch: str, layer: str) -> Path:
        """Return the path of the chips of one layer (`sentinel2`, `copdem`, `worldcover`) of one batch.

        Args:
            batch: its key in the plan.
            layer: `sentinel2`, `copdem` or `worldcover`.
        """
        return self.chips_of_batches / batch / f"{layer}.npz"

    def progress(self, batch: str) -> Path:
        """Return the path of the progress of the layer of a batch that is being read (text, 0 to 1)."""
        return self.chips_of_batches / batch / "progress"

    def drop_chips(self, batch: str) -> None:
        """Remove the chips of a batch whose dataset file exists."""
        remove_folder(self.chips_of_batches / batch)

    @property
    def batches(self) -> Path:
        """A dataset file per batch."""
        return self.root / "batches"

    def batch(self, batch: str) -> Path:
        """Return the path of the dataset file of one batch."""
        return self.batches / f"{batch}.h5"

    def remove_batch(self, batch: str) -> None:
        """Remove all files of a batch, so that the next run makes it again."""
        # The dataset file is removed first: a batch is finished if it exists.
        self.batch(batch).unlink(missing_ok=True)
        self.batch_rejects(batch).unlink(missing_ok=True)
        self.drop_chips(batch)

    def drop_items(self) -> None:
        """Remove the cached responses of the catalog, so that the next run searches again."""
        for kept in self.items.glob("*.json"):
            kept.unlink(missing_ok=True)

    def set_aside_failed(self, batch: str) -> None:
        """Move a batch's dataset file that failed a check to a folder that no later stage reads."""
        aside = self.stages / "failed" / f"{batch}.h5"
        aside.parent.mkdir(parents=True, exist_ok=True)
        self.batch(batch).replace(aside)

    def dissolved(self, batch: str) -> Path:
        """Return the dataset file of a batch that the plan no longer contains; its key may come back."""
        return self.stages / "dissolved" / f"{batch}.h5"

    def fused(self, split: str) -> Path:
        """Return the path of the fused dataset file of a split."""
        return self.root / f"{split}_dataset.h5"

    def stage_rejects(self, stage: str) -> Path:
        """Return the path of what one stage before extraction dropped (Parquet)."""
        return self.stages / "rejects" / f"{stage}.parquet"

    @property
    def last_stage(self) -> Path:
        """Which of the stages after extraction is at work and how far it is (JSON); exists while one is."""
        return self.stages / "last_stage.json"

    @property
    def waiting(self) -> Path:
        """Which host a batch waits for and until when (JSON); exists after the first wait."""
        return self.stages / "waiting.json"

    def unusable_items(self, batch: str, layer: str) -> Path:
        """Return the path of the items that a stage of a batch could not use, with the reasons (JSON).

        Args:
            batch: its key in the plan.
            layer: of the stage, as for `chips`; the file exists only where there are such items.
        """
        return self.stages / "unusable" / f"{batch}_{layer}.json"

    def batch_rejects(self, batch: str) -> Path:
        """Return the path of what extraction dropped from one batch (Parquet)."""
        return self.stages / "rejects" / "batches" / f"{batch}.parquet"

    @property
    def rejects(self) -> Path:
        """The reject ledger of the whole build."""
        return self.root / "rejects.parquet"

    @property
    def splits(self) -> Path:
        """The record of the splits (JSON): what was searched for leaks, and what was found."""
        return self.root / "splits.json"

    @property
    def page(self) -> Path:
        """The page of a recipe's dataset, which needs no network."""
        return self.root / "dataset.html"

    @property
    def summary(self) -> Path:
        """Counts of the whole build, as printed at its end."""
        return self.root / "summary.json"
