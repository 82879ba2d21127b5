"""A process that is killed at any moment loses nothing: the rerun gives the same bytes."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.intake import validate_upload
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.stages import STAGES
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST, bytes_below
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of


def all_stages(key: str, home: FactoryHome) -> None:
    onboarding = Onboarding(key, home, IntakePolicy.of_home(home))
    for stage in STAGES:
        stage.run(onboarding)


def stages_until_death(key: str, home: FactoryHome, renames: int) -> None:
    """Kill this process before one of its renames: what was written has its temporary name only."""
    left = renames

    def dying(rename):  # type: ignore[no-untyped-def]
        def renamed(self: Path, target: Path) -> Path:
            nonlocal left
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return rename(self, target)

        return renamed

    Path.rename = dying(Path.rename)  # type: ignore[method-assign]
    Path.replace = dying(Path.replace)  # type: ignore[method-assign]
    all_stages(key, home)


def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    home.upload_inbox.mkdir(parents=True)
    # A killed stage goes on where it was, so that it takes many files to die often.
    zip_of(home.upload_inbox / "a.zip", pairs(16))
    manifest = home.upload_inbox / "a.yaml"
    manifest.write_text(str({**MANIFEST, "dataset_url": "a.zip", "to_cog": True}))
    key = validate_upload(manifest, home, IntakePolicy.of_home(home)).key
    files = home.upload(key)
    received = {path.name: path.read_bytes() for path in (files.received, files.manifest)}
    all_stages(key, home)
    undisturbed = bytes_below(files.finished.root)

    files.remove()
    files.root.mkdir(parents=True)
    for name, content in received.items():
        (files.root / name).write_bytes(content)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["factory_pipeline_tests.runs.test_onboarding_killed"])
    deaths = 0
    while True:
        child = context.Process(target=stages_until_death, args=(key, home, deaths))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        assert not files.finished.root.exists() or bytes_below(files.finished.root) == undisturbed
        deaths += 1
    assert deaths > 10
    assert bytes_below(files.finished.root) == undisturbed
    assert not list(home.datasets.rglob(".*"))


def test_rewriting_goes_on_with_the_image_at_which_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = FactoryHome(tmp_path / "home")
    home.upload_inbox.mkdir(parents=True)
    zip_of(home.upload_inbox / "a.zip", pairs(5))
    manifest = home.upload_inbox / "a.yaml"
    manifest.write_text(str({**MANIFEST, "dataset_url": "a.zip", "to_cog": True}))
    policy = IntakePolicy.of_home(home)
    onboarding = Onboarding(validate_upload(manifest, home, policy).key, home, policy)
    whole, rewritten = rasterio.shutil.copy, []

    def copy(source: Path, *arguments: object, **options: object) -> None:
        if len(rewritten) == 3:
            raise KeyboardInterrupt
        rewritten.append(source)
        whole(source, *arguments, **options)

    monkeypatch.setattr(rasterio.shutil, "copy", copy)
    with pytest.raises(KeyboardInterrupt):
        onboarding.arrange()
    first = set(rewritten)
    rewritten.clear()
    arranged = onboarding.arrange().index
    assert arranged is not None
    index = arranged.collect()
    assert index.height == 5
    assert len(rewritten) == 2
    assert not first & set(rewritten)
    for image in index["images"].explode().struct.field("path"):
        with rasterio.open(onboarding.files.unfinished.root / image) as opened:
            assert opened.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize("gone", ["unpacked", "contents", "split", "index"])
def test_a_stage_whose_files_are_gone_is_done_again(tmp_path: Path, gone: str) -> None:
    home = FactoryHome(tmp_path / "home")
    home.upload_inbox.mkdir(parents=True)
    zip_of(home.upload_inbox / "a.zip", pairs(5))
    manifest = home.upload_inbox / "a.yaml"
    manifest.write_text(str({**MANIFEST, "dataset_url": "a.zip"}))
    onboarding = Onboarding(
        validate_upload(manifest, home, IntakePolicy.of_home(home)).key, home, IntakePolicy.of_home(home)
    )
    onboarding.arrange()
    onboarding.assign_splits()
    before = bytes_below(onboarding.files.unfinished.root)
    path = getattr(onboarding.files, gone)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = Onboarding(onboarding.key, home, onboarding.policy)
    again.arrange()
    again.assign_splits()
    assert bytes_below(onboarding.files.unfinished.root) == before
