"""Every image and label of an upload is read once: its values, mean, empty bands and thumbnail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import (
    CONTENT_SCHEMA,
    MOST_VALUES,
    names_in,
    scan_contents,
)
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.splits.near_identical import SIDE
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline_tests.onboarding.uploads import geotiff

SUFFIXES = Suffixes(("_merged.tif",), "_mask.tif")


def scanned(folder: Path, files: dict[str, bytes], **options: Any) -> dict[str, dict[str, Any]]:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    policy = options.pop("policy", IntakePolicy())
    frame = frame_of(scan_contents(folder, SUFFIXES, policy, **options), CONTENT_SCHEMA)
    return {row["name"]: row for row in frame.iter_rows(named=True)}


def test_names_come_folder_by_folder_in_their_order(tmp_path: Path) -> None:
    for name in ("b/2.tif", "a.tif", "b/1.tif", "a/z.tif", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(names_in(tmp_path)) == ["a.tif", "c.txt", "a/z.tif", "b/1.tif", "b/2.tif"]


def test_a_label_has_its_values_and_mean_and_an_image_a_thumbnail(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(1, 900, (2, 40, 30)).astype(np.uint16)
    image[1] = 0
    mask = np.random.default_rng(1).choice(np.array([0, 3, 255], np.uint8), (1, 40, 30))
    found = scanned(
        tmp_path,
        {"a_merged.tif": geotiff(image, nodata=0), "a_mask.tif": geotiff(mask, nodata=255), "notes.txt": b""},
    )
    assert sorted(found) == ["a_mask.tif", "a_merged.tif"]
    label, picture = found["a_mask.tif"], found["a_merged.tif"]
    assert label["values"] == [0.0, 3.0]
    assert label["mean"] == pytest.approx(mask[mask != 255].mean())
    assert label["thumbnail"] is None
    assert picture["values"] is None
    assert picture["empty_bands"] == [1]
    assert len(picture["thumbnail"]) == SIDE * SIDE
    assert picture["sha256"] == sha256_of(tmp_path / "a_merged.tif")
    assert picture["extremes"][1] is None


def test_a_value_that_the_manifest_calls_no_data_is_none_of_the_values(tmp_path: Path) -> None:
    mask = np.array([[[0, 1], [2, 2]]], np.uint8)
    files = {"a_mask.tif": geotiff(mask)}
    assert scanned(tmp_path, files)["a_mask.tif"]["values"] == [0.0, 1.0, 2.0]
    found = scanned(tmp_path, files, nodata={"_mask.tif": 2.0})["a_mask.tif"]
    assert (found["values"], found["mean"]) == ([0.0, 1.0], 0.5)


def test_of_very_many_values_the_lowest_are_kept(tmp_path: Path) -> None:
    values = np.arange(MOST_VALUES * 4, dtype=np.uint16).reshape(1, 40, -1)
    found = scanned(tmp_path, {"a_mask.tif": geotiff(values)})["a_mask.tif"]
    assert found["values"] == [float(value) for value in range(MOST_VALUES)]


def test_what_declares_too_much_is_not_decoded_and_what_is_broken_is_told(tmp_path: Path) -> None:
    image = geotiff(np.ones((2, 64, 64), np.uint16), compress="deflate")
    small = scanned(tmp_path, {"a_merged.tif": image}, policy=IntakePolicy(max_pixels=100))["a_merged.tif"]
    assert (small["width"], small["sha256"], small["mean"], small["read_error"]) == (64, None, None, None)
    broken = image[: len(image) - 60] + bytes(60)
    found = scanned(tmp_path, {"a_merged.tif": broken, "b_merged.tif": b"no image"})
    assert found["b_merged.tif"]["error"]
    assert found["a_merged.tif"]["read_error"] or found["a_merged.tif"]["error"]
