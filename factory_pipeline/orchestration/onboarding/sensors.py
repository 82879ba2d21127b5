"""Sensors for uploads: manifests in the inboxes are onboarded; runs that died are reported."""

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.intake import (
    IncomingUpload,
    register_upload,
    stray_archive,
    validate_upload,
)
from factory_pipeline.datalake.ingest.releases.register import validate_release
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.list_inbox import NO_MANIFEST, Contents, InboxEntry, contents
from factory_pipeline.onboarding.manifest.location import file_name
from factory_pipeline.orchestration.background_tasks import BackgroundTasks
from factory_pipeline.orchestration.jobs import import_release, onboard_dataset
from factory_pipeline.orchestration.onboarding.upload_batches import batch_request, onboard_batch
from factory_pipeline.orchestration.partitions import datasets, releases
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_status import DIED_TAG, keys_of, unfinished_runs
from factory_pipeline.plain_text import count_noun
from factory_pipeline.redaction import display
from factory_pipeline.storage.layout import FactoryHome

SECONDS_TO_LIST = 3.0
"""How long a tick waits for an inbox in an object store; one that takes longer is known at a later tick."""
SECONDS_PER_TICK = 5.0
"""How long a tick waits for archives to be looked at. What is not known by then goes on beside the ticks."""
MOST_RUNS_PER_TICK = 4
"""Dagster takes seconds to start a run, and no other sensor runs meanwhile."""
UPLOADS_PER_BATCH = 25
SMALL_BYTES = 16 << 20
"""Archives up to this size share a process with others, where more come in than may start by themselves."""
SECONDS_ALONE = 60.0
"""How long an archive may be in an inbox before its manifest comes."""
MOST_REMOTE = 64
"""Archives on other hosts that are looked at at the same time; threads that wait cost little."""
MOST_OF_ONE_HOST = 4
"""So that a host with many uploads leaves room for others."""
WORKERS = 8

log = logging.getLogger(__name__)

listings: BackgroundTasks[str, Contents] = BackgroundTasks(WORKERS, "inboxes")
releases_seen: BackgroundTasks[InboxEntry, IncomingUpload | None] = BackgroundTasks(WORKERS, "releases")
examinations: BackgroundTasks[InboxEntry, IncomingUpload] = BackgroundTasks(WORKERS + MOST_REMOTE, "uploads")


def validate_entries(
    wanted: Sequence[InboxEntry], home: FactoryHome, policy: IntakePolicy, seconds: float
) -> Iterator[tuple[InboxEntry, IncomingUpload]]:
    """Yield the manifests that were validated within a time, in their order; the others go on meanwhile.

    Args:
        wanted: entries of inboxes.
        home: of the factory.
        policy: limits what may be opened.
        seconds: the longest wait for all together.
    """
    tasks = {drop: partial(validate_upload, drop.manifest, home, policy) for drop in wanted}
    for drop, task in examinations.poll(tasks, seconds).items():
        error = task.exception()
        if error is None:
            yield drop, task.result()
        else:
            # A fault with one manifest must not stop the others; it is tried at the next tick.
            reason = error if isinstance(error, FactoryError) else type(error).__name__
            log.error("%s could not be examined: %s", file_name(drop.manifest), reason)


def recognize_archives(
    strays: Sequence[InboxEntry], home: FactoryHome, policy: IntakePolicy, seconds: float
) -> Iterator[tuple[InboxEntry, IncomingUpload | None]]:
    """Yield the stray archives that were examined within a time: the upload of a release, else None.

    Args:
        strays: entries of inboxes.
        home: of the factory.
        policy: limits what may be opened.
        seconds: the longest wait for all together.
    """
    tasks = {drop: partial(validate_release, drop.manifest, home, policy) for drop in strays}
    for drop, task in releases_seen.poll(tasks, seconds).items():
        error = task.exception()
        if error is None:
            yield drop, task.result()
        else:
            reason = error if isinstance(error, FactoryError) else type(error).__name__
            log.error("%s could not be examined: %s", file_name(drop.manifest), reason)


def next_in_turn(whole: Sequence[InboxEntry]) -> list[InboxEntry]:
    """Return the manifests that are looked at in this tick.

    As many as may start in it, and beside these some whose archives are on other hosts: they take no room
    from the others, however slow their hosts are.
    """
    under_way = Counter(drop.host for drop in whole if drop.host and drop in examinations)
    taken, local = [], 0
    for drop in whole:
        if drop in examinations:
            taken.append(drop)
        elif not drop.host and local < MOST_RUNS_PER_TICK * UPLOADS_PER_BATCH:
            local += 1
            taken.append(drop)
        elif drop.host and under_way.total() < MOST_REMOTE and under_way[drop.host] < MOST_OF_ONE_HOST:
            under_way[drop.host] += 1
            taken.append(drop)
    return taken


def list_inboxes(inboxes: Sequence[str], seconds: float) -> tuple[Contents, dict[str, str]]:
    """Return the manifests and stray archives in all inboxes, and why an inbox is not known, by its place.

    Args:
        inboxes: folders, or addresses of object stores.
        seconds: the longest wait for all together.

    Returns:
        The contents, and by inbox one sentence why its contents are not known.
    """
    tasks = {inbox: partial(contents, inbox) for inbox in inboxes}
    manifests: list[InboxEntry] = []
    strays: list[InboxEntry] = []
    unknown = {inbox: f"The inbox {display(inbox)} does not respond in time." for inbox in inboxes}
    for inbox, task in listings.poll(tasks, seconds).items():
        error = task.exception()
        if error is None:
            manifests += task.result().manifests
            strays += task.result().strays
            del unknown[inbox]
        elif isinstance(error, FactoryError):
            unknown[inbox] = str(error)
        else:
            unknown[inbox] = f"The inbox {display(inbox)} can't be listed ({type(error).__name__})."
    return Contents(manifests, strays), unknown


class Starts:
    """What a tick starts, within its bounds: runs of single uploads, and batches of small ones."""

    def __init__(self) -> None:
        """Nothing is to be started."""
        self._large: dict[str, str] = {}
        self._small: dict[str, str] = {}

    def has_room(self, arrival: IncomingUpload) -> bool:
        """Return whether one more upload may start in this tick."""
        if arrival.error is not None or arrival.key in self.keys:
            return True
        small, large = len(self._small), len(self._large)
        if is_small(arrival):
            small += 1
        else:
            large += 1
        return large + -(-small // UPLOADS_PER_BATCH) <= MOST_RUNS_PER_TICK

    def add(self, arrival: IncomingUpload, state: str) -> None:
        """Add an upload that is to be onboarded.

        Args:
            arrival: its manifest is valid.
            state: of its entry in the inbox; another state is started again.
        """
        (self._small if is_small(arrival) else self._large)[arrival.key] = state

    @property
    def keys(self) -> list[str]:
        """The keys of all uploads that start."""
        return [*self._large, *self._small]

    def requests(self) -> list[dg.RunRequest]:
        """The runs: one for each upload where these are few, batches of the small ones where they are not."""
        alone = dict(self._large)
        batches: list[list[str]] = []
        if len(self.keys) <= MOST_RUNS_PER_TICK:
            alone |= self._small
        else:
            small = list(self._small)
            batches = [small[at : at + UPLOADS_PER_BATCH] for at in range(0, len(small), UPLOADS_PER_BATCH)]
        # Dagster starts a run key once: a lost cursor starts nothing twice.
        single = [
            dg.RunRequest(run_key=f"{key} {state}", job_name=onboard_dataset.name, partition_key=key)
            for key, state in alone.items()
        ]
        states = ["\n".join(f"{key} {self._small[key]}" for key in keys) for keys in batches]
        digests = [hashlib.sha256(state.encode()).hexdigest()[:16] for state in states]
        return [*single, *map(batch_request, batches, digests)]


def is_small(arrival: IncomingUpload) -> bool:
    """Return whether an upload may share a process with others."""
    return arrival.archive_bytes is not None and arrival.archive_bytes <= SMALL_BYTES


@dg.sensor(
    jobs=[onboard_dataset, onboard_batch, import_release],
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Onboards what is dropped into the inboxes of uploads: FACTORY_HOME/inbox/uploads, and those that "
        "intake.yaml names. An archive without a manifest whose content is a release is imported. What can't "
        "be onboarded is told in the tick and is listed as Failed."
    ),
    metadata={"watched": "FACTORY_HOME/inbox/uploads, and `inbox` of FACTORY_HOME/intake.yaml"},
)
def new_uploads(
    context: dg.SensorEvaluationContext, factory: FactoryResource
) -> dg.SensorResult | dg.SkipReason:
    """Onboard manifests that, with their archives, are the same at two ticks.

    The cursor contains the state in which each manifest was last seen and whether it was taken in so; what is
    known of an inbox that does not answer stays. What was taken in is registered, so that a lost cursor
    starts nothing twice.
    """
    home = factory.folder()
    try:
        policy = factory.intake_policy()
    except FactoryError as error:
        return dg.SkipReason(str(error))
    seen: dict[str, list[str]] = json.loads(context.cursor or "{}")
    inboxes = policy.inboxes(home)
    lying, unknown = list_inboxes(inboxes, SECONDS_TO_LIST)
    cursor = {drop.manifest: ["seen", drop.state] for drop in (*lying.manifests, *lying.strays)}
    cursor |= {
        location: last
        for location, last in seen.items()
        if last[1] == cursor.get(location, ["", ""])[1] or location.rpartition("/")[0] in unknown
    }
    whole = [drop for drop in lying.manifests if seen.get(drop.manifest) == ["seen", drop.state]]
    alone = [drop for drop in lying.strays if seen.get(drop.manifest) == ["seen", drop.state]]
    imports: dict[str, str] = {}
    problems = list(unknown.values())
    should_start = Starts()
    with closing(factory.registry()) as registry:
        busy = {key for record in unfinished_runs(context.instance) for key in keys_of(record.dagster_run)}
        for drop, arrival in validate_entries(next_in_turn(whole), home, policy, SECONDS_PER_TICK):
            if not should_start.has_room(arrival):
                continue
            if is_to_start(registry, arrival, drop, busy):
                should_start.add(arrival, drop.state)
            if arrival.error is not None:
                problems.append(f"{file_name(drop.manifest)}: {arrival.error} [{arrival.error.code}]")
            cursor[drop.manifest] = ["taken", drop.state]
        for drop, release in recognize_archives(alone[:MOST_RUNS_PER_TICK], home, policy, SECONDS_PER_TICK):
            if release is not None and is_to_start(registry, release, drop, busy):
                imports[release.key] = drop.state
            if release is not None and release.error is not None:
                problems.append(f"{file_name(drop.manifest)}: {release.error} [{release.error.code}]")
            cursor[drop.manifest] = ["taken", drop.state]
        problems += tell_strays(registry, lying.strays, is_complete=not unknown)
    for problem in problems:
        context.log.warning(problem)
    waiting = sum(last[0] == "seen" for last in cursor.values())
    watched = f"Watched: {', '.join(map(display, inboxes))}."
    idle = [f"Waiting until complete: {count_noun(waiting, 'upload')}.", *problems, watched]
    added = [(datasets, should_start.keys), (releases, list(imports))]
    return dg.SensorResult(
        run_requests=[
            *should_start.requests(),
            *(
                dg.RunRequest(run_key=f"{key} {state}", job_name=import_release.name, partition_key=key)
                for key, state in imports.items()
            ),
        ],
        dynamic_partitions_requests=[keys.build_add_request(new) for keys, new in added if new],
        skip_reason=None if should_start.keys or imports else " ".join(idle),
        cursor=json.dumps(cursor),
    )


def is_to_start(registry: Registry, arrival: IncomingUpload, drop: InboxEntry, busy: Set[str]) -> bool:
    """Return whether an upload is to be onboarded: not if it is invalid, was deleted, runs or has succeeded.

    A run whose process is gone is still busy here: the sensor of abandoned uploads starts it again.

    Args:
        registry: that the upload is registered in.
        arrival: the validated upload.
        drop: its entry in the inbox.
        busy: keys of the uploads that a run works on.
    """
    entry = register_upload(registry, arrival, datetime.fromtimestamp(drop.put, UTC))
    if arrival.error is not None or entry.is_deleted or entry.status is UploadStatus.SUCCEEDED:
        return False
    return entry.is_new or arrival.key not in busy


def tell_strays(registry: Registry, strays: Sequence[InboxEntry], *, is_complete: bool) -> list[str]:
    """Enter archives that are in an inbox without a manifest as failed; forget those that do no more.

    Args:
        registry: where they are entered.
        strays: all stray archives.
        is_complete: whether every inbox could be listed; what is in another one is not forgotten.

    Returns:
        What is said of each.
    """
    problems = []
    # Without a stray archive only those that were told as failed matter, of maybe many thousands.
    known = registry.uploads(with_deleted=bool(strays), statuses=None if strays else [UploadStatus.FAILED])
    there = set()
    for drop in strays:
        # An archive that was onboarded, and whose manifest has gone since, is no failure.
        if time.time() - drop.put < SECONDS_ALONE or any(
            drop.manifest in upload.manifest for upload in known
        ):
            continue
        arrival = stray_archive(drop.manifest)
        there.add(arrival.key)
        upload = next((upload for upload in known if upload.key == arrival.key), None)
        is_told = upload is not None and upload.deleted_at is None
        if (
            is_told
            or not register_upload(registry, arrival, datetime.fromtimestamp(drop.put, UTC)).is_deleted
        ):
            problems.append(str(arrival.error))
    for upload in known if is_complete else ():
        if upload.code == NO_MANIFEST and upload.deleted_at is None and upload.key not in there:
            registry.delete_upload(upload.key)
    return problems


def mark_failed(context: dg.RunStatusSensorContext, factory: FactoryResource) -> None:
    """Mark the uploads of a run that died or was ended as failed, as it could not do so itself.

    Args:
        context: of the sensor, with the run.
        factory: whose registry is updated.
    """
    run = context.dagster_run
    if DIED_TAG in run.tags:
        return  # Its uploads are taken up again.
    with closing(factory.registry()) as registry:
        uploads = {upload.key: upload for upload in registry.uploads()}
        for key in keys_of(run):
            if key in uploads and uploads[key].status in (UploadStatus.PENDING, UploadStatus.ONBOARDING):
                registry.set_status(
                    key,
                    UploadStatus.FAILED,
                    reason="The run ended before the dataset was finished; a new run resumes it.",
                    run_id=run.run_id,
                )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells in the registry that a run of an onboarding died.",
)
def onboarding_died(context: dg.RunStatusSensorContext, factory: FactoryResource) -> None:
    """Also a run whose process was killed, once Dagster finds it."""
    mark_failed(context, factory)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells in the registry that a run of an onboarding was ended by a person.",
)
def onboarding_cancelled(context: dg.RunStatusSensorContext, factory: FactoryResource) -> None:
    """The status would say Onboarding for ever."""
    mark_failed(context, factory)


ALL = [new_uploads, onboarding_died, onboarding_cancelled]
