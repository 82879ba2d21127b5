"""A real image, radar image and label of a public benchmark go the way of an upload."""

import os
import zipfile
from pathlib import Path

import pytest
import rasterio

from factory_pipeline.onboarding.archive import extract
from factory_pipeline.onboarding.contents import scan_contents
from factory_pipeline.onboarding.manifest import LabelCategory
from factory_pipeline.onboarding.pairing import pixel_checks
from factory_pipeline.onboarding.policy import IntakePolicy
from factory_pipeline.onboarding.prescan import prescan
from factory_pipeline.sample.server import SampleServer
from factory_pipeline_tests.onboarding.uploads import OPEN, zip_of

REALDATA = os.environ.get("FACTORY_REALDATA")
IMAGES = ("_S1Hand.tif", "_S2Hand.tif")
LABEL = "_LabelHand.tif"
CATEGORIES = [LabelCategory(id=0, name="Land", color="tan"), LabelCategory(id=1, name="Water", color="blue")]


@pytest.mark.skipif(REALDATA is None, reason="FACTORY_REALDATA names no folder of real data")
def test_sen1floods11(tmp_path: Path) -> None:
    folder = Path(str(REALDATA)) / "image_label_pairs" / "sen1floods11"
    files = {path.name: path.read_bytes() for path in folder.glob("*.tif")}
    zip_of(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", IMAGES, LABEL, OPEN)
    assert report.passed
    assert (report.images, report.labels) == (2, 1)
    assert report.bytes_read < report.archive_bytes / 10
    for row in report.files.iter_rows(named=True):
        with rasterio.open(folder / row["name"]) as image:
            assert (row["width"], row["height"], row["bands"]) == (image.width, image.height, image.count)
            assert row["transform"] == list(image.transform)[:6]
            assert row["band_names"] == list(image.descriptions)
            assert (row["epsg"], row["dtype"]) == (image.crs.to_epsg(), image.dtypes[0])

    extract(tmp_path / "a.zip", tmp_path / "out", IntakePolicy())
    contents = scan_contents(tmp_path / "out", report.files, 10**9)
    (failed,) = [check for check in pixel_checks(contents, CATEGORIES) if not check.passed]
    assert failed.message.startswith("Files that hold values that no label category names: -1:")
    assert all(check.passed for check in pixel_checks(contents, CATEGORIES, label_nodata=-1))
