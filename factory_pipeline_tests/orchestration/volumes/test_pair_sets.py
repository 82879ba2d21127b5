"""A spec in the inbox becomes pairs, fields and a collection, step by step as the sensors ask for."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factory_pipeline.definitions import defs
from factory_pipeline.orchestration.partitions import FIELD_SHARDS, PAIR_BATCHES, PAIR_SETS
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.volumes import sensors
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.volumes import extraction
from factory_pipeline.volumes.pair_dataset import make_dataset
from factory_pipeline.volumes.spec_inbox import spec_key
from factory_pipeline_tests.volumes.small_pairs import small_spec, small_volume


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    document: dict[str, Any] = small_spec(small_volume(tmp_path_factory.mktemp("volume")))
    return document


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


@pytest.fixture
def factory(home: FactoryHome) -> FactoryResource:
    return FactoryResource(home=str(home.root))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def drop(home: FactoryHome, name: str, document: dict[str, Any]) -> Path:
    home.spec_inbox.mkdir(parents=True, exist_ok=True)
    path = home.spec_inbox / name
    path.write_text(json.dumps(document))
    return path


def look(
    instance: dg.DagsterInstance, factory: FactoryResource, cursor: str | None = None
) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"factory": factory})
    result = sensors.new_specs(context)
    for request in getattr(result, "dynamic_partitions_requests", None) or []:
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return result


def run(
    instance: dg.DagsterInstance,
    factory: FactoryResource,
    request: dg.RunRequest,
    job: str,
    check: bool = True,
) -> dg.ExecuteInProcessResult:
    """Execute a request as the daemon would: with its run key as a tag."""
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        resources={"factory": factory, "pipes": dg.PipesSubprocessClient()},
        partition_key=request.partition_key,
        tags={"dagster/run_key": str(request.run_key)},
        raise_on_error=check,
    )


def step(instance: dg.DagsterInstance, factory: FactoryResource) -> dict[str, list[str]]:
    """One tick of the sensor of steps, and its runs; returns the partitions by job."""
    context = dg.build_sensor_context(instance=instance, resources={"factory": factory})
    ran: dict[str, list[str]] = {}
    for request in sensors.pair_steps(context).run_requests or []:
        run(instance, factory, request, str(request.job_name))
        ran.setdefault(str(request.job_name), []).append(str(request.partition_key))
    return ran


def metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_a_spec_that_is_dropped_becomes_a_collection_of_aligned_pairs(
    spec, home, factory, instance, tmp_path, monkeypatch
):
    monkeypatch.setattr(extraction, "PART_BYTES", 3 * 4 * 4 * 64 * 48)  # three sections a batch
    key = spec_key(drop(home, "Sample pairs.json", spec))
    first = look(instance, factory)
    assert not first.run_requests
    second = look(instance, factory, first.cursor)
    assert [request.partition_key for request in second.run_requests or []] == [key]
    run(instance, factory, second.run_requests[0], "read_pair_spec")
    assert isinstance(look(instance, factory, second.cursor), dg.SkipReason)

    ran = step(instance, factory)
    assert ran == {"cut_pairs": list(instance.get_dynamic_partitions(PAIR_BATCHES))}
    assert len(ran["cut_pairs"]) == 3
    assert all(re.fullmatch(rf"{key}-0000\d-[0-9a-f]{{8}}", batch) for batch in ran["cut_pairs"])
    assert step(instance, factory) == {"make_pair_dataset": [key]}
    told = metadata(instance, "pair_dataset")
    assert told["dagster/row_count"] == 3
    assert [record.data for record in told["rejected by reason"].records] == [
        {"reason": "tgt: no valid pixel", "pairs": 1}
    ]
    assert 0 < told["masked src"] < 0.5
    assert told["preview"].startswith("![pairs of ")
    assert len(told["preview"]) < 130_000

    assert step(instance, factory) == {"generate_fields": list(instance.get_dynamic_partitions(FIELD_SHARDS))}
    assert step(instance, factory) == {"make_field_dataset": [key]}
    assert step(instance, factory) == {}
    told = metadata(instance, "field_dataset")
    assert told["correlation after"] > told["correlation before"] + 0.1
    with closing(factory.registry()) as registry:
        (collection,) = registry.collections()
    assert (collection.name, collection.item_count) == ("sample-pairs", 3)

    # The same bytes as by the command.
    dataset = home.pair_set(key).dataset
    alone = make_dataset(spec, tmp_path / "alone")
    for path in (alone.paths.images, alone.paths.fields, alone.paths.table):
        assert (dataset / path.name).read_bytes() == path.read_bytes()
    assert len(list(dataset.glob("field_1_*_MIP2_test.h5"))) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_size": "large"}, r"\$\.x_size"),
        ({"alignment": {"aligner": 3}}, r"\$\.alignment\.aligner: must be a valid string"),
        ({"alignment": {"stages": 1}}, r"\$\.alignment\.stages: is not a key of it"),
        (
            {"masks": [{"path": "https://user:secret@host/volume", "src_mip": 2, "threshold": 1}]},
            "credentials",
        ),
    ],
)
def test_a_spec_that_is_not_allowed_fails_with_one_sentence_and_is_not_kept(
    spec, home, factory, instance, changed, message
):
    key = spec_key(drop(home, "bad.json", spec | changed))
    result = look(instance, factory, look(instance, factory).cursor)
    outcome = run(instance, factory, result.run_requests[0], "read_pair_spec", check=False)
    (failure,) = [event for event in outcome.all_events if event.is_step_failure]
    said = str(failure.step_failure_data.user_failure_data.description)
    assert re.search(message, said), said
    assert "secret" not in said
    assert not home.pair_set(key).root.exists()
    assert step(instance, factory) == {}
    assert instance.get_dynamic_partitions(PAIR_SETS) == [key]


def test_a_step_that_failed_is_not_started_again_by_the_sensor(spec, home, factory, instance):
    drop(home, "pairs.json", spec)
    result = look(instance, factory, look(instance, factory).cursor)
    run(instance, factory, result.run_requests[0], "read_pair_spec")
    context = dg.build_sensor_context(instance=instance, resources={"factory": factory})
    (request,) = sensors.pair_steps(context).run_requests or []
    key = result.run_requests[0].partition_key
    stored = home.pair_set(key).spec
    stored.write_text(stored.read_text().replace("/image", "/absent"))
    assert not run(instance, factory, request, "cut_pairs", check=False).success
    assert step(instance, factory) == {}
