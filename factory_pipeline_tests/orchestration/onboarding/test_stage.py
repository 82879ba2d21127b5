"""Stages as assets: keys and dependencies follow the table, and a new line of it is an asset by itself."""

import errno
import os
from pathlib import Path

import dagster as dg
import pytest

from factory_pipeline.definitions import defs
from factory_pipeline.onboarding import stages
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.stages import STAGES, Stage, onboarding_progress
from factory_pipeline.orchestration.onboarding.stage import INBOX, plain_stage_asset, stage_asset
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.upload_files import UploadFiles
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import pairs


def test_the_assets_of_an_onboarding_are_the_stages_of_the_table() -> None:
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.materializable_asset_keys}
    previous = INBOX
    for stage in STAGES:
        assert stage.name in keys
        assert graph.get(dg.AssetKey(stage.name)).parent_keys == {dg.AssetKey(previous)}
        previous = stage.name
    onboarding = {
        key.to_user_string()
        for key in defs.resolve_job_def("onboard_dataset").asset_layer.executable_asset_keys
    }
    assert onboarding == {stage.name for stage in STAGES}


def thumbnail_of(files: UploadFiles) -> Path:
    return files.root / "thumbnail.txt"


def write_thumbnail(onboarding: Onboarding) -> None:
    write_text(thumbnail_of(onboarding.files), onboarding.given.dataset_name)


def test_a_new_line_of_the_table_is_run_shown_and_an_asset(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = Stage("dataset_thumbnail", thumbnail_of, write_thumbnail, "Drawing the thumbnail")
    first, *others = STAGES
    monkeypatch.setattr(stages, "STAGES", (first, added, *others))
    key = bench.take_in(bench.drop("rivers", pairs(1)))
    asset = plain_stage_asset(added)
    assert asset.dependency_keys == {dg.AssetKey(first.name)}
    files = bench.home.upload(key)
    first.run(Onboarding(key, bench.home, bench.factory.intake_policy()))
    assert onboarding_progress(files) == ("Drawing the thumbnail", 1 / 8)
    result = dg.materialize(
        [asset], partition_key=key, instance=bench.instance, resources={"factory": bench.factory}
    )
    assert thumbnail_of(files).read_text() == "rivers"
    [event] = result.asset_materializations_for_node("dataset_thumbnail")
    assert event.metadata["path"].value == str(thumbnail_of(files))
    assert onboarding_progress(files) == ("Reading the headers", 2 / 8)


def test_a_function_that_is_no_stage_is_no_asset_of_one() -> None:
    def dataset_poster() -> None:
        """No stage has this name."""

    with pytest.raises(KeyError, match="no stage is named 'dataset_poster'"):
        stage_asset()(dataset_poster)


def test_a_path_that_may_not_be_written_is_named_and_the_upload_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(onboarding: Onboarding) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(onboarding.files.root))

    added = Stage("dataset_thumbnail", thumbnail_of, refuse, "Drawing the thumbnail")
    first, *others = STAGES
    monkeypatch.setattr(stages, "STAGES", (first, added, *others))
    key = bench.take_in(bench.drop("rivers", pairs(1)))
    dg.materialize(
        [plain_stage_asset(added)],
        partition_key=key,
        instance=bench.instance,
        resources={"factory": bench.factory},
        raise_on_error=False,
    )
    root = bench.home.upload(key).root
    assert bench.upload(key).reason == (
        f"{root} can't be read or written: Permission denied. The onboarding of {key} goes on from there when"
        " it is started again."
    )
    assert root.exists()
