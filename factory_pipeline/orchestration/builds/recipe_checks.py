"""Checks of the datasets of recipes: what the collection depends on, and what a person should look at."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from factory_pipeline.builds.dataset_plan import StoredDatasetPlan
from factory_pipeline.hdf5.describe_recipe import describe_recipe_file
from factory_pipeline.hdf5.verify import Finding
from factory_pipeline.hdf5.verify_recipe import check_recipe_file
from factory_pipeline.orchestration.builds.batch_results import results_of_batches
from factory_pipeline.orchestration.builds.recipe_dataset import SEPARATOR, recipe_dataset, recipe_samples
from factory_pipeline.orchestration.failures import stop_where_failed, user_errors
from factory_pipeline.orchestration.partitions import recipe_batches, recipe_builds
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.split_check import SPLIT_CHECK, split_check_result
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.storage.build_files import BuildFiles

SAMPLE_CHECKS = {
    "schema": "Every dataset exists with its dtype, shape and chunks, and no other.",
    "unique_ids": "No label occurs twice.",
    "label_in_window": "The window's transform puts a point into its middle pixel.",
    "values": "Pixels that count as data hold some: finite, not the value without data, of a known class.",
    "labels": "Labels are finite, or of a class of the recipe.",
    "counts_add_up": "Accepted and dropped labels are those of the batch.",
}


@dg.multi_asset_check(
    name="recipe_sample_checks",
    specs=[
        dg.AssetCheckSpec(
            name,
            asset=recipe_samples,
            description=description,
            blocking=True,
            partitions_def=recipe_batches,
        )
        for name, description in SAMPLE_CHECKS.items()
    ],
)
def recipe_sample_checks(
    context: dg.AssetCheckExecutionContext, factory: FactoryResource
) -> Iterator[dg.AssetCheckResult]:
    """All checks of the batch files of this run. A file that fails one is put aside, so no fuse takes it."""
    findings = {}
    plans: dict[str, StoredDatasetPlan] = {}
    for key in context.partition_keys:
        name, _, batch = key.partition(SEPARATOR)
        files = factory.dataset_settings(name).files
        plan = plans.setdefault(name, StoredDatasetPlan(files.batch_plan))
        found = [*check_recipe_file(files.batch(batch)), _counts_add_up(plan, files, batch)]
        if not all(finding.passed for finding in found):
            files.set_aside_failed(batch)
        findings[key] = found
    results = results_of_batches(recipe_samples.key, SAMPLE_CHECKS, findings)
    yield from results
    stop_where_failed(results)


def _counts_add_up(plan: StoredDatasetPlan, files: BuildFiles, batch: str) -> Finding:
    samples = describe_recipe_file(files.batch(batch)).samples
    accepted = plan.sizes[batch] - pl.read_parquet(files.batch_rejects(batch)).height
    detail = f"The file contains {samples} samples; the plan and the ledger leave {accepted}."
    return Finding("counts_add_up", samples == accepted, detail)


@dg.multi_asset_check(
    name="recipe_dataset_checks",
    specs=[
        dg.AssetCheckSpec(
            name,
            asset=recipe_dataset,
            description=description,
            blocking=blocking,
            partitions_def=recipe_builds,
        )
        for name, description, blocking in (
            ("ledger_adds_up", "Every window is a sample or in the ledger, exactly once.", True),
            (SPLIT_CHECK, "No window of one split overlaps one of another.", True),
            ("sources_have_data", "Every source has data in some sample of every split.", False),
        )
    ],
)
def recipe_dataset_checks(
    context: dg.AssetCheckExecutionContext, factory: FactoryResource
) -> Iterator[dg.AssetCheckResult]:
    """All checks of the fused files of a build."""
    settings = factory.dataset_settings(context.partition_key)
    files = settings.files
    with user_errors():
        plan, record = StoredDatasetPlan(files.batch_plan), read_record(files.splits)
        summaries = {split: describe_recipe_file(files.fused(split)) for split in plan.splits}
        ledger = pl.scan_parquet(files.rejects).select(pl.len()).collect().item()
        early = pl.scan_parquet(files.stage_rejects("labels")).select(pl.len()).collect().item()
    accepted = sum(summary.samples for summary in summaries.values())
    shares = {
        f"{source} in {split}": round(share, 4)
        for split, summary in summaries.items()
        if summary.samples
        for source, share in summary.valid_share.items()
    }
    empty = [name for name, share in shares.items() if not share]
    windows = plan.footprints
    results = [
        dg.AssetCheckResult(
            asset_key=recipe_dataset.key,
            check_name="ledger_adds_up",
            passed=accepted + ledger - early == windows,
            description=f"Of {windows:,} windows {accepted:,} are samples and {ledger - early:,} in the"
            " ledger.",
            metadata={"windows": windows, "accepted": accepted, "dropped": ledger},
        ),
        split_check_result(record, recipe_dataset.key),
        dg.AssetCheckResult(
            asset_key=recipe_dataset.key,
            check_name="sources_have_data",
            passed=not empty,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Without any data: {', '.join(empty)}." if empty else None,
            metadata={"share of pixels with data": dg.MetadataValue.json(shares)},
        ),
    ]
    yield from results
    stop_where_failed(results)
