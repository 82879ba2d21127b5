"""Releases (tar.gz of images and labels) as collections of the data lake, a partition per release."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import dagster as dg
import polars as pl

from factory_pipeline.datalake.ingest.releases.preview import release_sheet
from factory_pipeline.datalake.ingest.releases.receive import import_received
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import FactoryError, OnboardingError
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.metadata import picture, rows_table
from factory_pipeline.orchestration.partitions import releases
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_lock import hold_run_lock
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import disk_is_full

GROUP = "releases"
MOST_ROWS = 50
"""Rows of a table in the web UI; the report beside the images has all."""
MOST_TRIES = 3
SECONDS_BETWEEN_TRIES = 5


@dg.asset(group_name=GROUP, owners=OWNERS, kinds={"geotiff", "parquet"}, partitions_def=releases)
def imported_release(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """A release as a collection of the data lake: its images are items, its labels annotations by people.

    What was decided for all of it is in the metadata: the form of the labels, what their coordinates are, and
    where the georeferencing of the images is from.
    """
    key, home = context.partition_key, factory.folder()
    hold_run_lock(home, context.run.run_id)
    with closing(factory.registry()) as registry:
        registry.set_status(key, UploadStatus.ONBOARDING, run_id=context.run.run_id)
        try:
            collection, report = import_received(registry, home, key, factory.intake_policy())
        except (FactoryError, OSError) as error:
            raise _record_failure(context, factory, error) from None
        registry.set_status(key, UploadStatus.SUCCEEDED, run_id=context.run.run_id)
        sheet = release_sheet(registry, home, collection)
    context.log.info(f"The collection {report.name} has {count_noun(report.items, 'item')}.")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": report.items,
            "collection": collection.id,
            "name": report.name,
            "labels": f"{report.ml_type}: {report.ml_type_why}",
            "coordinates of labels": f"{report.coordinates}: {report.coordinates_why}",
            "georeferencing": _counts("from", "images", report.placed_by),
            "classes": _counts("class", "annotations", report.classes),
            "splits": _counts("split", "images", report.splits),
            "conflicts": _sentences(report.conflicts),
            "left out": _sentences(report.skipped),
            "passed over": _sentences(report.others),
            "notes": list(report.notes),
            **_state_metadata(report),
            "report": dg.MetadataValue.json(report.shortened(MOST_ROWS).to_unordered()),
            "preview": picture(sheet, "images with their labels"),
        }
    )


def _record_failure(
    context: dg.AssetExecutionContext, factory: FactoryResource, error: Exception
) -> Exception:
    """Return what is raised instead of an error, once the registry tells it."""
    code = error.code if isinstance(error, OnboardingError) else None
    if code != "DISK_FULL" and disk_is_full(error):
        error = OnboardingError("DISK_FULL", f"There is no space left to import {context.partition_key}.")
        code = "DISK_FULL"
    if code == "URL_UNREACHABLE" and context.retry_number + 1 < MOST_TRIES:
        context.log.warning(f"{error} It is tried again in {SECONDS_BETWEEN_TRIES} seconds.")
        return dg.RetryRequested(MOST_TRIES - 1, SECONDS_BETWEEN_TRIES)
    with closing(factory.registry()) as registry:
        registry.set_status(
            context.partition_key,
            UploadStatus.FAILED,
            reason=str(error),
            code=code,
            run_id=context.run.run_id,
        )
    return dg.Failure(description=f"{error} [{code}]" if code else str(error), allow_retries=False)


def _counts(label: str, what: str, counts: Mapping[str, int]) -> dg.TableMetadataValue:
    rows = list(counts.items())[:MOST_ROWS]
    return rows_table(pl.DataFrame(rows, schema={label: pl.String, what: pl.Int64}, orient="row"))


def _sentences(told: Sequence[str]) -> dg.TableMetadataValue:
    rows = [(each,) for each in told[:MOST_ROWS]]
    return rows_table(pl.DataFrame(rows, schema={"file": pl.String}, orient="row"))


def _state_metadata(report: ReleaseReport) -> dict[str, str | bool]:
    """Return what meta.json says of the release, where it does."""
    stated = {
        "version": report.version,
        "public": report.public,
        "source": report.source,
        "source url": report.source_url,
    }
    return {name: value for name, value in stated.items() if value is not None}
