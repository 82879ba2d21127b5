"""A recipe in the inbox becomes a collection, step by step as the sensors ask for; damaged files stop it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import h5py
import numpy as np
import pytest

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.definitions import assets, defs
from factory_pipeline.orchestration.builds import recipe_sensors
from factory_pipeline.orchestration.builds.recipe_lineage import build_specs
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.builds.recipes.archives import grid, make_archive, points_csv, scene

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

RECIPE = """
name: crops
labels: {kind: points, path: fields.csv, time: {column: surveyed}, target: {column: yield, unit: t/ha}}
window: {size: 8, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04, B08], time: {around: 10d}}
splits: {by: random, train: 50, test: 50}
"""
PLACES = [(303, 407), (1503, 607), (603, 1507)]


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    home = FactoryHome(tmp_path / "home")
    make_archive(tmp_path / "archive", [scene("sentinel-2-l2a", "S2A_one", "2021-06-10", grid(2400))])
    settings = BuildSettings(
        granules=str(home.granule_inbox), output=tmp_path / "out", catalog=str(tmp_path / "archive")
    )
    settings.save(home)
    home.recipe_inbox.mkdir(parents=True)
    yields = {"yield": [1.5, 2.5, 3.5]}
    points_csv(home.recipe_inbox / "fields.csv", PLACES, surveyed=["2021-06-12"] * 3, **yields)
    (home.recipe_inbox / "crops.yaml").write_text(RECIPE)
    return home


@pytest.fixture
def factory(home: FactoryHome) -> FactoryResource:
    return FactoryResource(home=str(home.root))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def run(
    instance: dg.DagsterInstance, factory: FactoryResource, request: dg.RunRequest, job: str
) -> dg.ExecuteInProcessResult:
    """Execute a request as the daemon would: with its run key as a tag."""
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        resources={"factory": factory, "pipes": dg.PipesSubprocessClient()},
        partition_key=request.partition_key,
        tags={"dagster/run_key": str(request.run_key)},
        raise_on_error=False,
    )


def take_in(instance: dg.DagsterInstance, factory: FactoryResource) -> dg.ExecuteInProcessResult:
    """Two looks of the sensor of the inbox, and the run that it asks for."""
    context = dg.build_sensor_context(instance=instance)
    first = recipe_sensors.new_recipes(context, factory=factory)
    assert isinstance(first, dg.SensorResult)
    assert not first.run_requests
    context = dg.build_sensor_context(instance=instance, cursor=first.cursor)
    second = recipe_sensors.new_recipes(context, factory=factory)
    assert isinstance(second, dg.SensorResult)
    for keys in second.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(keys.partitions_def_name, list(keys.partition_keys))
    [request] = second.run_requests or []
    return run(instance, factory, request, "receive_recipe")


def step(instance: dg.DagsterInstance, factory: FactoryResource) -> dict[str, list[bool]]:
    """One tick of the sensor of steps, and its runs: whether each succeeded, by job."""
    context = dg.build_sensor_context(instance=instance)
    ran: dict[str, list[bool]] = {}
    found = recipe_sensors.recipe_steps(context, factory=factory)
    assert isinstance(found, dg.SensorResult)
    for request in found.run_requests or []:
        result = run(instance, factory, request, str(request.job_name))
        ran.setdefault(str(request.job_name), []).append(result.success)
    return ran


def test_a_recipe_that_is_dropped_becomes_a_collection(
    instance: dg.DagsterInstance, factory: FactoryResource
) -> None:
    assert take_in(instance, factory).success
    assert step(instance, factory) == {"plan_recipe": [True]}
    assert step(instance, factory) == {"extract_recipe": [True, True]}
    assert step(instance, factory) == {"fuse_recipe": [True]}
    assert step(instance, factory) == {}
    with closing(factory.registry()) as registry:
        assert [(each.name, each.item_count) for each in registry.collections()] == [("crops", 3)]
    # The build has a graph of its own, with the batches and sources under its name.
    specs = {spec.key.to_user_string(): spec for spec in build_specs(factory.folder())}
    assert list(specs) == ["crops/Labels", "crops/s2", "crops/Dataset", "crops/Collection"]
    resources = {"factory": factory, "pipes": dg.PipesSubprocessClient()}
    graph = dg.Definitions(assets=[*assets, *specs.values()], resources=resources).resolve_asset_graph()
    assert graph.get(dg.AssetKey(["crops", "s2"])).parent_keys == {dg.AssetKey(["crops", "Labels"])}
    assert {dep.asset_key.to_user_string() for dep in specs["crops/Dataset"].deps} == {
        "recipe_dataset",
        "crops/s2",
    }
    batches = instance.get_dynamic_partitions("crops batches")
    assert instance.get_materialized_partitions(dg.AssetKey(["crops", "s2"])) == set(batches)
    for spec in specs.values():
        event = instance.get_latest_materialization_event(spec.key)
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["dagster/row_count"].value in (1, 2, 3)
    checks = defs.resolve_asset_graph().asset_check_keys
    of_recipes = [key for key in checks if key.asset_key.path[-1] in ("recipe_samples", "recipe_dataset")]
    summaries = instance.event_log_storage.get_latest_asset_check_execution_by_key(of_recipes)
    assert len(summaries) == len(of_recipes) == 9
    assert all(record.status.value == "SUCCEEDED" for record in summaries.values())


def test_a_batch_file_that_is_damaged_is_put_aside(
    instance: dg.DagsterInstance,
    factory: FactoryResource,
    home: FactoryHome,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert take_in(instance, factory).success
    assert step(instance, factory) == {"plan_recipe": [True]}
    from factory_pipeline.builds import dataset_extraction

    write = dataset_extraction.write_fields

    def write_and_damage(path: Path, *arguments: Any) -> None:
        write(path, *arguments)
        with h5py.File(path, "a") as file:
            file["data/s2"][0] = np.zeros((2, 8, 8), np.uint16)

    monkeypatch.setattr(dataset_extraction, "write_fields", write_and_damage)
    assert step(instance, factory) == {"extract_recipe": [False, False]}
    files = DatasetSettings.load(home, "crops").files
    assert not list(files.batches.glob("*.h5"))
    # A step that failed is started again by a person.
    assert step(instance, factory) == {}


def test_a_recipe_that_is_not_valid_says_so(
    instance: dg.DagsterInstance, factory: FactoryResource, home: FactoryHome
) -> None:
    (home.recipe_inbox / "crops.yaml").write_text(RECIPE.replace("sentinel-2-l2a", "sentinel-2-l2z"))
    result = take_in(instance, factory)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "did you mean sentinel-2-l2a" in str(told.description)
    assert not home.dataset_build("crops").exists()
