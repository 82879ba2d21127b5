"""Working through the batches of a run: one that fails stops neither the others nor hides them."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from factory_pipeline.errors import (
    CatalogError,
    FactoryError,
    LostFootprintsError,
    SourceUnavailableError,
    describe_error,
)


def for_each_batch(context: dg.AssetExecutionContext, work: Callable[[str], Mapping[str, Any]]) -> None:
    """Run `work` for every batch of this run and show what it returns as that batch's metadata.

    A run covers a range of batches. When some of them fail, the finished ones are still recorded as
    materialised, so that a rerun needs only the others. A service that is away or misnamed, or a full disk,
    is so for all batches, and what a build may lose is counted over all of them: it ends the run at once and
    is told once.

    Raises:
        dagster.Failure: names every batch that failed and why.
    """
    finished: dict[str, Mapping[str, Any]] = {}
    failures: list[str] = []
    unavailable: FactoryError | OSError | None = None
    for batch in context.partition_keys:
        try:
            finished[batch] = work(batch)
        except (CatalogError, SourceUnavailableError, LostFootprintsError, OSError) as error:
            unavailable = error
            failures.append(describe_error(error))
            break
        except FactoryError as error:
            context.log.error(f"{batch}: {error}")
            failures.append(f"{batch}: {error}")
        else:
            context.log.info(f"{batch}: done, {len(finished)} of {len(context.partition_keys)}")
    if not failures:
        for batch, metadata in finished.items():
            context.add_asset_metadata(metadata, partition_key=batch)
        return
    for batch, metadata in finished.items():
        context.log_event(
            dg.AssetMaterialization(asset_key=context.asset_key, partition=batch, metadata=metadata)
        )
    # A catalog has been asked again and again for as long as the settings say; rasters have not.
    again = isinstance(unavailable, SourceUnavailableError)
    raise dg.Failure(description=" ".join(failures), allow_retries=again)
