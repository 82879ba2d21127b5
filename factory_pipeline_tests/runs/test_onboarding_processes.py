"""Uploads that are onboarded at the same time, by processes that know nothing of one another."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import polars as pl
import yaml

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.builds.builds import FACTORY
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of


def manifest(folder: Path, images: int) -> Path:
    if not (folder / f"{images}.zip").exists():
        zip_of(folder / f"{images}.zip", pairs(images))
    path = folder / f"{images}.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": f"{images}.zip", "dataset_name": "rivers"}))
    return path


def test_uploads_of_one_name_at_once_disturb_each_other_in_nothing(tmp_path: Path) -> None:
    images = (5, 5, 7)  # The first two are also of one content.
    home = FactoryHome(tmp_path / "home")
    onboarding = [
        subprocess.Popen(
            [FACTORY, "onboard", str(manifest(tmp_path, count))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "FACTORY_HOME": str(home.root)},
        )
        for count in images
    ]
    said = [process.communicate(timeout=240)[0] for process in onboarding]
    assert [process.returncode for process in onboarding] == [0, 0, 0], "\n".join(said)
    with closing(open_registry(home)) as registry:
        uploads = registry.uploads()
    assert len(uploads) == len(set(images))
    assert {upload.status for upload in uploads} == {UploadStatus.SUCCEEDED}
    found = [pl.read_parquet(home.upload(upload.key).finished.items).height for upload in uploads]
    assert sorted(found) == sorted(set(images))
    assert not list(home.datasets.rglob(".*"))
