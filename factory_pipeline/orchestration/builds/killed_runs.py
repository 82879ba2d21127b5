"""Ending runs of builds whose process was killed, so that their batches are extracted by others."""

import dagster as dg

from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_status import UNFINISHED, end_dead_runs, is_of_uploads


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports runs as failed whose process was killed while it extracted batches: it holds a lock for as "
        "long as it lives. Dagster then starts them again, once; finished batches stay."
    ),
)
def killed_extractions(context: dg.SensorEvaluationContext, factory: FactoryResource) -> dg.SkipReason:
    """End runs whose process has died; Dagster's retries (`run_retries`) do the rest."""
    records = context.instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    of_builds = [record for record in records if not is_of_uploads(record.dagster_run)]
    dead = end_dead_runs(context.instance, factory.folder(), of_builds, may_retry=True)
    if not dead:
        return dg.SkipReason("Every run that extracts batches has a process.")
    return dg.SkipReason(f"Ended as their process is gone: {', '.join(run.run_id for run in dead)}.")


ALL = [killed_extractions]
