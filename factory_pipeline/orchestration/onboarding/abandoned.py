"""Resuming uploads whose process was killed, within a minute."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.receive import ReceivedRelease
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.received_upload import ReceivedUpload
from factory_pipeline.orchestration.jobs import import_release, onboard_dataset
from factory_pipeline.orchestration.onboarding.upload_batches import batch_request, onboard_batch
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_status import (
    DIED_TAG,
    PARTITION_TAG,
    end_dead_runs,
    forget_ended_runs,
    is_of_batch,
    is_of_uploads,
    keys_of,
    unfinished_runs,
)
from factory_pipeline.storage.layout import FactoryHome

MOST_DEATHS = 3
"""How often an upload is resumed: one that kills its process each time must end."""
TIME_TO_START = timedelta(minutes=1)
"""How long an upload that a command took in may be without a run."""
UNFINISHED = (UploadStatus.PENDING, UploadStatus.ONBOARDING)


@dg.sensor(
    jobs=[onboard_dataset, onboard_batch, import_release],
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Takes uploads up again whose process was killed, whether a daemon or a command had started it: the "
        "process holds a lock for as long as it lives."
    ),
)
def abandoned_uploads(context: dg.SensorEvaluationContext, factory: FactoryResource) -> dg.SensorResult:
    """End runs whose process has died, and request new ones that resume; remove what ended ones left."""
    home, instance = factory.folder(), context.instance
    forget_ended_runs(instance, home)
    unfinished = unfinished_runs(instance)
    dead = end_dead_runs(
        instance, home, [record for record in unfinished if is_of_uploads(record.dagster_run)]
    )
    dead_ids = {run.run_id for run in dead}
    alive = [record.dagster_run for record in unfinished if record.dagster_run.run_id not in dead_ids]
    busy = {key for run in alive for key in keys_of(run)}
    requests: list[dg.RunRequest] = []
    with closing(factory.registry()) as registry:
        uploads = {upload.key: upload for upload in registry.uploads(statuses=UNFINISHED)}
        # Those that died under way first: in a batch they are one of many.
        for run in sorted(dead, key=is_of_batch):
            keys = [key for key in keys_of(run) if key in uploads and key not in busy]
            if is_of_batch(run):
                again = batch_request(keys, f"after {run.run_id}") if keys else None
            else:
                again = _request_again(instance, registry, run) if keys else None
            if again is not None:
                requests.append(again)
            busy.update(keys)
        _tell_never_started(home, registry, [upload for upload in uploads.values() if upload.key not in busy])
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SensorResult(skip_reason="Every upload that is being onboarded has a process.")


def _request_again(
    instance: dg.DagsterInstance, registry: Registry, run: dg.DagsterRun
) -> dg.RunRequest | None:
    """Ask for another run of an upload, with what the first one was allowed; None if it is given up."""
    [key] = keys_of(run)
    died = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: key, DIED_TAG: "true"}))
    if len(died) >= MOST_DEATHS:
        registry.set_status(
            key,
            UploadStatus.FAILED,
            reason=f"Its process was killed {len(died)} times, perhaps for lack of memory.",
            run_id=run.run_id,
        )
        return None
    allowed = run.run_config.get("resources") if isinstance(run.run_config, dict) else None
    return dg.RunRequest(
        run_key=f"{key} after {run.run_id}",
        job_name=run.job_name,
        partition_key=key,
        run_config={"resources": allowed} if allowed else {},
    )


def _tell_never_started(home: FactoryHome, registry: Registry, idle: Sequence[Upload]) -> None:
    """Say so of uploads that a command took in and that it did not come to start.

    Those of an inbox are not among them: what is taken in there is started in the same tick.
    """
    old = [upload for upload in idle if datetime.now(UTC) - upload.updated > TIME_TO_START]
    for upload in old:
        if not _is_in_inbox(home, upload.key):
            registry.set_status(
                upload.key,
                UploadStatus.FAILED,
                reason="The command that onboarded it ended before the onboarding began; run it again.",
            )


def _is_in_inbox(home: FactoryHome, key: str) -> bool:
    try:
        if home.release(key).request.exists():
            place = ReceivedRelease.load(home, key).place or ""
        else:
            place = ReceivedUpload.load(home.upload(key)).manifest_file
    except OnboardingError:
        return False
    return place.rpartition("/")[0] in IntakePolicy.of_home(home).inboxes(home)


ALL = [abandoned_uploads]
