"""Schedules."""

import dagster as dg

from factory_pipeline.orchestration.jobs import build_dataset

extend_nightly = dg.ScheduleDefinition(
    name="extend_nightly",
    job=build_dataset,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Every night: extends the dataset by what has arrived since.",
)

ALL = [extend_nightly]
