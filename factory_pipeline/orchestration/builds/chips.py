"""From a batch of footprints to its chips: Sentinel-2, Copernicus DEM, WorldCover."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import dagster as dg

from factory_pipeline.builds.extraction import BatchExtraction, StageOutcome
from factory_pipeline.builds.open_reader import BuildArchive
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.orchestration.builds.footprints import OWNERS, footprint_subset
from factory_pipeline.orchestration.builds.per_batch import for_each_batch
from factory_pipeline.orchestration.metadata import counts_table, text_table
from factory_pipeline.orchestration.partitions import batches
from factory_pipeline.orchestration.resources import FactoryResource

EXTRACTION: dict[str, Any] = {
    "group_name": "extraction",
    "owners": OWNERS,
    "partitions_def": batches,
    "backfill_policy": dg.BackfillPolicy.multi_run(25),
    "automation_condition": dg.AutomationCondition.on_missing(),
    "pool": "extraction",
    "retry_policy": dg.RetryPolicy(
        max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
    ),
}
"""A run processes up to 25 batches; new batches start automatically.

The pool limits how many runs extract.
"""


@dg.asset(deps=[footprint_subset], kinds={"cog", "stac", "numpy"}, **EXTRACTION)
def sentinel2_chips(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """The least cloudy Sentinel-2 L2A product around each footprint, cut to its window and checked by SCL."""
    extract(context, factory, BatchExtraction.sentinel2)


@dg.asset(deps=[sentinel2_chips], kinds={"cog", "stac", "numpy"}, **EXTRACTION)
def copdem_chips(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """Altitude and slope on the window of each Sentinel-2 chip; steep footprints are dropped."""
    extract(context, factory, BatchExtraction.copdem)


@dg.asset(deps=[sentinel2_chips], kinds={"cog", "stac", "numpy"}, **EXTRACTION)
def worldcover_chips(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """The land cover of the shot's year on the window of each Sentinel-2 chip."""
    extract(context, factory, BatchExtraction.worldcover)


def extract(
    context: dg.AssetExecutionContext,
    factory: FactoryResource,
    stage: Callable[[BatchExtraction, str], StageOutcome],
) -> None:
    """Run one stage of extraction for every batch of this run.

    Args:
        context: of the asset; its partitions are the batches.
        factory: contains the settings of the build.
        stage: called with the extraction and the key of a batch.
    """
    settings = factory.settings()
    extraction = BatchExtraction(settings, archive_of_run(context.run.run_id, settings.model_dump_json()))
    for_each_batch(
        context, factory, lambda _: settings.output, lambda batch: outcome_metadata(stage(extraction, batch))
    )


@lru_cache(maxsize=1)
def archive_of_run(_run_id: str, settings: str) -> BuildArchive:
    """Return the archive that the layers of a run share, since the first reads headers of the others ahead.

    Args:
        _run_id: of the run; another run opens another archive, as files may have changed.
        settings: of the build as JSON; other settings are another archive.
    """
    return BuildArchive(BuildSettings.model_validate_json(settings))


def outcome_metadata(outcome: StageOutcome) -> dict[str, Any]:
    """Counts of one stage of one batch, as the web UI shows them."""
    return {
        "dagster/row_count": outcome.accepted,
        "footprints in": outcome.footprints,
        "yield": round(outcome.accepted / outcome.footprints, 4) if outcome.footprints else 0.0,
        "dropped by reason": counts_table("reason", outcome.dropped),
        "seconds": round(outcome.seconds, 2),
        "found finished": outcome.cached,
        "remarks": text_table(
            [{"what": what, "remark": remark} for what, remark in outcome.remarks.items()], ["what", "remark"]
        ),
    }
