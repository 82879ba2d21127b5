"""Checks that later stages depend on, and warnings that a person should look at."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.builds.summary import count_accepted
from factory_pipeline.hdf5.read import describe
from factory_pipeline.hdf5.verify import Finding, check_dataset, check_schema, check_unique_shots
from factory_pipeline.orchestration.builds.batch_results import results_of_batches
from factory_pipeline.orchestration.builds.dataset import batch_dataset, fused_dataset
from factory_pipeline.orchestration.builds.footprints import (
    footprint_subset,
    gedi_footprints,
    quality_footprints,
)
from factory_pipeline.orchestration.failures import stop_where_failed
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.split_check import SPLIT_CHECK, split_check_result
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.storage.build_files import BuildFiles

BATCH_CHECKS = {
    "schema": "Every dataset exists with its dtype, shape, chunks and bands, and no other.",
    "unique_shots": "No shot occurs twice.",
    "footprint_in_window": "The window's transform puts the footprint into its middle pixel.",
    "scene_classes": "The scene classes are 0 to 11.",
    "land_cover": "The land cover codes are those of WorldCover.",
    "terrain": "Altitudes are in the range of the Earth's, slopes are finite and not negative.",
    "biomass": "AGBD is positive and finite.",
    "label_raster": "The label raster contains only the footprint's AGBD.",
    "counts_add_up": "Accepted and dropped footprints are those of the batch.",
}


@dg.asset_check(asset=gedi_footprints)
def every_granule_was_read(factory: FactoryResource) -> dg.AssetCheckResult:
    """Warn of granules that were skipped: the dataset is made without them."""
    aggregation = footprint_stages.load_aggregation(factory.settings())
    set_aside = dict(aggregation.set_aside) if aggregation else {}
    granules = len(aggregation.granules) if aggregation else 0
    return dg.AssetCheckResult(
        passed=not set_aside,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"granules": granules, "set aside": dg.MetadataValue.json(set_aside)},
    )


@dg.asset_check(asset=quality_footprints)
def every_split_has_footprints(factory: FactoryResource) -> dg.AssetCheckResult:
    """Check that every split has a footprint; without one its dataset file is empty."""
    settings = factory.settings()
    kept = {
        split: pl.scan_parquet(settings.files.quality(split)).select(pl.len()).collect().item()
        for split in settings.recipe.splits
        if split not in settings.subset_csv
    }
    return dg.AssetCheckResult(
        passed=all(kept.values()), severity=dg.AssetCheckSeverity.WARN, metadata={"footprints": kept}
    )


@dg.asset_check(asset=footprint_subset, blocking=True)  # type: ignore[arg-type]
def every_shot_is_planned_once(factory: FactoryResource) -> Iterator[dg.AssetCheckResult]:
    """Check that no shot occurs twice in the batch plan, in one split or across them."""
    planned = pl.scan_parquet(factory.settings().files.batch_plan)
    shots = planned.select("shot_number").collect().to_series()
    repeated = shots.filter(shots.is_duplicated()).unique().sort()
    named = ", ".join(map(str, repeated.head(5)))
    result = dg.AssetCheckResult(
        check_name="every_shot_is_planned_once",
        passed=repeated.is_empty(),
        description=None
        if repeated.is_empty()
        else f"{len(repeated)} shots occur more than once in the batch plan, such as {named}; of the CSVs"
        " that were given each must name a shot once, and no two the same shot.",
        metadata={"footprints": len(shots), "repeated": dg.MetadataValue.json(repeated.head(100).to_list())},
    )
    yield result
    stop_where_failed([result])


@dg.multi_asset_check(
    name="batch_checks",
    specs=[
        dg.AssetCheckSpec(name, asset=batch_dataset, description=description, blocking=True)
        for name, description in BATCH_CHECKS.items()
    ],
)
def batch_checks(
    context: dg.AssetCheckExecutionContext, factory: FactoryResource
) -> Iterator[dg.AssetCheckResult]:
    """All checks of the batch files of this run. A file that fails one is put aside, so no fuse takes it.

    A bad sample was dropped before its file was written: what fails here is a file that is damaged or not the
    batch's.
    """
    files = factory.settings().files
    plan = StoredPlan(files.batch_plan)
    findings = {}
    for batch in context.partition_keys:
        found = [*check_dataset(files.batch(batch)), counts_add_up(plan, files, batch)]
        if not all(finding.passed for finding in found):
            files.set_aside_failed(batch)
        findings[batch] = found
    results = results_of_batches(batch_dataset.key, BATCH_CHECKS, findings)
    yield from results
    stop_where_failed(results)


def counts_add_up(plan: PlanKeys, files: BuildFiles, batch: str) -> Finding:
    """Check that accepted and dropped footprints are together those of the batch.

    Args:
        plan: names the footprints of the batch.
        files: of the build.
        batch: its key in the plan.
    """
    samples, accepted = describe(files.batch(batch)).samples, count_accepted(plan, files, batch)
    detail = f"The file contains {samples} samples; the plan and the ledger leave {accepted}."
    return Finding("counts_add_up", samples == accepted, detail)


def of_every_split(factory: FactoryResource, check: Callable[[Path], Finding]) -> dg.AssetCheckResult:
    """Run a check on each fused file and return its result: one finding per split.

    Args:
        factory: whose settings name the splits.
        check: called with the path of a fused file.
    """
    settings = factory.settings()
    findings = {split: check(settings.files.fused(split)) for split in settings.recipe.splits}
    return dg.AssetCheckResult(
        passed=all(finding.passed for finding in findings.values()),
        metadata={split: finding.detail for split, finding in findings.items()},
    )


@dg.asset_check(asset=fused_dataset)
def fused_schema(factory: FactoryResource) -> dg.AssetCheckResult:
    """Check that both files have every dataset, with its dtype, shape, chunks and bands."""
    return of_every_split(factory, check_schema)


@dg.asset_check(asset=fused_dataset)
def fused_unique_shots(factory: FactoryResource) -> dg.AssetCheckResult:
    """Check that no shot occurs twice in a file."""
    return of_every_split(factory, check_unique_shots)


@dg.asset_check(asset=fused_dataset, name=SPLIT_CHECK, blocking=True)  # type: ignore[arg-type]
def splits_share_no_ground(factory: FactoryResource) -> Iterator[dg.AssetCheckResult]:
    """No window of one split overlaps one of another: an error where the recipe separates them in space.

    By year alone, splits share ground: that is worth knowing.
    """
    result = split_check_result(read_record(factory.settings().files.splits))
    yield result
    stop_where_failed([result])


@dg.asset_check(asset=fused_dataset)
def accepted_and_dropped_add_up(factory: FactoryResource) -> dg.AssetCheckResult:
    """Check that every input footprint is in the dataset or in the ledger, exactly once."""
    settings = factory.settings()
    came_in = footprint_stages.footprints_in(settings)
    accepted = sum(describe(settings.files.fused(split)).samples for split in settings.recipe.splits)
    dropped = pl.scan_parquet(settings.files.rejects).select(pl.len()).collect().item()
    return dg.AssetCheckResult(
        passed=accepted + dropped == came_in,
        metadata={"footprints in": came_in, "accepted": accepted, "dropped": dropped},
    )
