"""From a spec to aligned image pairs: batches of sections, the pairs, shards of fields, the fields."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import h5py
import numpy as np
import polars as pl

from factory_pipeline.datalake.ingest.from_pairs import collect_pairs
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.failures import user_errors
from factory_pipeline.orchestration.metadata import picture, rows_table
from factory_pipeline.orchestration.partitions import (
    FIELD_SHARDS,
    PAIR_BATCHES,
    pair_batches,
    pair_sets,
)
from factory_pipeline.orchestration.partitions import field_shards as shard_keys
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.pair_set_files import PairSetFiles
from factory_pipeline.volumes import pair_dataset as pairs
from factory_pipeline.volumes.aligners.choose import choose_aligner
from factory_pipeline.volumes.fields.generate import generate_shard
from factory_pipeline.volumes.fields.join import join_shards
from factory_pipeline.volumes.fields.shards import PairRange, divide
from factory_pipeline.volumes.fields.task import FieldTask, plan_fields
from factory_pipeline.volumes.pair_files import field_name
from factory_pipeline.volumes.preview import pair_sheet
from factory_pipeline.volumes.scores import mean_correlation, mean_improvement
from factory_pipeline.volumes.spec import load_json, parse_spec
from factory_pipeline.volumes.spec_inbox import receive_spec

GROUP = "pairs"
DIGITS = 8
PREVIEW_BYTES = 90_000
SETTINGS = pairs.PairSettings()
RETRY = dg.RetryPolicy(max_retries=2, delay=60)
"""Of what reads volumes: only a server that is unavailable is tried again, see `TRANSIENT_ERRORS`."""
ASSET: dict[str, Any] = {"group_name": GROUP, "owners": OWNERS}


@dg.asset(partitions_def=pair_sets, kinds={"json"}, retry_policy=RETRY, **ASSET)
def pair_spec(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """A spec of image pairs from the inbox: checked, with the volumes that it names; its sections in batches.

    Registers a partition per batch.
    """
    key, home = context.partition_key, factory.folder()
    files = home.pair_set(key)
    with user_errors():
        document, unknown = receive_spec(home.spec_inbox, key, files)
        plan = pairs.plan_batches(document, SETTINGS)
        keys = [f"{key}-{number:05d}-{plan.work[:DIGITS]}" for number in range(len(plan.sections))]
        write_text(files.batches, json.dumps(keys) + "\n")
    context.instance.add_dynamic_partitions(PAIR_BATCHES, keys)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(document["pairs"]),
            "sections": sum(plan.sections),
            "batches": len(keys),
            "unknown keys": unknown,
            "spec": dg.MetadataValue.path(str(files.spec)),
        }
    )


@dg.asset(
    name="pair_batches",
    deps=[dg.AssetDep(pair_spec, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=pair_batches,
    kinds={"hdf5"},
    retry_policy=RETRY,
    **ASSET,
)
def cut_pair_batch(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """Sections of a batch, cut out of the volume once for all pairs that have them."""
    files, number = _files(factory, context.partition_key), int(context.partition_key.rsplit("-", 2)[1])
    with user_errors():
        records = pairs.cut_batch(load_json(files.spec), files.dataset, SETTINGS, number)
    usable = [record for record in records if record.fault is None]
    faults = pl.Series("reason", [record.fault for record in records if record.fault], pl.String)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(records),
            "masked": _mean([record.masked for record in usable]),
            "black": _mean([record.black for record in usable]),
            "unusable sections by reason": rows_table(_counts(faults, "sections")),
        }
    )


@dg.asset(
    deps=[dg.AssetDep(cut_pair_batch, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=pair_sets,
    kinds={"hdf5", "parquet"},
    **ASSET,
)
def pair_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """Image pairs and the fields of their volume, made of all batches, with the table of pairs.

    Registers a partition per shard of the fields that are to be generated.
    """
    key = context.partition_key
    files = factory.folder().pair_set(key)
    with user_errors():
        made = pairs.make_dataset(load_json(files.spec), files.dataset, SETTINGS)
        task = _task(files)
        keys = [f"{key}-{shard.start}-{shard.stop}-{task.digest[:DIGITS]}" for shard in divide(task.pairs)]
        write_text(files.shard_keys, json.dumps(keys) + "\n")
        sheet = pair_sheet(made.paths.images, made.paths.fields, max_bytes=PREVIEW_BYTES)
        likeness = mean_correlation(made.paths.images)
    context.instance.add_dynamic_partitions(FIELD_SHARDS, keys)
    table = pl.read_parquet(made.paths.table)
    kept = table.filter(pl.col("reason").is_null())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": made.pairs,
            "correlation of src and warped tgt": likeness,
            **{
                f"{what} {side}": _mean(kept[f"{side}_{what}"].to_list())
                for what in ("masked", "black")
                for side in ("src", "tgt")
            },
            "rejected by reason": rows_table(_counts(table["reason"].drop_nulls(), "pairs")),
            "pairs by split": rows_table(_counts(kept["split"], "pairs")),
            "remarks": list(made.remarks),
            "shards": len(keys),
            "images": dg.MetadataValue.path(str(made.paths.images)),
            "preview": picture(sheet, f"pairs of {key}"),
        }
    )


@dg.asset(
    name="field_shards",
    deps=[dg.AssetDep(pair_dataset, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=shard_keys,
    kinds={"hdf5"},
    **ASSET,
)
def generate_field_shard(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """Fields of some pairs by the aligner of their spec, on a GPU where the aligner has use for one."""
    files = _files(factory, context.partition_key)
    start, stop = context.partition_key.rsplit("-", 3)[1:3]
    with user_errors():
        shard = generate_shard(_task(files), files.shards, PairRange(int(start), int(stop)))
        before, after = mean_improvement(shard)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": int(stop) - int(start),
            "correlation before": before,
            "correlation after": after,
            "path": dg.MetadataValue.path(str(shard)),
        }
    )


@dg.asset(
    deps=[dg.AssetDep(generate_field_shard, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=pair_sets,
    kinds={"hdf5", "parquet", "sqlite"},
    **ASSET,
)
def field_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The fields of all pairs of a set, and pairs and fields as a collection of the data lake."""
    key, home = context.partition_key, factory.folder()
    files = home.pair_set(key)
    with user_errors():
        document = load_json(files.spec)
        images, fields = _images(files), _fields(files, document)
        join_shards(files.shards, fields)
        before, after = mean_improvement(fields)
        sheet = pair_sheet(images, fields, max_bytes=PREVIEW_BYTES)
        with closing(factory.registry()) as registry:
            collection = collect_pairs(registry, home, key.partition("@")[0], images, fields)
    context.log.info(f"Pairs and fields are the collection {collection.id}.")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": collection.item_count,
            "correlation before": before,
            "correlation after": after,
            "longest displacement [px]": _longest(fields),
            "collection": collection.id,
            "name": collection.name,
            "content hash": collection.content_hash,
            "fields": dg.MetadataValue.path(str(fields)),
            "preview": picture(sheet, f"fields of {key}"),
        }
    )


def _files(factory: FactoryResource, key: str) -> PairSetFiles:
    """Return the files of the set that a batch or a shard is of."""
    name, _, rest = key.partition("@")
    return factory.folder().pair_set(f"{name}@{rest.partition('-')[0]}")


def _images(files: PairSetFiles) -> Path:
    return pairs.dataset_paths(load_json(files.spec), files.dataset).images


def _fields(files: PairSetFiles, document: dict[str, Any]) -> Path:
    spec = parse_spec(document)
    alignment = spec.alignment
    return files.dataset / field_name(
        pairs.first_place(spec), spec.dst_mip, alignment.stage, alignment.checkpoint
    )


def _task(files: PairSetFiles) -> FieldTask:
    document = load_json(files.spec)
    spec = parse_spec(document)
    alignment, mip = spec.alignment, spec.dst_mip
    paths = pairs.dataset_paths(document, files.dataset)
    aligner = choose_aligner(alignment.aligner, alignment.stage, alignment.checkpoint, mip)
    return plan_fields(paths.images, paths.fields, aligner, mip, mip)


def _counts(values: pl.Series, counted: str) -> pl.DataFrame:
    return values.value_counts(name=counted).sort(values.name)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _longest(fields: Path) -> float:
    with h5py.File(fields) as file:
        return max((float(np.hypot(*field).max()) for field in file["main"]), default=0.0)


ALL_ASSETS = [pair_spec, cut_pair_batch, pair_dataset, generate_field_shard, field_dataset]
