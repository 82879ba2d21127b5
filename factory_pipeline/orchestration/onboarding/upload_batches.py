"""Several small uploads in one process: starting one takes longer than onboarding a small upload.

Each upload still has a run of its own, with its checks and its log.
"""

from collections.abc import Sequence
from contextlib import closing
from functools import cache

import dagster as dg

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.orchestration.failures import NO_RETRY
from factory_pipeline.orchestration.jobs import onboard_dataset
from factory_pipeline.orchestration.onboarding import assets
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_lock import hold_run_lock, release_run_lock
from factory_pipeline.orchestration.run_status import BATCH_TAG

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The runs of the uploads keep their logs; the log of the batch names them."""


class UploadKeys(dg.Config):
    """The uploads of a batch."""

    keys: list[str]
    """Their keys, in the order in which they are onboarded."""


@dg.op
def onboard_each(context: dg.OpExecutionContext, config: UploadKeys, factory: FactoryResource) -> None:
    """Onboard uploads one after the other; one that fails says so in the registry, and the others go on."""
    job, home = _job(), factory.folder()
    hold_run_lock(home, context.run_id)
    for number, key in enumerate(config.keys, start=1):
        with closing(factory.registry()) as registry:
            upload = registry.upload(key)
        if upload.deleted_at is not None or upload.status is UploadStatus.SUCCEEDED:
            continue
        result = job.execute_in_process(
            instance=context.instance,
            partition_key=key,
            run_config={
                "resources": {
                    "factory": {"config": {"home": factory.home, "all_folders": factory.all_folders}}
                },
                **QUIET,
            },
            raise_on_error=False,
        )
        release_run_lock(home, result.run_id)
        outcome = "is onboarded" if result.success else "failed"
        context.log.info(f"{key} {outcome} ({number} of {len(config.keys)}), run {result.run_id}.")


@dg.job(
    # What failed says why; a process that was killed is noticed by the sensor of abandoned uploads.
    tags=NO_RETRY,
    description="Onboards a batch of small uploads, each in a run of its own.",
)
def onboard_batch() -> None:
    """The job of a batch."""
    onboard_each()


@cache
def _job() -> dg.JobDefinition:
    """Return the job that onboards one upload, ready to be executed here."""
    definitions = dg.Definitions(
        assets=dg.load_assets_from_modules([assets]),
        jobs=[onboard_dataset],
        resources={"factory": FactoryResource()},
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def(onboard_dataset.name)


def batch_request(keys: Sequence[str], run_key: str) -> dg.RunRequest:
    """Return the request of a run that onboards these uploads.

    Args:
        keys: of the uploads.
        run_key: Dagster starts one run for each key.
    """
    return dg.RunRequest(
        run_key=run_key,
        job_name=onboard_batch.name,
        run_config={"ops": {onboard_each.name: {"config": {"keys": list(keys)}}}},
        tags={BATCH_TAG: ",".join(keys)},
    )
