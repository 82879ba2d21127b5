"""Working through the batches of a run, each under its lease."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factory_pipeline.datalake.registry import batch_leases
from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import RecipeError, RegistryError
from factory_pipeline.orchestration.builds.per_batch import for_each_batch
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.atomic import is_held


def run(
    factory: FactoryResource, work: Callable[[str], dict[str, Any]]
) -> tuple[dg.ExecuteInProcessResult, set[str]]:
    """Materialise an asset of two batches in one run; gives the batches that are recorded as done too."""
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(["a", "b"]),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def chips(context: dg.AssetExecutionContext) -> None:
        for_each_batch(context, factory, lambda _: factory.folder().root / "built", work)

    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    result = dg.materialize([chips], tags=tags, raise_on_error=False, instance=instance)
    return result, instance.get_materialized_partitions(dg.AssetKey("chips"))


def failure(result: dg.ExecuteInProcessResult) -> str:
    [failed] = result.get_step_failure_events()
    return str(failed.step_failure_data.user_failure_data.description)


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FactoryResource:
    monkeypatch.setattr(batch_leases, "POLL_S", 0.05)
    return FactoryResource(home=str(tmp_path / "home"))


def test_a_batch_that_another_process_works_on_is_waited_for(factory: FactoryResource) -> None:
    done: list[str] = []
    with closing(factory.registry()) as other:
        lease = other.batch_lease(BatchKey("built", "chips", "b"))
        lease.__enter__()
        running = threading.Thread(target=lambda: run(factory, lambda batch: done.append(batch) or {}))
        running.start()
        while done != ["a"]:
            time.sleep(0.05)
        time.sleep(0.5)
        assert done == ["a"]
        lease.__exit__(None, None, None)
        running.join()
    assert done == ["a", "b"]


def test_a_batch_that_fails_releases_its_lease_and_stops_no_other(factory: FactoryResource) -> None:
    def work(batch: str) -> dict[str, Any]:
        if batch == "a":
            raise RecipeError("It is not good.")
        return {"rows": 1}

    result, recorded = run(factory, work)
    assert failure(result) == "a: It is not good."
    assert recorded == {"b"}
    again, recorded = run(factory, lambda _: {})
    assert again.success
    assert recorded == {"a", "b"}


def test_a_registry_that_is_gone_ends_the_run_at_once(
    factory: FactoryResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_leases, "LAPSE_S", 0.0)

    def gone(*_: object) -> None:
        raise RegistryError("The registry is gone.")

    monkeypatch.setattr(Registry, "_look", gone)
    result, recorded = run(factory, lambda _: {})
    assert failure(result) == "The registry is gone."
    assert recorded == set()


def test_a_run_holds_its_lock_while_it_works(factory: FactoryResource) -> None:
    home, held = factory.folder(), []

    def work(_: str) -> dict[str, Any]:
        [lock] = home.run_lock("any").parent.iterdir()
        held.append(is_held(lock))
        return {}

    assert run(factory, work)[0].success
    assert held == [True, True]
    assert not list(home.run_lock("any").parent.iterdir())
