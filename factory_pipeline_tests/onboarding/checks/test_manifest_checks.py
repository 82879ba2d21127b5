"""Whether the files of an upload are what its manifest says."""

from pathlib import Path

import pytest
from PIL import Image

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.manifest_checks import (
    bands_in_order,
    manifest_notes,
    nodata_is_no_category,
)
from factory_pipeline.onboarding.rewrite_images import (
    declare_nodata,
)
from factory_pipeline_tests.onboarding.test_file_changes import PIXELS, manifest, mixed_up, scanned
from factory_pipeline_tests.onboarding.uploads import mask, pairs


def test_the_manifest_decides_the_order_where_it_has_the_names_of_the_files(tmp_path: Path) -> None:
    report = scanned(tmp_path, mixed_up())
    given = manifest(data_sources=[{"bands": ["b4", "B3", "B2"]}])
    check = bands_in_order(report, given)
    assert check.passed
    assert "The bands of 6 files" in check.message
    assert any("6 files" in note for note in manifest_notes(report, given))


def test_orders_that_the_manifest_names_otherwise_are_refused_with_the_files(tmp_path: Path) -> None:
    report = scanned(tmp_path, mixed_up())
    check = bands_in_order(report, manifest(data_sources=[{"bands": ["Blue", "Green", "Red"]}]))
    assert not check.passed
    assert check.files == tuple(f"{number}_merged.tif" for number in range(6, 10))


def test_no_data_cannot_be_declared_in_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    with pytest.raises(OnboardingError, match=r"nodata needs files that are GeoTIFF; a\.png is PNG"):
        declare_nodata(path, 0, "nodata")


def test_a_category_that_is_no_data_is_said(tmp_path: Path) -> None:
    report = scanned(tmp_path, {**pairs(3), "labels/tile_1_mask.tif": mask(0, 1, nodata=0)})
    check = nodata_is_no_category(report.files, manifest())
    assert check.files == ("labels/tile_1_mask.tif",)
    assert "0 ('Land')" in check.message
    assert check.message in manifest_notes(report, manifest())
    assert "label_nodata" in nodata_is_no_category(report.files, manifest(label_nodata=1)).message
    assert nodata_is_no_category(scanned(tmp_path, pairs(3)).files, manifest()).passed
