"""The end of a recipe's build: the fuse with its guard, the ledger of the whole build, the summary."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import polars as pl
import pyarrow.parquet as pq

from factory_pipeline.builds.dataset_losses import check_losses, forget_lost
from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA, RejectLedger
from factory_pipeline.builds.output_folder import check_complete, remove_former_splits
from factory_pipeline.builds.rasters.read_source import NO_TIME
from factory_pipeline.builds.recipe_split_record import record_splits
from factory_pipeline.builds.stored_summary import StoredSummary, unusable_lines, written_lines
from factory_pipeline.builds.unusable_items import count_unusable_items
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import LostFootprintsError
from factory_pipeline.hdf5.fields import DATA
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import BATCH_ROWS, ParquetBatches


@dataclass(frozen=True)
class DatasetBuildSummary(StoredSummary):
    """The result of a build from labels; stored as `summary.json`."""

    name: str
    labels: int
    """Labels of the file."""
    dropped: dict[str, int]
    """Labels by `stage: reason`."""
    samples: dict[str, int]
    """Accepted labels by split."""
    batches: int
    files: dict[str, str]
    """What was written, by what it is."""
    items_unusable: dict[str, int]
    """Items of the catalog that could not be used, by `source: reason`."""
    remarks: list[str]
    """What a person should know of how the labels were read."""
    splits: list[str] = field(default_factory=list)
    """What a person should know of the splits."""
    lacking: dict[str, int] = field(default_factory=dict)
    """Samples that have no scene in some step of a source, by the source."""

    def __str__(self) -> str:
        accepted = sum(self.samples.values())
        lines = [f"Labels in            {self.labels:>12,}"]
        windows = accepted + sum(self.dropped.values())
        if windows != self.labels:
            # A grid over polygons has more windows than labels.
            lines.append(f"Windows              {windows:>12,}")
        lines += [f"  {name:<28} {-count:>8,}" for name, count in self.dropped.items()]
        lines.append(f"Accepted             {accepted:>12,}")
        lines += [f"  {split:<28} {count:>8,}" for split, count in self.samples.items()]
        lines += [f"  {f'lack scenes of {source}':<28} {n:>8,}" for source, n in self.lacking.items()]
        lines += unusable_lines(self.items_unusable)
        lines += self.remarks
        if self.splits:
            lines.append(f"Splits   {self.splits[0]}")
        return "\n".join([*lines, *written_lines(self.files)])


def fuse_dataset(settings: DatasetSettings) -> DatasetBuildSummary:
    """Fuse the batches of the plan, split by split, and write the ledger and the summary.

    Raises:
        IncompleteBuildError: a batch of the plan has no file; the message names it.
        LostFootprintsError: more labels than allowed are lost to the catalog or the archive, or none became a
            sample; no dataset file is written.
        DatasetFileError: a batch file is not what the plan and its ledger say.
    """
    files = settings.files
    plan = StoredDatasetPlan(files.batch_plan)
    check_complete(plan, files)
    check_losses(settings, plan)
    rejects = {key: _count_rows(files.batch_rejects(key)) for key in plan.keys}
    dropped = _write_ledger(settings, plan)
    if rejects == plan.sizes:
        # What was lost to the catalog or the archive may be a sample the next time.
        forget_lost(settings, plan)
        raise LostFootprintsError(_describe_no_samples(plan, dropped))
    samples = {}
    for split in plan.splits:
        keys = plan.keys_of(split)
        expected = [plan.sizes[key] - rejects[key] for key in keys]
        samples[split] = fuse_datasets(
            [files.batch(key) for key in keys],
            files.fused(split),
            settings.recipe,
            split,
            expected,
            extra=plan.extra,
        )
    remove_former_splits(files, samples)
    record = record_splits(settings.recipe, files)
    record.write(files.splits)
    summary = DatasetBuildSummary(
        name=settings.recipe.name,
        labels=plan.labels,
        dropped=dropped,
        samples=samples,
        batches=len(plan.keys),
        files={
            **{f"{split} dataset": str(files.fused(split)) for split in samples},
            "reject ledger": str(files.rejects),
            "splits": str(files.splits),
            "page": str(files.page),
            "summary": str(files.summary),
        },
        items_unusable=count_unusable_items(plan, files, settings.recipe.sources),
        remarks=list(plan.remarks),
        splits=list(record.sentences),
        lacking=_count_lacking(settings, list(samples)),
    )
    summary.save(files.summary)
    return summary


def _count_rows(path: Path) -> int:
    return pl.scan_parquet(path).select(pl.len()).collect().item()


def _write_ledger(settings: DatasetSettings, plan: StoredDatasetPlan) -> dict[str, int]:
    """Write the ledger of the whole build, part by part; return the counts by `stage: reason`."""
    files = settings.files
    parts = [files.stage_rejects("labels"), *(files.batch_rejects(key) for key in plan.keys)]
    with atomic_write(files.rejects) as temporary, ParquetBatches(temporary) as file:
        ledger = RejectLedger(file)
        for part in parts:
            with pq.ParquetFile(part) as stored:
                for rows in stored.iter_batches(BATCH_ROWS, columns=list(REJECT_SCHEMA)):
                    ledger.append(pl.DataFrame(rows))
    return {f"{stage}: {reason}": count for (stage, reason), count in ledger.counts.items()}


def _count_lacking(settings: DatasetSettings, splits: list[str]) -> dict[str, int]:
    """Return how many samples have a step without a scene, by source, where any has."""
    counts: Counter[str] = Counter()
    for split in splits:
        with h5py.File(settings.files.fused(split)) as file:
            for source in settings.recipe.sources:
                times = file[f"{DATA}/{source}_times"][:]
                counts[source] += int((times == NO_TIME).any(axis=1).sum())
    return {source: count for source, count in counts.items() if count}


def _describe_no_samples(plan: StoredDatasetPlan, dropped: dict[str, int]) -> str:
    counts = sorted(((count, reason) for reason, count in dropped.items()), reverse=True)
    named = ", ".join(f"{count:,} by {reason}" for count, reason in counts[:5])
    return (
        f"Not one of the {plan.labels:,} labels can be a sample, so no dataset is written. Dropped were"
        f" {named}; rejects.parquet says of each label why."
    )
