"""Whether a partition is worked on."""

import dagster as dg

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in ENDED]


def is_running(instance: dg.DagsterInstance, key: str) -> bool:
    """Whether a run on this partition has not ended."""
    running = dg.RunsFilter(tags={"dagster/partition": key}, statuses=UNFINISHED)
    return bool(instance.get_run_records(running, limit=1))
