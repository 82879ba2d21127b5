"""What starts by itself for uploads: a manifest in the inbox is onboarded; a run that died is told."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

import dagster as dg

from factory_pipeline.arrivals import Arrival, enter, examine
from factory_pipeline.automation.jobs import onboard_dataset
from factory_pipeline.automation.running import is_running
from factory_pipeline.automation.under_way import UnderWay
from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.address import display
from factory_pipeline.onboarding.inbox import Drop, drops
from factory_pipeline.onboarding.manifest_place import file_name
from factory_pipeline.onboarding.policy import IntakePolicy
from factory_pipeline.partitions import datasets
from factory_pipeline.registry.records import UploadStatus
from factory_pipeline.registry.registry import Registry
from factory_pipeline.resources import Factory
from factory_pipeline.storage import FactoryHome

SECONDS_TO_LIST = 10.0
"""How long a tick waits for the inboxes in object stores."""
SECONDS_PER_TICK = 20.0
"""How long a tick takes with hosts and large archives; what is not known by then is asked at the next tick.
Dagster ends a tick after 60 seconds."""
MOST_RUNS_PER_TICK = 100
WORKERS = 8

log = logging.getLogger(__name__)

listings: UnderWay[str, list[Drop]] = UnderWay(WORKERS, "inboxes")
examinations: UnderWay[Drop, Arrival] = UnderWay(WORKERS, "uploads")


def examined(
    wanted: list[Drop], home: FactoryHome, policy: IntakePolicy, seconds: float
) -> Iterator[tuple[Drop, Arrival]]:
    """What is known of the wanted manifests after at most so many seconds, in their order."""
    tasks = {drop: partial(examine, drop.manifest, home, policy) for drop in wanted}
    for drop, task in examinations.ask(tasks, seconds).items():
        error = task.exception()
        if error is None:
            yield drop, task.result()
        else:
            # A fault with one manifest must not stop the others; it is tried at the next tick.
            reason = error if isinstance(error, FactoryError) else type(error).__name__
            log.error("%s could not be examined: %s", file_name(drop.manifest), reason)


def lying_in(inboxes: Sequence[str], seconds: float) -> tuple[list[Drop], dict[str, str]]:
    """The manifests in all inboxes, and why an inbox is not known, by its place."""
    tasks = {inbox: partial(drops, inbox) for inbox in inboxes}
    found: list[Drop] = []
    unknown = {inbox: f"The inbox {display(inbox)} does not answer in time." for inbox in inboxes}
    for inbox, task in listings.ask(tasks, seconds).items():
        error = task.exception()
        if error is None:
            found += task.result()
            del unknown[inbox]
        elif isinstance(error, FactoryError):
            unknown[inbox] = str(error)
        else:
            unknown[inbox] = f"The inbox {display(inbox)} can't be listed ({type(error).__name__})."
    return found, unknown


@dg.sensor(
    job=onboard_dataset,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Onboards what is dropped into the inbox of uploads.",
)
def new_uploads(context: dg.SensorEvaluationContext, factory: Factory) -> dg.SensorResult | dg.SkipReason:
    """A manifest counts as there once it and its archive are the same on two looks.

    The cursor holds the state in which each manifest was last seen and whether it was taken in so; what is
    known of an inbox that does not answer stays. What was taken in is registered, so that a lost cursor
    starts nothing twice.
    """
    home = factory.folder()
    try:
        policy = factory.intake_policy()
    except FactoryError as error:
        return dg.SkipReason(str(error))
    began = time.monotonic()
    seen: dict[str, list[str]] = json.loads(context.cursor or "{}")
    lying, unknown = lying_in(policy.inboxes(home), SECONDS_TO_LIST)
    for reason in unknown.values():
        context.log.warning(reason)
    cursor = {drop.manifest: ["seen", drop.state] for drop in lying}
    cursor |= {
        place: last
        for place, last in seen.items()
        if last[1] == cursor.get(place, ["", ""])[1] or place.rpartition("/")[0] in unknown
    }
    whole = [drop for drop in lying if seen.get(drop.manifest) == ["seen", drop.state]]
    requests: dict[str, dg.RunRequest] = {}
    # As many as may start in this tick: what is examined is taken in at once.
    some = whole[:MOST_RUNS_PER_TICK]
    left = SECONDS_PER_TICK - (time.monotonic() - began)
    with closing(factory.registry()) as registry:
        for drop, arrival in examined(some, home, policy, max(left, 1.0)):
            if starts(context.instance, registry, arrival):
                requests[arrival.key] = dg.RunRequest(
                    run_key=f"{arrival.key} {drop.state}", partition_key=arrival.key
                )
            cursor[drop.manifest] = ["taken", drop.state]
    waiting = sum(last[0] == "seen" for last in cursor.values())
    idle = [f"{waiting} uploads are waiting until they are whole.", *unknown.values()]
    return dg.SensorResult(
        run_requests=list(requests.values()),
        dynamic_partitions_requests=[datasets.build_add_request(list(requests))] if requests else [],
        skip_reason=None if requests else " ".join(idle),
        cursor=json.dumps(cursor),
    )


def starts(instance: dg.DagsterInstance, registry: Registry, arrival: Arrival) -> bool:
    """Whether an arrival is to be onboarded: not if it failed to come in, was deleted, runs or is done."""
    entry = enter(registry, arrival)
    if arrival.error is not None or entry.is_deleted or entry.status is UploadStatus.SUCCEEDED:
        return False
    if entry.is_new:
        return True
    return not is_running(instance, arrival.key)


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
