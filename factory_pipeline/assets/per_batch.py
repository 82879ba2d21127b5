"""Working through the batches of a run: one that fails stops neither the others nor hides them."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from factory_pipeline.assets.failures import PASSING_ERRORS
from factory_pipeline.errors import FactoryError


def for_each_batch(context: dg.AssetExecutionContext, work: Callable[[str], Mapping[str, Any]]) -> None:
    """Run `work` for every batch of this run and show what it returns as that batch's metadata.

    A run covers a range of batches. When some of them fail, the finished ones are still recorded as
    materialised, so that a rerun needs only the others.

    Raises:
        dagster.Failure: names every batch that failed and why.
    """
    finished: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, FactoryError] = {}
    for batch in context.partition_keys:
        try:
            finished[batch] = work(batch)
        except PASSING_ERRORS as error:
            # A service that is away is away for the other batches too; the retry of the step asks it again.
            failed[batch] = error
            break
        except FactoryError as error:
            context.log.error(f"{batch}: {error}")
            failed[batch] = error
        else:
            context.log.info(f"{batch}: done, {len(finished)} of {len(context.partition_keys)}")
    if not failed:
        for batch, metadata in finished.items():
            context.add_asset_metadata(metadata, partition_key=batch)
        return
    for batch, metadata in finished.items():
        context.log_event(
            dg.AssetMaterialization(asset_key=context.asset_key, partition=batch, metadata=metadata)
        )
    raise dg.Failure(
        description=" ".join(f"{batch}: {error}" for batch, error in failed.items()),
        allow_retries=any(isinstance(error, PASSING_ERRORS) for error in failed.values()),
    )
