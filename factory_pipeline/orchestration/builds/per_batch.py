"""Working through the batches of a run: one that fails stops neither the others nor hides them."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.errors import (
    CatalogError,
    FactoryError,
    LostFootprintsError,
    RegistryError,
    SourceUnavailableError,
    describe_error,
)
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_lock import held_run_lock
from factory_pipeline.storage.relative_paths import relative_to_home

UNAVAILABLE = (CatalogError, SourceUnavailableError, LostFootprintsError, RegistryError, OSError)
"""What is so for all batches of a run, not for one."""


def for_each_batch(
    context: dg.AssetExecutionContext,
    factory: FactoryResource,
    build_of: Callable[[str], Path],
    work: Callable[[str], Mapping[str, Any]],
) -> None:
    """Run `work` for every batch of this run and show what it returns as that batch's metadata.

    No two processes of a home do the same work on a batch at once: the second waits, and then finds it done.
    The lock of the run is held meanwhile: `killed_runs` ends a run whose process was killed.

    A run covers a range of batches. When some of them fail, the finished ones are still recorded as
    materialised, so that a rerun needs only the others. A service that is away or misnamed, or a full disk,
    is so for all batches, and what a build may lose is counted over all of them: it ends the run at once and
    is told once.

    Args:
        context: of the asset, whose partitions are batches.
        factory: whose registry has the leases.
        build_of: the output folder of the build that a batch belongs to.
        work: does a batch.

    Raises:
        dagster.Failure: names every batch that failed and why.
    """
    finished: dict[str, Mapping[str, Any]] = {}
    failures: list[str] = []
    unavailable: FactoryError | OSError | None = None
    with held_run_lock(factory.folder(), context.run.run_id), closing(factory.registry()) as registry:
        # Dagster works out the keys of a range anew, from its database, each time that it is asked.
        batches = context.partition_keys
        for batch in batches:
            build = relative_to_home(build_of(batch), factory.folder())
            key = BatchKey(build, context.asset_key.to_user_string(), batch)
            try:
                with registry.batch_lease(key, context.log.info):
                    finished[batch] = work(batch)
            except UNAVAILABLE as error:
                unavailable = error
                failures.append(describe_error(error))
                break
            except FactoryError as error:
                context.log.error(f"{batch}: {error}")
                failures.append(f"{batch}: {error}")
            else:
                context.log.info(f"{batch}: done, {len(finished)} of {len(batches)}")
    if not failures:
        for batch, metadata in finished.items():
            context.add_asset_metadata(metadata, partition_key=batch)
        return
    for batch, metadata in finished.items():
        context.log_event(
            dg.AssetMaterialization(asset_key=context.asset_key, partition=batch, metadata=metadata)
        )
    # A catalog has been asked again and again for as long as the settings say; rasters have not.
    again = isinstance(unavailable, SourceUnavailableError | RegistryError)
    raise dg.Failure(description=" ".join(failures), allow_retries=again)
