"""What starts by itself for image pairs: a spec in the inbox, and each step once what it needs exists."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from factory_pipeline.orchestration.failures import NO_RETRY
from factory_pipeline.orchestration.partitions import PAIR_SETS, pair_sets
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.volumes.assets import (
    cut_pair_batch,
    field_dataset,
    generate_field_shard,
    pair_dataset,
    pair_spec,
)
from factory_pipeline.plain_text import count_noun
from factory_pipeline.volumes.spec_inbox import list_specs

MOST_RUNS_PER_TICK = 20
"""Dagster takes seconds to start a run, and no other sensor runs meanwhile."""


read_pair_spec = dg.define_asset_job(
    "read_pair_spec",
    selection=dg.AssetSelection.assets(pair_spec),
    tags=NO_RETRY,
    description="Checks a spec of image pairs and divides it into batches.",
)

cut_pairs = dg.define_asset_job(
    "cut_pairs",
    selection=dg.AssetSelection.assets(cut_pair_batch),
    tags=NO_RETRY,
    description="Cuts the sections of a batch out of their volume.",
)

make_pair_dataset = dg.define_asset_job(
    "make_pair_dataset",
    selection=dg.AssetSelection.assets(pair_dataset),
    tags=NO_RETRY,
    description="Makes the image pairs of a spec of its batches.",
)

generate_fields = dg.define_asset_job(
    "generate_fields",
    selection=dg.AssetSelection.assets(generate_field_shard),
    tags=NO_RETRY,
    description="Aligns the pairs of a shard.",
)

make_field_dataset = dg.define_asset_job(
    "make_field_dataset",
    selection=dg.AssetSelection.assets(field_dataset),
    tags=NO_RETRY,
    description="Joins the fields of a spec; pairs and fields become a collection.",
)

JOBS = [read_pair_spec, cut_pairs, make_pair_dataset, generate_fields, make_field_dataset]


@dg.sensor(
    job=read_pair_spec,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a set of image pairs for each spec that is dropped into FACTORY_HOME/inbox/specs.",
)
def new_specs(
    context: dg.SensorEvaluationContext, factory: FactoryResource
) -> dg.SensorResult | dg.SkipReason:
    """A spec counts as there once it is the same on two looks: it may still be being copied."""
    inbox = factory.folder().spec_inbox
    known = set(context.instance.get_dynamic_partitions(PAIR_SETS))
    new = sorted(key for key in list_specs(inbox) if key not in known)
    if not new:
        return dg.SkipReason(f"There is no new spec in {inbox}.")
    seen = set(json.loads(context.cursor or "[]"))
    settled = [key for key in new if key in seen][:MOST_RUNS_PER_TICK]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"spec {key}", partition_key=key) for key in settled],
        dynamic_partitions_requests=[pair_sets.build_add_request(settled)] if settled else [],
        skip_reason=None if settled else f"{count_noun(len(new), 'new spec')}; waiting until complete.",
        cursor=json.dumps(new),
    )


@dg.sensor(
    jobs=JOBS[1:],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the next step of each set of image pairs: batches, pairs, shards of fields, fields.",
)
def pair_steps(context: dg.SensorEvaluationContext, factory: FactoryResource) -> dg.SensorResult:
    """Compare the plan of each set with the event log; a step that failed is started again by a person."""
    home, instance = factory.folder(), context.instance
    steps = _Steps(instance)
    requests: list[dg.RunRequest] = []
    for key in instance.get_dynamic_partitions(PAIR_SETS):
        files = home.pair_set(key)
        requests += steps.next(key, files.batches, files.shard_keys)
    started = requests[:MOST_RUNS_PER_TICK]
    return dg.SensorResult(
        run_requests=started,
        skip_reason=None if started else "Every step that can be started has been started.",
    )


class _Steps:
    """Which step of a set is next."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._done = {
            asset: instance.get_materialized_partitions(asset.key)
            for asset in (pair_spec, cut_pair_batch, pair_dataset, generate_field_shard, field_dataset)
        }

    def next(self, key: str, batches: Path, shards: Path) -> Iterator[dg.RunRequest]:
        """Return the runs of the first step that is not complete, those that have not been requested."""
        if key not in self._done[pair_spec]:
            return
        steps = (
            (cut_pairs, cut_pair_batch, lambda: _keys(batches)),
            (make_pair_dataset, pair_dataset, lambda: [key]),
            (generate_fields, generate_field_shard, lambda: _keys(shards)),
            (make_field_dataset, field_dataset, lambda: [key]),
        )
        for job, asset, partitions in steps:
            missing = [one for one in partitions() if one not in self._done[asset]]
            if missing:
                for one in missing:
                    run_key = f"{job.name} {one}"
                    if not self._was_requested(run_key):
                        yield dg.RunRequest(run_key=run_key, job_name=job.name, partition_key=one)
                return

    def _was_requested(self, run_key: str) -> bool:
        """Return whether a run was started: requests for these would take the places of others in a tick."""
        tags = {"dagster/run_key": run_key}
        return bool(self._instance.get_run_records(dg.RunsFilter(tags=tags), limit=1))


def _keys(path: Path) -> list[str]:
    keys: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return keys


SENSORS = [new_specs, pair_steps]
