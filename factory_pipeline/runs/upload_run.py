"""One run of a job on an upload in this process, and what the registry says of it afterwards."""

import dagster as dg

from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.errors import OnboardingError
from factory_pipeline.orchestration.run_lock import release_run_lock
from factory_pipeline.runs.instance import execute_job, load_definitions, resources_of
from factory_pipeline.storage.layout import FactoryHome


def run_upload(job: str, key: str, instance: dg.DagsterInstance, home: FactoryHome) -> None:
    """Run a job on the partition of an upload; its archive may be anywhere on this machine.

    Args:
        job: its name in the definitions.
        key: of the upload, which is a partition already.
        instance: of the home.
        home: with the upload.
    """
    result = execute_job(
        load_definitions().resolve_job_def(job),
        instance,
        resources_of(home, all_folders=True),
        partition_key=key,
    )
    release_run_lock(home, result.run_id)


def require_success(upload: Upload, unfinished: str) -> None:
    """Raise the error of an upload that has not succeeded.

    Args:
        upload: as the registry has it after the run.
        unfinished: the sentence of an upload without a reason: its run was stopped.

    Raises:
        OnboardingError: it failed; message and code are those of the registry.
    """
    if upload.status is not UploadStatus.SUCCEEDED:
        raise OnboardingError(upload.code or "CHECK_FAILED", upload.reason or unfinished)
