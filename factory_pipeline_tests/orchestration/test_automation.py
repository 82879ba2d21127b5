"""What Dagster makes of the definitions: they load, and what should start by itself does."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.gedi.batches import BatchPlan
from factory_pipeline.cli.ui import describe_watched
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.definitions import defs
from factory_pipeline.orchestration.builds import sensors
from factory_pipeline.orchestration.partitions import BATCHES
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.runs.build import EXTRACT, FUSE, PREPARE
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.storage.layout import FactoryHome

EXTRACTION = [dg.AssetKey(name) for name in EXTRACT]


@pytest.fixture
def settings(small_archive: Path, tmp_path: Path) -> BuildSettings:
    settings = BuildSettings(
        granules=str(small_archive / "granules"),
        output=tmp_path / "out",
        catalog=str(small_archive),
        recipe=Recipe(batch_size=40),
    )
    settings.save(FactoryHome(tmp_path / "home"))
    return settings


@pytest.fixture
def factory(settings: BuildSettings, tmp_path: Path) -> FactoryResource:
    assert settings
    return FactoryResource(home=str(tmp_path / "home"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def materialize(
    instance: dg.DagsterInstance,
    factory: FactoryResource,
    names: tuple[str, ...],
    batches: tuple[str, ...] = (),
) -> dg.ExecuteInProcessResult:
    tags = {}
    if batches:
        tags = {
            "dagster/asset_partition_range_start": batches[0],
            "dagster/asset_partition_range_end": batches[-1],
        }
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        tags=tags,
        run_config={"resources": {"factory": {"config": {"home": factory.home}}}},
        raise_on_error=False,
    )


def test_the_definitions_are_valid_as_the_command_says(tmp_path: Path):
    command = [Path(sys.executable).with_name("dagster"), "definitions", "validate"]
    ended = subprocess.run(
        [*map(str, command), "-m", "factory_pipeline.definitions"],
        env={"PATH": "", "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_every_asset_says_what_it_is():
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.group_name != "default", spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key


def test_a_home_gets_an_instance_without_telemetry(tmp_path: Path):
    home = FactoryHome(tmp_path)
    prepare_home(home)
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
    settings_of_ones_own = tmp_path / "dagster" / "dagster.yaml"
    settings_of_ones_own.write_text("telemetry: {enabled: false}\n")
    prepare_home(home)
    assert settings_of_ones_own.read_text() == "telemetry: {enabled: false}\n"


def test_new_granules_start_a_build_once_they_are_whole(
    instance: dg.DagsterInstance, factory: FactoryResource
):
    def tick(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        return sensors.new_granules(context, factory=factory)

    first = tick(None)
    assert isinstance(first, dg.SensorResult)
    assert not first.run_requests
    second = tick(first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert second.run_requests
    assert len(second.run_requests) == 1
    assert materialize(instance, factory, PREPARE).success
    assert isinstance(tick(second.cursor), dg.SkipReason)


def test_a_missing_inbox_is_a_reason_not_an_error(instance: dg.DagsterInstance, tmp_path: Path):
    context = dg.build_sensor_context(instance=instance)
    answer = sensors.new_granules(context, factory=FactoryResource(home=str(tmp_path / "new")))
    assert isinstance(answer, dg.SkipReason)


def test_missing_batches_start_by_themselves_and_only_those(
    instance: dg.DagsterInstance, factory: FactoryResource, settings: BuildSettings
):
    before = dg.evaluate_automation_conditions(defs=defs, instance=instance)
    assert before.total_requested == 0
    assert materialize(instance, factory, PREPARE).success
    keys = BatchPlan.load(settings.files.batch_plan).keys
    requested = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=before.cursor)
    for key in EXTRACTION:
        assert requested.get_requested_partitions(key) == set(keys)
    assert materialize(instance, factory, EXTRACT, tuple(keys[:1])).success
    later = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=requested.cursor)
    assert later.total_requested == 0


def test_the_fuse_starts_once_the_plan_is_complete_and_names_what_is_missing_before(
    instance: dg.DagsterInstance, factory: FactoryResource, settings: BuildSettings
):
    def tick() -> dg.RunRequest | dg.SkipReason:
        return sensors.complete_plan(dg.build_sensor_context(instance=instance), factory=factory)

    assert isinstance(tick(), dg.SkipReason)
    assert materialize(instance, factory, PREPARE).success
    keys = BatchPlan.load(settings.files.batch_plan).keys
    assert instance.get_dynamic_partitions(BATCHES) == keys
    result = materialize(instance, factory, FUSE)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    description = failure.step_failure_data.user_failure_data.description
    assert all(key in description for key in keys)
    assert materialize(instance, factory, EXTRACT, tuple(keys[:-1])).success
    assert isinstance(tick(), dg.SkipReason)
    assert materialize(instance, factory, EXTRACT, (keys[-1],)).success
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert materialize(instance, factory, FUSE).success
    assert isinstance(tick(), dg.SkipReason)


def test_a_batch_whose_samples_fail_a_check_is_not_made(
    instance: dg.DagsterInstance,
    factory: FactoryResource,
    settings: BuildSettings,
    monkeypatch: pytest.MonkeyPatch,
):
    from factory_pipeline.builds.chips import label_raster

    # A label raster half a pixel off, as an earlier pipeline had it.
    burn = label_raster.burn_footprints
    monkeypatch.setattr(
        label_raster,
        "burn_footprints",
        lambda x, y, values, left, top, radius, size: burn(x + 200, y, values, left, top, radius, size),
    )
    assert materialize(instance, factory, PREPARE).success
    keys = tuple(BatchPlan.load(settings.files.batch_plan).keys)
    result = materialize(instance, factory, EXTRACT, keys)
    # Bad samples cost themselves; that all are bad is no fault of theirs.
    [failure] = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert "are lost to checks of the samples" in told
    assert "label_raster (dataset)" in told
    assert not any(settings.files.batch(key).exists() for key in keys)
    assert not materialize(instance, factory, FUSE).success


def test_the_lineage_is_one_graph() -> None:
    graph = defs.resolve_asset_graph()
    parents = {key: graph.get(key).parent_keys for key in graph.get_all_asset_keys()}
    neighbours = {key: set(found) for key, found in parents.items()}
    for key, found in parents.items():
        for parent in found:
            neighbours[parent].add(key)
    seen, waiting = set(), [dg.AssetKey("gedi_footprints")]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += neighbours[key]
    assert seen == set(neighbours)

    def parents_of(name: str) -> set[str]:
        return {key.to_user_string() for key in parents[dg.AssetKey(name)]}

    assert parents_of("dataset_version") == {
        *("gedi_collection", "recipe_collection", "onboarded_dataset", "imported_release", "field_dataset")
    }
    assert parents_of("uploaded_archive") == {"upload_inbox"}
    assert parents_of("upload_inbox") == {"gedi_upload"}
    assert parents_of("recipe_collection") == {"recipe_dataset"}
    assert parents_of("recipe_dataset") == {"recipe_samples"}
    assert parents_of("recipe_samples") == {"recipe_labels"}
    assert parents_of("coco_export") == {"dataset_version"}


def test_the_inbox_is_watched_whatever_the_build_reads(
    instance: dg.DagsterInstance, factory: FactoryResource, settings: BuildSettings, tmp_path: Path
):
    home = FactoryHome(tmp_path / "home")
    [first, *others] = sorted(Path(settings.granules).glob("*.h5"))
    source = tmp_path / "source"
    source.mkdir()
    settings.model_copy(update={"granules": str(source)}).save(home)
    assert "granule_inbox" not in home.build_file.read_text()
    answer = sensors.new_granules(dg.build_sensor_context(instance=instance), factory=factory)
    assert isinstance(answer, dg.SkipReason)
    assert "holds no granule" in str(answer.skip_message)

    home.granule_inbox.mkdir(parents=True)
    shutil.copy(first, home.granule_inbox)
    answer = sensors.new_granules(dg.build_sensor_context(instance=instance), factory=factory)
    assert isinstance(answer, dg.SensorResult)
    assert "1 new granule;" in str(answer.skip_reason)
    aggregation = footprint_stages.aggregate(factory.settings(), lambda _: None)
    assert aggregation is not None
    assert list(aggregation.granules) == [first.name]
    answer = sensors.new_granules(dg.build_sensor_context(instance=instance), factory=factory)
    assert isinstance(answer, dg.SkipReason)
    shown = f"Watched: the folder {source}, the folder {home.granule_inbox}."
    assert shown in str(answer.skip_message)
    assert describe_watched(home)[0] == shown.replace("Watched:", "Watched for granules:").rstrip(".")
    assert str(home.upload_inbox) in describe_watched(home)[1]

    shutil.copy(others[0], source)
    shutil.copy(others[0], home.granule_inbox)
    assert list(footprint_stages.unread_granules(factory.settings())) == [others[0].name], (
        "once, from the source"
    )
