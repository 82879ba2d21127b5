"""Onboarding by command: the same job and the same instance as the web UI, and what follows an onboarding."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from factory_pipeline.builds.progress import reporting
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.delete import delete_collection_of_upload
from factory_pipeline.datalake.ingest.intake import register_upload, validate_upload
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.errors import BuildError, OnboardingError
from factory_pipeline.onboarding.stages import onboarding_progress
from factory_pipeline.orchestration.partitions import DATASETS, RELEASES
from factory_pipeline.orchestration.run_status import end_dead_runs, is_of_batch, unfinished_runs
from factory_pipeline.runs.failures import describe_failure
from factory_pipeline.runs.instance import (
    execute_job,
    load_definitions,
    open_instance,
    prepare_home,
    resources_of,
)
from factory_pipeline.runs.upload_run import require_success, run_upload
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.upload_files import UploadFiles


def onboard(
    manifest_file: Path | str,
    home: FactoryHome,
    on_progress: Callable[[str, float], None] | None = None,
    on_finished: Callable[[str], object] | None = None,
) -> Upload:
    """Onboard one upload in this process; stages that are already finished are skipped.

    The manifest is a path or the address of an object. The archive may be anywhere on this machine: who calls
    this may read it anyway.

    Args:
        manifest_file: a path, or the address of an object.
        home: made where it does not exist.
        on_progress: called with the stage's name and what is done of it (0 to 1).
        on_finished: called with the key of an upload that was onboarded before; its dataset stays as it is.

    Returns:
        The upload as the registry has it in the end, succeeded.

    Raises:
        OnboardingError: it failed; message and code are those of the registry.
    """
    prepare_home(home)
    arrival = validate_upload(manifest_file, home, IntakePolicy.of_home(home, all_folders=True))
    with closing(open_registry(home)) as registry:
        known = register_upload(registry, arrival)
        if arrival.error is not None:
            raise arrival.error
        files = home.upload(arrival.key)
        if (
            known.status is UploadStatus.SUCCEEDED
            and files.finished.root.exists()
            and on_finished is not None
        ):
            on_finished(arrival.key)
        with open_instance(home) as instance, _report_progress(files, on_progress):
            _add_partition(instance, arrival.key)
            _end_dead_runs(instance, home, arrival.key)
            run_upload("onboard_dataset", arrival.key, instance, home)
        upload = registry.upload(arrival.key)
    require_success(
        upload, f"The onboarding of {upload.key} did not finish; see its log by factory upload logs."
    )
    return upload


def _add_partition(instance: dg.DagsterInstance, key: str) -> None:
    try:
        instance.add_dynamic_partitions(DATASETS, [key])
    except Exception:
        # Of two processes that add a key at the same time, Dagster refuses one.
        if not instance.has_dynamic_partition(DATASETS, key):
            raise


def remove(key: str, home: FactoryHome) -> None:
    """Delete an onboarded dataset: its collection, its files and its partition; its key is not reused.

    Args:
        key: of the upload, such as `name-v1`.
        home: that contains it.

    Raises:
        OnboardingError: a run works on it.
        RegistryError: versions of datasets have its images; they are named.
    """
    prepare_home(home)
    with open_instance(home) as instance, closing(open_registry(home)) as registry:
        if registry.upload(key).status is not UploadStatus.SUCCEEDED and _is_worked_on(instance, home, key):
            raise OnboardingError(
                "CHECK_FAILED", f"{key} is being onboarded; end its run in the web UI first, then delete it."
            )
        delete_collection_of_upload(registry, home, key)
        registry.delete_upload(key)
        home.upload(key).remove()
        home.release(key).drop()
        for partitions in (DATASETS, RELEASES):
            instance.delete_dynamic_partition(partitions, key)


def _end_dead_runs(instance: dg.DagsterInstance, home: FactoryHome, key: str) -> list[dg.DagsterRun]:
    """End the runs of an upload whose process is gone; gives those that are left.

    Batches are left out: while such a one works on the upload, the upload has a run of its own.
    """
    unfinished = [record for record in unfinished_runs(instance, key) if not is_of_batch(record.dagster_run)]
    ended = {run.run_id for run in end_dead_runs(instance, home, unfinished)}
    return [record.dagster_run for record in unfinished if record.dagster_run.run_id not in ended]


def _is_worked_on(instance: dg.DagsterInstance, home: FactoryHome, key: str) -> bool:
    """Return whether a process onboards an upload; a run that still waits for one is ended."""
    left = _end_dead_runs(instance, home, key)
    for run in left:
        if run.status is dg.DagsterRunStatus.QUEUED:
            instance.report_run_canceled(run)
    return any(run.status is not dg.DagsterRunStatus.QUEUED for run in left)


def finetune(upload: Upload, home: FactoryHome, choices: Mapping[str, Any] = {}) -> Path:
    """Train a model on a finished dataset in this process; gives the folder of what was trained.

    Args:
        upload: that became the dataset.
        home: that has it.
        choices: configuration of the asset, as `tuning_config` has it.

    Raises:
        OnboardingError: the dataset is not finished, or has no training configuration.
        BuildError: TerraTorch is not installed, or ended with an error.
    """
    if not home.upload(upload.key).finished.terratorch.exists():
        raise OnboardingError(
            "CHECK_FAILED",
            f"{upload.key} has no training configuration: its status is {upload.status.value}, and only"
            " Segmentation and Regression have one.",
        )
    prepare_home(home)
    with open_instance(home) as instance:
        result = execute_job(
            load_definitions().resolve_job_def(FINETUNE_JOB),
            instance,
            {**resources_of(home), **tuning_config(choices)},
            partition_key=upload.key,
        )
    if not result.success:
        raise BuildError(describe_failure(result.run_id, result.all_events))
    return home.training(upload.key)


FINETUNE_JOB = "finetune_model"


def tuning_config(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run configuration of a training: what differs from the dataset's own configuration."""
    return {"ops": {"finetuned_model": {"config": dict(choices)}}} if choices else {}


def run_log(upload: Upload, home: FactoryHome) -> str:
    """Return the log of all runs of an upload, oldest first, as text.

    Args:
        upload: of this home.
        home: whose runs are read.

    Returns:
        Its status, the reason of a failure, and the lines of each run's log.
    """
    prepare_home(home)
    lines = [f"{upload.key}: {upload.status.value}"]
    if upload.reason:
        lines.append(f"{upload.reason} [{upload.code or 'no code'}]")
    with open_instance(home) as instance:
        for record in reversed(_list_runs(instance, upload.key)):
            run = record.dagster_run
            lines += ["", f"Run {run.run_id}, {run.job_name}: {run.status.value}"]
            lines += [_line(entry) for entry in instance.all_logs(run.run_id) if not _is_plan(entry)]
    return "\n".join(lines) + "\n"


def _line(entry: dg.EventLogEntry) -> str:
    at = datetime.fromtimestamp(entry.timestamp, UTC).isoformat(sep=" ", timespec="milliseconds")
    step = f" {entry.step_key}" if entry.step_key else ""
    text = f"{at}{step} {entry.user_message or entry.message}"
    if entry.error_info is not None:
        text += f"\n{entry.error_info.to_string().rstrip()}"
    return text


def _is_plan(entry: dg.EventLogEntry) -> bool:
    """Return what the run is going to do, told once per asset and check before it begins."""
    planned = (
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    )
    return entry.is_dagster_event and entry.dagster_event_type in planned


def _list_runs(instance: dg.DagsterInstance, key: str) -> list[dg.RunRecord]:
    """Return the runs of a partition, newest first."""
    return list(instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": key})))


def _report_progress(
    files: UploadFiles, on_progress: Callable[[str, float], None] | None
) -> AbstractContextManager[None]:
    """Tell now and then how far the files of an upload are."""
    return (
        nullcontext() if on_progress is None else reporting(lambda: on_progress(*onboarding_progress(files)))
    )
