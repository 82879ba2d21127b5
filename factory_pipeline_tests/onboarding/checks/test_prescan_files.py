"""The pre-scan on disk is read as it was saved, and the manifest is compared with it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.imagery.headers import FILE_SCHEMA
from factory_pipeline.onboarding.checks.check import Check
from factory_pipeline.onboarding.checks.prescan import PrescanReport
from factory_pipeline.onboarding.checks.prescan_files import (
    bands_described,
    load_report,
    nodata_declarable,
    save_report,
)
from factory_pipeline.storage.upload_files import DatasetFiles, UploadFiles
from factory_pipeline_tests.onboarding.test_file_changes import manifest


def row(name: str, role: str, **header: Any) -> dict[str, Any]:
    suffix = "_merged.tif" if role == "image" else "_mask.tif"
    return dict.fromkeys(FILE_SCHEMA) | {"name": name, "role": role, "suffix": suffix, "stem": name} | header


def report(*rows: dict[str, Any]) -> PrescanReport:
    checks = (Check("stems_unique", False, "Two.", ("a", "b")), Check("pairs_complete", True, "All."))
    files = pl.DataFrame(rows, schema=FILE_SCHEMA).lazy()
    return PrescanReport(files, ("notes.txt",), checks, ("A note.",), 1000, 10)


IMAGES = [row(name, "image", bands=3, format="GTiff") for name in "ab"]


def test_a_report_is_read_as_it_was_saved(tmp_path: Path) -> None:
    files = UploadFiles(tmp_path, DatasetFiles(tmp_path / "dataset"))
    made = report(*IMAGES)
    made.files.sink_parquet(files.headers)
    save_report(made, files)
    found = load_report(files)
    assert (found.others, found.checks, found.notes) == (made.others, made.checks, made.notes)
    assert (found.archive_bytes, found.bytes_read) == (1000, 10)
    assert found.files.collect().equals(made.files.collect())
    assert found.images == 2
    assert not found.passed


def bands(*indices: int) -> dict[str, Any]:
    named = [{"index": index, "band_name": f"band {index}"} for index in indices]
    return {"data_sources": [{"bands": named}]}


@pytest.mark.parametrize(
    ("indices", "told"),
    [
        ((0, 1, 2), None),
        ((), None),
        ((0, 1), "has 3 bands in the files, of which the manifest describes 0, 1"),
        ((0, 1, 2, 3), "of which the manifest describes 0, 1, 2, 3"),
        ((1, 2, 3), "of which the manifest describes 1, 2, 3 (the first band is 0)"),
    ],
)
def test_every_band_is_described_once(indices: tuple[int, ...], told: str | None) -> None:
    check = bands_described(report(*IMAGES), manifest(**bands(*indices)))
    assert check.passed is (told is None)
    assert (told or "") in check.message


@pytest.mark.parametrize(
    ("label", "given", "passed"),
    [
        ({"format": "JPEG"}, 255, False),
        ({"format": "JPEG", "nodata": 255.0}, 255, True),
        ({"format": "PNG"}, 255, True),
        ({"format": "JPEG"}, None, True),
    ],
)
def test_labels_must_be_able_to_declare_the_value_without_data(
    label: dict[str, Any], given: int | None, passed: bool
) -> None:
    check = nodata_declarable(report(*IMAGES, row("c", "label", **label)), manifest(label_nodata=given))
    assert check.passed is passed
    if not passed:
        assert "which a JPEG can't declare, such as c (1 file)" in check.message
        assert check.files == ("c",)
