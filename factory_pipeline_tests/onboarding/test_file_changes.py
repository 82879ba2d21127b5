"""What is changed in the files of a dataset: orientation, order of bands, no data, place."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import rasterio
from PIL import Image, ImageOps

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.headers import read_header
from factory_pipeline.imagery.orientation import turn_upright
from factory_pipeline.onboarding.checks.band_order import bands_named_alike, order_of
from factory_pipeline.onboarding.checks.outlier_values import (
    EXTREMES,
    extremes_of,
    merge_extremes,
    no_value_stands_out,
)
from factory_pipeline.onboarding.checks.pairing import crs_equal
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prescan
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.rewrite_images import (
    copy_georeference,
    declare_nodata,
    make_upright,
    reorder_bands,
)
from factory_pipeline_tests.onboarding.factory import MANIFEST, Bench
from factory_pipeline_tests.onboarding.uploads import geotiff, local, mask, pairs, zip_of

SUFFIXES = (("_merged.tif",), "_mask.tif")
PIXELS = np.random.default_rng(3).integers(0, 255, (6, 10, 3)).astype(np.uint8)


def manifest(**changes: Any) -> UploadManifest:
    document = {**MANIFEST, "dataset_url": "a.zip", "dataset_name": "a", **changes}
    return UploadManifest.parse(document, where="a.yaml")


def scanned(folder: Path, files: dict[str, bytes]) -> PrescanReport:
    return prescan(str(zip_of(folder / "a.zip", files)), *SUFFIXES, local(folder))


def turned(kind: str, orientation: int, pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    """A picture whose orientation is stated."""
    stored = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    stated: dict[str, Any] = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    Image.fromarray(pixels).save(stored, kind, **stated, **options)
    return stored.getvalue()


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as image:
        return image.read()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_viewers_turn_it(tmp_path: Path, kind: str, orientation: int) -> None:
    content = turned(kind, orientation)
    with Image.open(io.BytesIO(turned("PNG", orientation))) as shown:
        expected = np.asarray(ImageOps.exif_transpose(shown)).transpose(2, 0, 1)
    header = read_header(io.BytesIO(content))
    assert (header.width, header.height) == (expected.shape[2], expected.shape[1])
    assert header.orientation == (None if orientation == 1 else orientation)
    assert np.array_equal(turn_upright(PIXELS.transpose(2, 0, 1), orientation), expected)
    path = tmp_path / "a.img"
    path.write_bytes(content)
    raw = read(path)
    make_upright(path)
    if kind == "JPEG":
        # The loss of the first compression is there already; the second one adds next to nothing.
        again = np.abs(read(path).astype(int) - turn_upright(raw, orientation)).max()
        assert again <= 3
    else:
        assert np.array_equal(read(path), expected)
    with path.open("rb") as file:
        upright = read_header(file)
    assert (upright.orientation, upright.width, upright.height) == (None, header.width, header.height)
    written = path.read_bytes()
    make_upright(path)
    assert path.read_bytes() == written


def test_a_deep_png_and_a_big_tiff_are_turned_without_loss(tmp_path: Path) -> None:
    deep = np.random.default_rng(3).integers(0, 60_000, (6, 10)).astype(np.uint16)
    for kind, options in (("PNG", {}), ("TIFF", {"big_tiff": True})):
        path = tmp_path / kind
        path.write_bytes(turned(kind, 6, deep, **options))
        make_upright(path)
        assert np.array_equal(read(path)[0], np.rot90(deep, -1))


def test_a_georeferenced_tiff_lies_as_it_is_stored() -> None:
    assert read_header(io.BytesIO(geotiff())).orientation is None


def test_photographs_and_masks_as_viewers_show_them_fit(bench: Bench) -> None:
    rng = np.random.default_rng(1)
    files = {}
    for number in range(5):
        upright = np.zeros((24, 16, 3), np.uint8)
        upright[:12] = 200
        upright[:, :, 1] = rng.integers(0, 40)
        stored = np.rot90(upright, 1)
        files[f"{number}_photo.jpg"] = turned("JPEG", 6, np.ascontiguousarray(stored), quality=95)
        drawn = io.BytesIO()
        Image.fromarray((upright[..., 0] > 100).astype(np.uint8)).save(drawn, "PNG")
        files[f"{number}_mask.png"] = drawn.getvalue()
    key = bench.prepare("photos", files, training_data_suffixes=["_photo.jpg"], label_suffix="_mask.png")
    root = bench.home.upload(key).finished.root
    for row in pl.read_parquet(root / "items.parquet").iter_rows(named=True):
        image, label = read(root / row["image_path_image"]), read(root / row["label_path"])
        assert image.shape[1:] == label.shape[1:] == (24, 16) == tuple(row["proj:shape"])
        assert np.array_equal(image[0] > 100, label[0] == 1)
    notes = bench.home.upload(key).prescan.read_text()
    assert "must be turned: 5" in notes


@pytest.mark.parametrize(
    ("found", "order"),
    [
        (["B4", "B3", "B2"], (2, 1, 0)),
        (["b2", " B3", "B4"], None),
        (["B3", "B4", "b2 "], (2, 0, 1)),
        (["B2", "B3", "B8"], None),
        (["B2", "B2", "B4"], None),
        ([None, None, None], None),
        (None, None),
    ],
)
def test_the_order_of_bands_follows_their_names(found: list[str | None], order: tuple[int, ...]) -> None:
    assert order_of(found, ["B2", "B3", "B4"]) == order


def bands(*names: str, seed: int = 0, **options: Any) -> bytes:
    """An image whose pixels tell the band: B2 is 200, B3 is 300 and so on, and a little more."""
    rng = np.random.default_rng(seed)
    values = [int(name[1:]) * 100 + rng.integers(0, 50, (16, 16)) for name in names]
    return geotiff(np.array(values, np.uint16), names, **options)


def mixed_up(first: int = 6, second: int = 4, **changed: bytes) -> dict[str, bytes]:
    files = {}
    for number in range(first + second):
        names = ("B2", "B3", "B4") if number < first else ("B4", "B3", "B2")
        files[f"{number}_merged.tif"] = bands(*names, seed=number)
        files[f"{number}_mask.tif"] = geotiff(np.resize(np.array([0, 1], np.uint8), (1, 16, 16)))
    return files | changed


def test_files_with_other_orders_of_named_bands_are_put_into_one(bench: Bench) -> None:
    key = bench.prepare("mixed", mixed_up())
    root = bench.home.upload(key).finished.root
    for path in pl.read_parquet(root / "items.parquet")["image_path_image"]:
        with rasterio.open(root / path) as image:
            assert image.descriptions == ("B2", "B3", "B4")
            assert (image.read().mean(axis=(1, 2)) // 100).tolist() == [2, 3, 4]
            assert image.crs.to_epsg() == 32632
    assert "The bands of 4 files are brought into the order" in bench.home.upload(key).prescan.read_text()


@pytest.mark.integration
def test_files_with_another_band_than_most_are_named(tmp_path: Path) -> None:
    files = scanned(tmp_path, mixed_up(**{"3_merged.tif": bands("B2", "B3", "B8")})).files
    assert bands_named_alike(files).files == ("3_merged.tif",)
    own = {f"{number}_merged.tif": bands(f"B{number}0", f"B{number}1", f"B{number}2") for number in range(10)}
    assert bands_named_alike(scanned(tmp_path, mixed_up(**own)).files).passed


def test_a_reordered_file_keeps_what_it_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(bands("B4", "B2", nodata=7, tiled=True, blockxsize=16, blockysize=16))
    with rasterio.open(path, "r+") as image:
        image.scales = (0.5, 0.25)
        image.update_tags(sensor="camera")
        image.update_tags(1, kind="red")
        image.write_mask(np.eye(16, dtype=bool))
    before = read(path)
    reorder_bands(path, ["B2", "B4"])
    with rasterio.open(path) as image:
        assert np.array_equal(image.read(), before[::-1])
        assert (image.descriptions, image.scales, image.nodata) == (("B2", "B4"), (0.25, 0.5), 7)
        assert (image.tags()["sensor"], image.tags(2)["kind"]) == ("camera", "red")


def test_a_second_value_of_no_data_becomes_the_declared_one(tmp_path: Path) -> None:
    path = tmp_path / "label.tif"
    values = np.array([[[-9999, -1, 6.5, 7], [1, -1, 3, 4]]], np.float32)
    path.write_bytes(geotiff(values, nodata=-9999))
    declare_nodata(path, -1)
    with rasterio.open(path) as label:
        assert label.nodata == -9999
        assert label.read(1, masked=True).compressed().tolist() == [6.5, 7, 1, 3, 4]
    path.write_bytes(geotiff(values, nodata=np.nan))
    declare_nodata(path, -1)
    assert np.isnan(read(path)).sum() == 2


def test_labels_with_two_values_of_no_data_train_on_neither(bench: Bench) -> None:
    """Sparse tracks of biomass: what was not measured is -1, what lies outside is declared as -9999."""
    files = {}
    for number in range(10):
        values = np.full((1, 8, 8), -1, np.float32)
        values[0, 0] = -9999
        values[0, 4] = np.arange(8) + number
        files[f"{number}_mask.tif"] = geotiff(values, nodata=-9999)
        files[f"{number}_merged.tif"] = pairs(number + 1)[f"images/tile_{number}_merged.tif"]
    key = bench.prepare("tracks", files, purpose="Regression", label_categories=[], label_nodata=-1)
    folder = bench.home.upload(key)
    label = pl.read_json(folder.finished.training_params)["label"].struct.unnest()
    assert label["minimum"][0] >= 0
    assert label["pixels"][0] == 6 * 8
    assert "both are no data" in folder.prescan.read_text()
    for path in pl.read_parquet(folder.finished.items)["label_path"]:
        with rasterio.open(folder.finished.root / path) as stored:
            assert (stored.read(1, masked=True).count(), stored.nodata) == (8, -9999)


def test_no_data_of_a_data_source_is_declared_and_an_undeclared_one_is_noted(bench: Bench) -> None:
    files = {}
    for number in range(10):
        values = np.random.default_rng(number).integers(100, 3000, (2, 8, 8)).astype(np.int16)
        values[:, :4, :4] = -9999
        files[f"{number}_merged.tif"] = geotiff(values)
        files[f"{number}_mask.tif"] = mask(0, 1)
    noted = bench.take_in(bench.drop("noted", files))
    checks = {check.check_name: check for check in bench.run(noted).get_asset_check_evaluations()}
    said = checks["no_value_stands_out"]
    assert not said.passed
    assert "The value -9999 is far from all others" in said.description
    assert "(bands 0, 1; the first is 0)" in said.description
    assert "set it as nodata of their data source" in said.description
    onboarding = Onboarding(noted, bench.home, IntakePolicy.of_home(bench.home))
    assert any("The value -9999 is far from all others" in remark for remark in onboarding.remarks())
    given = bench.prepare("given", files, data_sources=[{"nodata": -9999}])
    means = {}
    for key in (noted, given):
        bands_found = pl.read_json(bench.home.upload(key).finished.training_params)["bands"].explode()
        means[key] = bands_found.struct.field("mean")[0]
    assert means[noted] < 0 < means[given]
    for path in pl.read_parquet(bench.home.upload(given).finished.items)["image_path_image"]:
        with rasterio.open(bench.home.upload(given).finished.root / path) as image:
            assert image.nodata == -9999


def test_a_label_without_crs_is_said_to_have_none_and_may_take_the_images(tmp_path: Path) -> None:
    files = scanned(tmp_path, {**pairs(2), "labels/tile_1_mask.tif": mask(crs=None)}).files
    check = crs_equal(files)
    assert check.files == ("labels/tile_1_mask.tif",)
    assert "have no CRS" in check.message
    assert "label_crs: image" in check.message
    assert crs_equal(files, labels_take_crs=True).passed
    other = scanned(tmp_path, {**pairs(2), "labels/tile_1_mask.tif": mask(crs="EPSG:32633")}).files
    assert "differ in CRS" in crs_equal(other, labels_take_crs=True).message


def test_a_label_takes_crs_and_place_of_its_image(tmp_path: Path) -> None:
    path = tmp_path / "label.tif"
    path.write_bytes(mask(0, 1, crs=None))
    before = read(path)
    copy_georeference(path, "EPSG:32632", [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0])
    with rasterio.open(path) as label:
        assert (label.crs.to_epsg(), label.transform.c, label.transform.f) == (32632, 500_000, 5_000_000)
        assert np.array_equal(label.read(), before)


def test_labels_without_crs_are_onboarded_with_the_key(bench: Bench) -> None:
    files = {**pairs(10), "labels/tile_1_mask.tif": mask(0, 1, crs=None)}
    key = bench.prepare("placeless", files, label_crs="image")
    folder = bench.home.upload(key).finished
    for path in pl.read_parquet(folder.items)["label_path"]:
        with rasterio.open(folder.root / path) as label:
            assert label.crs.to_epsg() == 32632


def standing_out(label: bool, *values: float, dtype: str = "int16") -> str:
    """What is said of a band, or of labels, of these values."""
    row = {
        "role": "label" if label else "image",
        "suffix": "_a.tif",
        "extremes": [asdict(found) if (found := extremes_of(np.array(values, dtype))) else None],
    }
    schema = {"role": pl.String, "suffix": pl.String, "extremes": pl.List(EXTREMES)}
    check = no_value_stands_out(pl.LazyFrame([row], schema=schema), labels_are_classes=False)
    return "" if check.passed else check.message


@pytest.mark.parametrize(
    ("values", "dtype", "value"),
    [
        ((-9999, -9999, 0, 3000), "int16", "-9999"),
        ((-9999, -9999, -40, 35), "int16", "-9999"),
        ((-32768, -32768, -4000, 2000, 9000), "int16", "-32768"),
        ((-1, -1, 0.5, 300), "float32", "-1"),
        ((-3.4028234663852886e38, -3.4028234663852886e38, 2, 5), "float32", "-3.40282e+38"),
        ((65535, 65535, 100, 9000), "uint16", "65535"),
        ((1e20, 1e20, 100, 9000), "float32", "1e+20"),
        ((-9999, 0, 3000), "int16", ""),
        ((-30, -30, -29, -25, 40), "int16", ""),
        ((-7.25, -7.25, 0, 5), "float32", ""),
        ((65535, 65535, 65000, 10), "uint16", ""),
        ((0, 0, 255, 255), "uint8", ""),
        ((-9999, -9999), "int16", ""),
    ],
)
def test_a_value_that_stands_out_is_noted(values: tuple[float, ...], dtype: str, value: str) -> None:
    said = standing_out(False, *values, dtype=dtype)
    assert said.startswith(f"The value {value} is far from all others") if value else not said


def test_labels_of_a_regression_name_the_key_that_mends_them() -> None:
    assert "set it as label_nodata" in standing_out(True, -9999, -9999, 4.5, 80, dtype="float32")


@pytest.mark.parametrize("cut", [0, 1, 3, 5, 8])
def test_extremes_of_parts_are_those_of_all(cut: int) -> None:
    values = np.array([-9999, 3, -9999, -2, 9999, 9999, 8, 9999], np.float32)
    whole = extremes_of(values)
    assert merge_extremes(extremes_of(values[:cut]), extremes_of(values[cut:])) == whole
    assert whole is not None
    assert (whole.lowest, whole.lowest_pixels, whole.next_lowest) == (-9999, 2, -2)
    assert (whole.highest, whole.highest_pixels, whole.next_highest) == (9999, 3, 8)
