"""What starts by itself for uploads: a manifest in the inbox is onboarded; a run that died is told."""

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import dagster as dg

from factory_pipeline.arrivals import Arrival, enter, examine
from factory_pipeline.automation.jobs import onboard_dataset
from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.inbox import Drop, drops
from factory_pipeline.onboarding.policy import IntakePolicy
from factory_pipeline.partitions import datasets
from factory_pipeline.registry.records import UploadStatus
from factory_pipeline.registry.registry import Registry
from factory_pipeline.resources import Factory
from factory_pipeline.storage import FactoryHome

SECONDS_PER_TICK = 20.0
"""How long a tick waits for hosts and large archives; what is not known by then is asked at the next tick.
Dagster ends a tick after 60 seconds."""
MOST_RUNS_PER_TICK = 100
WORKERS = 8

log = logging.getLogger(__name__)

UNFINISHED = [
    status
    for status in dg.DagsterRunStatus
    if status not in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
]


class Examination:
    """Examines manifests in threads that outlive a tick: a slow host holds up neither the tick nor others."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="uploads")
        self._under_way: dict[tuple[Path, str], Future[Arrival]] = {}

    def of(
        self, wanted: list[Drop], home: FactoryHome, policy: IntakePolicy, seconds: float
    ) -> Iterator[tuple[Drop, Arrival]]:
        """What is known of the wanted manifests after at most so many seconds, in their order."""
        for drop in wanted:
            if (drop.manifest, drop.state) not in self._under_way:
                task = self._pool.submit(examine, drop.manifest, home, policy)
                self._under_way[drop.manifest, drop.state] = task
        asked = {drop: self._under_way[drop.manifest, drop.state] for drop in wanted}
        wait(asked.values(), timeout=seconds)
        for drop, task in asked.items():
            if not task.done():
                continue
            del self._under_way[drop.manifest, drop.state]
            error = task.exception()
            if error is None:
                yield drop, task.result()
            else:
                # A fault of ours with one manifest must not stop the others; it is tried at the next tick.
                log.error("%s could not be examined: %s", drop.manifest.name, type(error).__name__)


examination = Examination()


@dg.sensor(
    job=onboard_dataset,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Onboards what is dropped into the inbox of uploads.",
)
def new_uploads(context: dg.SensorEvaluationContext, factory: Factory) -> dg.SensorResult | dg.SkipReason:
    """A manifest counts as there once it and its archive are the same on two looks.

    The cursor holds the state in which each manifest was last seen and whether it was taken in so. What was
    taken in is registered, so that a lost cursor starts nothing twice.
    """
    home = factory.folder()
    try:
        policy = factory.intake_policy()
    except FactoryError as error:
        return dg.SkipReason(str(error))
    began = time.monotonic()
    seen: dict[str, list[str]] = json.loads(context.cursor or "{}")
    lying = drops(home.upload_inbox)
    cursor = {drop.manifest.name: ["seen", drop.state] for drop in lying}
    cursor |= {name: last for name, last in seen.items() if last[1] == cursor.get(name, ["", ""])[1]}
    whole = [drop for drop in lying if seen.get(drop.manifest.name) == ["seen", drop.state]]
    requests: dict[str, dg.RunRequest] = {}
    # As many as may start in this tick: what is examined is taken in at once.
    some = whole[:MOST_RUNS_PER_TICK]
    left = SECONDS_PER_TICK - (time.monotonic() - began)
    with closing(factory.registry()) as registry:
        for drop, arrival in examination.of(some, home, policy, max(left, 1.0)):
            if starts(context.instance, registry, arrival):
                requests[arrival.key] = dg.RunRequest(
                    run_key=f"{arrival.key} {drop.state}", partition_key=arrival.key
                )
            cursor[drop.manifest.name] = ["taken", drop.state]
    waiting = sum(last[0] == "seen" for last in cursor.values())
    return dg.SensorResult(
        run_requests=list(requests.values()),
        dynamic_partitions_requests=[datasets.build_add_request(list(requests))] if requests else [],
        skip_reason=None if requests else f"{waiting} uploads are waiting until they are whole.",
        cursor=json.dumps(cursor),
    )


def starts(instance: dg.DagsterInstance, registry: Registry, arrival: Arrival) -> bool:
    """Whether an arrival is to be onboarded: not if it failed to come in, was deleted, runs or is done."""
    entry = enter(registry, arrival)
    if arrival.error is not None or entry.is_deleted or entry.status is UploadStatus.SUCCEEDED:
        return False
    if entry.is_new:
        return True
    running = dg.RunsFilter(tags={"dagster/partition": arrival.key}, statuses=UNFINISHED)
    return not instance.get_run_records(running, limit=1)


def tell_end(context: dg.RunStatusSensorContext, factory: Factory) -> None:
    """A run that died or was ended could not say so itself."""
    key = context.dagster_run.tags.get("dagster/partition", "")
    with closing(factory.registry()) as registry:
        upload = next((upload for upload in registry.uploads() if upload.key == key), None)
        if upload is not None and upload.status in (UploadStatus.PENDING, UploadStatus.ONBOARDING):
            registry.set_status(
                key,
                UploadStatus.FAILED,
                reason="The run ended before the dataset was finished; a new run goes on from there.",
                run_id=context.dagster_run.run_id,
            )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells in the registry that a run of an onboarding died.",
)
def onboarding_died(context: dg.RunStatusSensorContext, factory: Factory) -> None:
    """Also a run whose process was killed, once Dagster finds it."""
    tell_end(context, factory)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells in the registry that a run of an onboarding was ended by a person.",
)
def onboarding_cancelled(context: dg.RunStatusSensorContext, factory: Factory) -> None:
    """The status would say Onboarding for ever."""
    tell_end(context, factory)


ALL = [new_uploads, onboarding_died, onboarding_cancelled]
