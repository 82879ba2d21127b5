"""The end of a build: the fuse with its guard, the ledger of the whole build, the summary."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.gedi_splits import split_record
from factory_pipeline.builds.lost_footprints import Losses, no_sample_error
from factory_pipeline.builds.output_folder import check_complete, remove_former_splits
from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.builds.stored_summary import StoredSummary, unusable_lines, written_lines
from factory_pipeline.builds.unusable_items import count_unusable_items
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import LAYERS, Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.fuse_folder import fuse_folder as fuse_dataset_files
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.build_files import BuildFiles


@dataclass(frozen=True)
class BuildSummary(StoredSummary):
    """The result of a build from footprints; stored as `summary.json`."""

    granules: int
    """Granules that were read."""
    granules_set_aside: dict[str, str]
    """Granules that could not be used, with the reason."""
    footprints_in: int
    """Footprints that came in, from granules and given CSVs: accepted and dropped ones together."""
    dropped: dict[str, int]
    """Footprints by `stage: reason`, in the order of the stages."""
    planned: int
    """Footprints that were drawn for the dataset."""
    plan: str
    """Digest of the batch plan."""
    batches: int
    samples: dict[str, int]
    """Accepted footprints by split."""
    files: dict[str, str]
    """What was written, by what it is."""
    items_unusable: dict[str, int] = field(default_factory=dict)
    """Items of the catalog that could not be used, by `layer: reason`."""
    granules_replaced: dict[str, str] = field(default_factory=dict)
    """Older productions that are left out, with the newer file that replaces them."""
    granules_gone: list[str] = field(default_factory=list)
    """Granules that are no longer in the input; what was read of them stays in the dataset."""
    changed: str = ""
    """What was changed since the run before that batches depend on, and how many of them were kept."""
    splits: list[str] = field(default_factory=list)
    """Notes on the splits, a sentence each; the first says whether they leak."""
    not_read: dict[str, str] = field(default_factory=dict)
    """Files of the input that look like granules and were not read, with the reason."""

    @property
    def extraction_yield(self) -> float:
        """Accepted footprints as a fraction of those drawn."""
        return sum(self.samples.values()) / self.planned if self.planned else 0.0

    def __str__(self) -> str:
        lines = [
            f"Footprints in        {self.footprints_in:>12,}  from {count_noun(self.granules, 'granule')}"
        ]
        lines += [f"  {name:<28} {-count:>8,}" for name, count in self.dropped.items() if count]
        accepted = sum(self.samples.values())
        lines.append(
            f"Accepted             {accepted:>12,}  {self.extraction_yield:.0%} of the {self.planned:,} drawn"
        )
        lines += [f"  {split:<28} {count:>8,}" for split, count in self.samples.items()]
        if self.granules_set_aside:
            lines.append(f"Granules set aside   {len(self.granules_set_aside):>12,}")
            lines += [f"  {name}: {reason}" for name, reason in self.granules_set_aside.items()]
        lines += unusable_lines(self.items_unusable)
        if self.granules_replaced:
            lines.append(f"Older productions    {len(self.granules_replaced):>12,}")
            lines += [f"  {old} is replaced by {new}" for old, new in self.granules_replaced.items()]
        if self.granules_gone:
            lines.append(
                f"No longer in input   {len(self.granules_gone):>12,}  their footprints stay in the dataset;"
                " build into another --output to be without them"
            )
            lines += [f"  {name}" for name in self.granules_gone]
        if self.not_read:
            lines.append(f"Not read             {len(self.not_read):>12,}")
            lines += [f"  {path}: {reason}." for path, reason in self.not_read.items()]
        if self.changed:
            lines.append(f"Changed: {self.changed}")
        if self.splits:
            lines.append(f"Splits   {self.splits[0]}")
        return "\n".join([*lines, *written_lines(self.files)])


def fuse_build(settings: BuildSettings, on_split: Callable[[str], object]) -> BuildSummary:
    """Fuse the batches of the plan, split by split, and write the ledger and the summary.

    Args:
        settings: of the build.
        on_split: called with the name of each split when it begins.

    Raises:
        IncompleteBuildError: a batch of the plan has no file; the message names it.
        LostFootprintsError: more footprints than allowed are lost by no fault of their own, or no footprint
            became a sample. The ledger says why; no dataset file is written.
        DatasetFileError: a batch file is not what the plan and its ledger say.
    """
    files = settings.files
    plan = StoredPlan(files.batch_plan)
    check_complete(plan, files)
    losses = Losses(settings, plan)
    losses.check()
    dropped = _combine_ledgers(plan, files)
    if all(count_accepted(plan, files, key) == 0 for key in plan.keys):
        # What was lost by no fault of the footprints may be a sample the next time.
        losses.remove_batches()
        raise no_sample_error(footprint_stages.footprints_in(settings), dropped)
    samples = {}
    for split in settings.recipe.splits:
        keys = plan.keys_of(split)
        expected = [count_accepted(plan, files, key) for key in keys]
        samples[split] = fuse_datasets(
            [files.batch(key) for key in keys], files.fused(split), settings.recipe, split, expected
        )
        on_split(
            f"{split}: {count_noun(samples[split], 'sample')} of"
            f" {count_noun(len(keys), 'batch', 'batches')} fused."
        )
    aggregation = footprint_stages.load_aggregation(settings)
    remove_former_splits(files, samples)
    record = split_record(settings.recipe, files)
    record.write(files.splits)
    summary = BuildSummary(
        granules=len(aggregation.granules) if aggregation else 0,
        granules_set_aside=dict(aggregation.set_aside) if aggregation else {},
        granules_replaced=dict(aggregation.replaced) if aggregation else {},
        granules_gone=list(aggregation.gone) if aggregation else [],
        not_read=dict(aggregation.ignored) if aggregation else {},
        footprints_in=footprint_stages.footprints_in(settings),
        dropped=dropped,
        planned=plan.footprints,
        plan=plan.digest,
        batches=len(plan.keys),
        changed=plan.change,
        splits=list(record.sentences),
        samples=samples,
        files={
            **{f"{split} dataset": str(files.fused(split)) for split in samples},
            "reject ledger": str(files.rejects),
            "splits": str(files.splits),
            "summary": str(files.summary),
        },
        items_unusable=count_unusable_items(plan, files, LAYERS),
    )
    summary.save(files.summary)
    return summary


def count_accepted(plan: PlanKeys, files: BuildFiles, batch: str) -> int:
    """Return how many samples the file of a batch must hold, as the plan and the batch's ledger say.

    Args:
        plan: of the build.
        files: of the build.
        batch: its key.
    """
    return plan.sizes[batch] - pl.read_parquet(files.batch_rejects(batch)).height


def fuse_folder(folder: Path, output: Path) -> dict[str, int]:
    """Fuse the dataset files of a folder into one file per split; return the samples by split.

    Args:
        folder: with dataset files of batches (`*.h5`, `*.hdf5`).
        output: the folder of the fused files.

    Raises:
        DatasetFileError: the folder contains no dataset file, or one that is not whole, or a shot twice.
    """
    endings = (".h5", ".hdf5")
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
    ]
    if not paths:
        raise DatasetFileError(f"There are no dataset files (*.h5, *.hdf5) in {folder}.")
    outputs = {split: BuildFiles(output).fused(split) for split in Recipe().splits}
    return fuse_dataset_files(paths, outputs)


def _combine_ledgers(plan: PlanKeys, files: BuildFiles) -> dict[str, int]:
    """Write the ledger of the full build; return the counts by `stage: reason`."""
    parts = [
        *(files.stage_rejects(stage) for stage in ("quality", "subset")),
        *(files.batch_rejects(key) for key in plan.keys),
    ]
    ledger = pl.concat([pl.scan_parquet(part).select(list(REJECT_SCHEMA)) for part in parts])
    with atomic_write(files.rejects) as temporary:
        ledger.sink_parquet(temporary)
    reasons: Counter[str] = Counter()
    for part in parts:
        counts = pl.scan_parquet(part).group_by("stage", "reason").len().collect()
        reasons.update({f"{stage}: {reason}": count for stage, reason, count in counts.iter_rows()})
    order = ["quality", "split", "subset", *LAYERS, "dataset"]
    return dict(sorted(reasons.items(), key=lambda entry: (order.index(entry[0].split(":")[0]), -entry[1])))
