"""Which uploads and batches are worked on, and runs whose process is gone."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG

from factory_pipeline.orchestration.jobs import import_release, onboard_dataset
from factory_pipeline.orchestration.run_lock import Life, RunLocks, open_run_locks
from factory_pipeline.storage.layout import FactoryHome

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in ENDED]
PARTITION_TAG = "dagster/partition"
BATCH_TAG = "factory/uploads"
"""The keys of the uploads that a run onboards one after the other, parted by commas."""
DIED_TAG = "factory/process_died"
"""On a run that was reported as failed because its process is gone."""
SECONDS_TO_BEGIN = 45.0
"""How long a run may take from its request until it holds its lock: a process starts and imports."""
MOST_ASKED = 1000
"""Runs in one query."""


def keys_of(run: dg.DagsterRun) -> list[str]:
    """Return the keys of the partition, or of the batch of uploads, that a run is for."""
    if PARTITION_TAG in run.tags:
        return [run.tags[PARTITION_TAG]]
    return [key for key in run.tags.get(BATCH_TAG, "").split(",") if key]


def is_of_batch(run: dg.DagsterRun) -> bool:
    """Whether a run onboards a batch of uploads, each of which has a run of its own while it is worked on."""
    return BATCH_TAG in run.tags


def is_of_uploads(run: dg.DagsterRun) -> bool:
    """Whether a run onboards uploads or imports a release."""
    return is_of_batch(run) or run.job_name in (onboard_dataset.name, import_release.name)


def is_running(instance: dg.DagsterInstance, key: str) -> bool:
    """Return whether a run on this partition has not ended.

    Args:
        instance: of Dagster.
        key: of the partition.
    """
    running = dg.RunsFilter(tags={PARTITION_TAG: key}, statuses=UNFINISHED)
    return bool(instance.get_run_records(running, limit=1))


def unfinished_runs(instance: dg.DagsterInstance, key: str | None = None) -> list[dg.RunRecord]:
    """Return the runs for partitions and uploads that have not ended; with a key, only those for this one.

    Args:
        instance: of Dagster.
        key: of a partition or an upload; None for all.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    found = [(record, keys_of(record.dagster_run)) for record in records]
    return [record for record, keys in found if (key in keys if key is not None else keys)]


def end_dead_runs(
    instance: dg.DagsterInstance,
    home: FactoryHome,
    records: Sequence[dg.RunRecord],
    *,
    may_retry: bool = False,
) -> list[dg.DagsterRun]:
    """Report runs as failed whose process is gone.

    A run is alive as long as its process holds its lock. One that waits in the queue has no process yet, and
    one that has just been launched is given time to begin.

    Args:
        instance: that has the runs.
        home: whose locks the processes hold.
        records: unfinished runs.
        may_retry: whether Dagster may start them again by itself; else that is left to the caller.

    Returns:
        The runs that were reported.
    """
    with open_run_locks(home) as locks:
        suspects = [record for record in records if _seems_dead(instance, locks, record)]
        if not suspects:
            return []
        time.sleep(locks.seconds_to_look_again)
        ended = []
        for suspect in suspects:
            record = instance.get_run_record_by_id(suspect.dagster_run.run_id)
            if record is None or record.dagster_run.is_finished or not _seems_dead(instance, locks, record):
                continue
            run = record.dagster_run
            instance.add_run_tags(
                run.run_id, {DIED_TAG: "true", **({} if may_retry else {MAX_RETRIES_TAG: "0"})}
            )
            instance.report_run_failed(run, "The process of this run is gone.")
            locks.forget(run.run_id)
            ended.append(run)
    return ended


def forget_ended_runs(instance: dg.DagsterInstance, home: FactoryHome) -> None:
    """Remove the locks that processes of runs left which have ended.

    A process that Dagster launches for a run ends with the run's lock in its hand. No process takes the lock
    of a run that is recorded as ended; one that holds it still is about to end.

    Args:
        instance: that has the runs; locks of others' runs stay.
        home: whose locks the processes held.
    """
    with open_run_locks(home) as locks:
        run_ids = sorted(locks.run_ids())
        for first in range(0, len(run_ids), MOST_ASKED):
            asked = dg.RunsFilter(run_ids=run_ids[first : first + MOST_ASKED], statuses=ENDED)
            for run_id in instance.get_run_ids(asked):
                if locks.life(run_id) is not Life.ALIVE:
                    locks.forget(run_id)


def _seems_dead(instance: dg.DagsterInstance, locks: RunLocks, record: dg.RunRecord) -> bool:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.QUEUED:
        return False
    life = locks.life(run.run_id)
    if life is not Life.UNKNOWN:
        return life is Life.DEAD
    if not is_of_uploads(run):
        return False  # Runs of other jobs hold no lock.
    if run.status is not dg.DagsterRunStatus.STARTED and _launcher_tells(instance):
        return False
    age = (datetime.now(UTC) - record.update_timestamp.astimezone(UTC)).total_seconds()
    return age > SECONDS_TO_BEGIN


def _launcher_tells(instance: dg.DagsterInstance) -> bool:
    """Return whether Dagster itself finds out that a launched process never began, as on a cluster."""
    return not instance.is_ephemeral and instance.run_launcher.supports_check_run_worker_health
