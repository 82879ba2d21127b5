from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.check import Check, require
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.pairing import header_checks
from factory_pipeline.onboarding.checks.pixel_checks import labels_filled, pixel_checks
from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline_tests.onboarding.uploads import bare_header, geotiff, mask, pairs, zip_of

SUFFIXES = Suffixes(("_merged.tif",), "_mask.tif")
CATEGORIES = [LabelCategory(id=number, name=str(number), color="red") for number in (0, 1)]
ODD = "images/tile_1_merged.tif"
ODD_MASK = "labels/tile_1_mask.tif"


def contents(folder: Path, changed: dict[str, bytes]) -> pl.DataFrame:
    """Three good pairs with some files changed, unpacked and read."""
    files = {**pairs(3), **changed}
    extract(zip_of(folder / "a.zip", files), folder / "out", IntakePolicy())
    return frame_of(scan_contents(folder / "out", SUFFIXES, IntakePolicy()), CONTENT_SCHEMA)


def failures(frame: pl.DataFrame) -> dict[str, Check]:
    files = frame.lazy()
    checks = (*header_checks(files, SUFFIXES, IntakePolicy()), *pixel_checks(files, CATEGORIES))
    return {check.name: check for check in checks if not check.passed}


def test_good_pairs_pass_every_check(tmp_path: Path) -> None:
    frame = contents(tmp_path, {})
    assert failures(frame) == {}
    assert frame.filter(pl.col("role") == "label")["values"].to_list() == [[0.0, 1.0]] * 3


def random_pixels(bands: int, size: int, dtype: str) -> bytes:
    values = np.random.default_rng(9).integers(1, 200, (bands, size, size)).astype(dtype)
    return geotiff(values)


def without_data() -> bytes:
    values = np.random.default_rng(9).normal(size=(2, 8, 8)).astype(np.float32)
    values[1] = np.nan
    return geotiff(values)


def broken_in_the_middle() -> bytes:
    values = np.random.default_rng(9).integers(0, 60_000, (2, 256, 256)).astype(np.uint16)
    stored = bytearray(geotiff(values, compress="deflate"))
    stored[len(stored) // 2 : len(stored) // 2 + 2000] = bytes(2000)
    return bytes(stored)


@pytest.mark.parametrize(
    ("check", "changed", "files"),
    [
        ("sizes_equal", {ODD: lambda: random_pixels(2, 9, "uint16")}, {ODD, ODD_MASK}),
        ("bands_equal", {ODD: lambda: random_pixels(3, 8, "uint16")}, {ODD}),
        ("bands_equal", {ODD_MASK: lambda: random_pixels(2, 8, "uint8")}, {ODD_MASK}),
        ("dtypes_equal", {ODD: lambda: random_pixels(2, 8, "int16")}, {ODD}),
        ("crs_equal", {ODD_MASK: lambda: mask(crs="EPSG:32633")}, {ODD, ODD_MASK}),
        ("crs_equal", {ODD_MASK: lambda: mask(crs=None)}, {ODD_MASK}),
        ("places_equal", {ODD_MASK: lambda: mask(left=500_000.2)}, {ODD, ODD_MASK}),
        ("pairs_complete", {"images/tile_7_merged.tif": geotiff}, {"images/tile_7_merged.tif"}),
        ("stems_unique", {"more/tile_1_merged.tif": geotiff}, {ODD, "more/tile_1_merged.tif"}),
        ("headers_readable", {ODD: lambda: b"II*\0 nothing"}, {ODD}),
        ("sizes_sane", {ODD: lambda: bare_header(200_000, 100_000)}, {ODD}),
        ("pixels_readable", {ODD: broken_in_the_middle}, {ODD}),
        ("bands_filled", {ODD: without_data}, {ODD}),
        (
            "bands_filled",
            {ODD: lambda: geotiff(np.zeros((2, 8, 8), np.uint16), nodata=0)},
            {ODD},
        ),
        ("mask_values_known", {ODD_MASK: lambda: mask(0, 1, 7)}, {ODD_MASK}),
        (
            "images_different",
            {ODD: lambda: pairs(1)["images/tile_0_merged.tif"]},
            {ODD, "images/tile_0_merged.tif"},
        ),
    ],
)
def test_a_check_names_the_offending_files(
    tmp_path: Path, check: str, changed: dict[str, Callable[[], bytes]], files: set[str]
) -> None:
    found = failures(contents(tmp_path, {name: make() for name, make in changed.items()}))
    assert set(found[check].files) == files
    assert (
        ODD.rpartition("/")[2] in found[check].message
        or "tile_7" in found[check].message
        or files == {ODD_MASK}
    )
    assert found[check].message.endswith(".")


def test_a_shift_of_less_than_a_hundredth_of_a_pixel_is_none(tmp_path: Path) -> None:
    assert failures(contents(tmp_path, {ODD_MASK: mask(left=500_000.05)})) == {}


def test_an_absurd_image_is_not_read(tmp_path: Path) -> None:
    frame = contents(tmp_path, {ODD: bare_header(200_000, 100_000)})
    row = frame.row(by_predicate=pl.col("name") == ODD, named=True)
    assert row["sha256"] is None
    assert "pixels_readable" not in failures(frame)


def test_the_no_data_value_of_a_mask_is_no_class(tmp_path: Path) -> None:
    assert failures(contents(tmp_path, {ODD_MASK: mask(0, 1, 255, nodata=255)})) == {}


@pytest.mark.parametrize(("label_nodata", "declared"), [(None, 255), (255, None)])
def test_some_labels_must_hold_data_but_not_all(
    tmp_path: Path, label_nodata: float | None, declared: int | None
) -> None:
    frame = contents(tmp_path, {ODD_MASK: mask(255, nodata=declared)})
    assert labels_filled(frame.lazy(), label_nodata).passed
    blank = frame.filter((pl.col("role") == "image") | (pl.col("name") == ODD_MASK))
    assert labels_filled(blank.lazy(), label_nodata).files == (ODD_MASK,)


def test_unknown_values_are_named(tmp_path: Path) -> None:
    found = failures(contents(tmp_path, {ODD_MASK: mask(0, 7, 9)}))
    assert "without a label category: 7, 9" in found["mask_values_known"].message


@pytest.mark.integration
@pytest.mark.parametrize(
    ("added", "code"),
    [("images/tile_7_merged.tif", "UNPAIRED"), ("labels/tile_7_mask.tif", "UNPAIRED"), (ODD, "CHECK_FAILED")],
)
def test_a_failed_check_can_stop_the_onboarding(tmp_path: Path, added: str, code: str) -> None:
    frame = contents(tmp_path, {added: random_pixels(3, 8, "uint16")})
    with pytest.raises(OnboardingError) as error:
        require(header_checks(frame.lazy(), SUFFIXES, IntakePolicy()))
    assert error.value.code == code
    require(header_checks(contents(tmp_path, {}).lazy(), SUFFIXES, IntakePolicy()))


def test_an_empty_upload_fails(tmp_path: Path) -> None:
    frame = contents(tmp_path, {}).clear()
    assert {"files_found", "pairs_complete"} <= set(failures(frame))
