"""The sample uploads: small, the same every time, and without fault."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio

from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.synthetic.uploads import CLASSES, UPLOADS, make_uploads

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_uploads(tmp_path_factory.mktemp("uploads"), seed=22)


def test_every_upload_passes_the_pre_scan(manifests: list[Path]) -> None:
    for path in manifests:
        manifest = UploadManifest.load(path)
        policy = IntakePolicy(folders=(path.parent,))
        report = prescan(manifest.dataset_url, manifest.training_data_suffixes, manifest.label_suffix, policy)
        assert report.passed, [check.message for check in report.checks]
        names = [band.band_name for band in manifest.data_sources[0].bands]
        assert report.files.filter(pl.col("role") == "image").collect()["band_names"][0].to_list() == names


def test_masks_hold_every_class_and_biomass_is_positive(manifests: list[Path], tmp_path: Path) -> None:
    values: dict[str, np.ndarray] = {}
    for upload, manifest in zip(UPLOADS, manifests, strict=True):
        folder = tmp_path / upload.name
        extract(manifest.with_suffix(".zip"), folder, IntakePolicy())
        found = []
        for path in (folder / "labels").iterdir():
            with rasterio.open(path) as label:
                assert label.nodata == upload.label_nodata
                found.append(label.read(1, masked=True).compressed())
        assert len(found) == upload.tiles
        values[upload.purpose] = np.concatenate(found)
    assert set(values["Segmentation"]) == {*CLASSES}
    assert values["Regression"].min() >= 0


def test_the_same_seed_gives_the_same_bytes(manifests: list[Path], tmp_path: Path) -> None:
    for made, again in zip(manifests, make_uploads(tmp_path, seed=22), strict=True):
        assert again.read_bytes() == made.read_bytes()
        assert again.with_suffix(".zip").read_bytes() == made.with_suffix(".zip").read_bytes()
