"""Images and rasters as files, read back by rasterio and pillow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS

from factory_pipeline.datasets.exports.media import check_image, check_raster, write_image, write_raster
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.errors import ExportError

PLACED: dict[str, Any] = {"crs": "EPSG:32633", "transform": (10.0, 0.0, 399_960.0, 0.0, -10.0, 5_000_040.5)}


def sample_of(
    values: Any, bands: tuple[str, ...], rgb: Any = None, nodata: Any = None, **facts: Any
) -> Sample:
    return Sample("a.b é", "train", {"image": SampleRaster(values, bands, nodata, rgb)}, **facts)


def noise(dtype: str, bands: int, height: int = 20, width: int = 30) -> Any:
    return np.random.default_rng(bands).integers(0, 200, (bands, height, width)).astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("bands", [1, 3, 4, 12])
def test_a_raster_without_a_file_becomes_a_geotiff_with_all_that_is_known(
    tmp_path: Path, dtype: str, bands: int
) -> None:
    names = tuple(f"B{number:02d}" for number in range(bands))
    sample = sample_of(noise(dtype, bands), names, nodata=7.0, **PLACED)
    name = write_image(sample, "image", tmp_path)
    assert name == "a.b é.tif"
    with rasterio.open(tmp_path / name) as stored:
        np.testing.assert_array_equal(stored.read(), sample.images["image"].values)
        assert stored.dtypes == (dtype,) * bands
        assert stored.descriptions == names
        assert stored.nodata == 7
        assert stored.crs == CRS.from_epsg(32633)
        assert stored.transform == Affine(*PLACED["transform"])
        assert rasterio.enums.ColorInterp.alpha not in stored.colorinterp
    check_image(tmp_path / name, sample, "image")


def test_a_photograph_without_a_file_becomes_a_png(tmp_path: Path) -> None:
    sample = sample_of(noise("uint8", 3), ("red", "green", "blue"), rgb=(0, 1, 2))
    assert write_image(sample, "image", tmp_path) == "a.b é.png"
    with Image.open(tmp_path / "a.b é.png") as stored:
        np.testing.assert_array_equal(np.asarray(stored).transpose(2, 0, 1), sample.images["image"].values)


@pytest.mark.parametrize(
    ("bands", "facts"),
    [
        (("blue", "green", "red"), {"rgb": (2, 1, 0)}),
        (("a", "b", "c", "d"), {}),
        (("a",), {"nodata": 0}),
        (("a",), PLACED),
    ],
    ids=["another order of colours", "four bands", "nodata", "georeferenced"],
)
def test_what_a_png_can_not_say_becomes_a_geotiff(
    tmp_path: Path, bands: tuple[str, ...], facts: dict[str, Any]
) -> None:
    assert write_image(sample_of(noise("uint8", len(bands)), bands, **facts), "image", tmp_path).endswith(
        ".tif"
    )


def test_an_original_keeps_its_bytes_and_its_suffix(tmp_path: Path) -> None:
    original = tmp_path / "scene.TIFF"
    with rasterio.open(original, "w", "GTiff", 30, 20, 1, dtype="uint8", compress="lzw") as out:
        out.write(noise("uint8", 1))
    sample = sample_of(noise("uint8", 1), ("a",), files={"image": original})
    assert write_image(sample, "image", tmp_path / "out") == "a.b é.TIFF"
    assert (tmp_path / "out" / "a.b é.TIFF").read_bytes() == original.read_bytes()


def test_georeferencing_that_lay_beside_an_original_lies_beside_the_copy(tmp_path: Path) -> None:
    original = tmp_path / "photo.png"
    with rasterio.open(original, "w", "PNG", 30, 20, 3, dtype="uint8") as out:
        out.write(noise("uint8", 3))
    sample = sample_of(noise("uint8", 3), ("r", "g", "b"), files={"image": original}, **PLACED)
    name = write_image(sample, "image", tmp_path / "out")
    check_image(tmp_path / "out" / name, sample, "image")
    with rasterio.open(tmp_path / "out" / name) as stored:
        assert stored.crs == CRS.from_epsg(32633)
        assert stored.transform == Affine(*PLACED["transform"])
    assert (tmp_path / "out" / name).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    "crs", ["EPSG:4326", "OGC:CRS84", "EPSG:3035", "ESRI:102001", "+proj=laea +lat_0=48.12 +lon_0=11.7"]
)
@pytest.mark.parametrize("transform", [(0.1, 0, 3.3, 0, -1 / 3, 5.7), (0.1, 0.02, 3.3, -0.02, -0.1, 5.7)])
def test_any_crs_and_also_a_rotated_grid_are_read_back(tmp_path: Path, crs: str, transform: Any) -> None:
    sample = sample_of(noise("uint16", 2), ("a", "b"), crs=crs, transform=transform)
    check_image(tmp_path / write_image(sample, "image", tmp_path), sample, "image")


def test_large_rasters_are_tiled_and_small_ones_are_not(tmp_path: Path) -> None:
    for side, tiled in ((1024, False), (1025, True)):
        raster = SampleRaster(np.zeros((1, 4, side), np.uint8), ("a",))
        write_raster(tmp_path / f"{side}.tif", raster, sample_of(raster.values, ("a",), **PLACED))
        with rasterio.open(tmp_path / f"{side}.tif") as stored:
            assert stored.profile["tiled"] is tiled


def test_the_same_raster_gives_the_same_bytes(tmp_path: Path) -> None:
    sample = sample_of(noise("float32", 3), ("a", "b", "c"), nodata=np.nan, **PLACED)
    for name in ("one.tif", "two.tif"):
        write_raster(tmp_path / name, sample.images["image"], sample)
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "two.tif").read_bytes()


def test_nodata_that_the_values_can_not_have_is_left_out(tmp_path: Path) -> None:
    sample = sample_of(noise("uint16", 1), ("a",), nodata=-9999, **PLACED)
    with rasterio.open(tmp_path / write_image(sample, "image", tmp_path)) as stored:
        assert stored.nodata is None


def test_a_file_that_is_not_what_was_written_is_told(tmp_path: Path) -> None:
    sample = sample_of(noise("uint16", 1), ("a",), **PLACED)
    path = tmp_path / write_image(sample, "image", tmp_path)
    raster = sample.images["image"]
    other = replace(raster, values=raster.values + 1)
    with pytest.raises(ExportError, match=r"differs from the values of a.b é"):
        check_raster(path, other, sample)
    with pytest.raises(ExportError, match=r"is uint16 \(1, 20, 30\) .* but a.b é is float32"):
        check_raster(path, replace(raster, values=raster.values.astype("float32")), sample)
    with pytest.raises(ExportError, match="differs from the CRS or transform"):
        check_raster(path, raster, replace(sample, crs="EPSG:32634"))
    with pytest.raises(ExportError, match="differs from the CRS or transform"):
        check_raster(path, raster, replace(sample, transform=(10, 0, 0, 0, -10, 0)))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ExportError, match=r"can't be read back\.$"):
        check_raster(path, raster, sample)


def test_not_a_number_is_equal_to_itself(tmp_path: Path) -> None:
    values = noise("float32", 1)
    values[0, 3] = np.nan
    sample = sample_of(values, ("a",), **PLACED)
    check_image(tmp_path / write_image(sample, "image", tmp_path), sample, "image")


def test_two_images_of_one_name_are_told(tmp_path: Path) -> None:
    sample = sample_of(noise("uint8", 1), ("a",))
    write_image(sample, "image", tmp_path)
    with pytest.raises(ExportError, match=r"would both be written as a.b é.png"):
        write_image(sample, "image", tmp_path)


def test_a_missing_modality_and_a_type_without_a_place_are_told(tmp_path: Path) -> None:
    # No version of GDAL has this type; float16 it has from 3.11 on.
    sample = sample_of(noise("float64", 1).astype(np.longdouble), ("a",))
    with pytest.raises(ExportError, match=r"a.b é has no radar image, only image"):
        write_image(sample, "radar", tmp_path)
    with pytest.raises(ExportError, match=rf"a.b é has {np.dtype(np.longdouble)} values"):
        write_image(sample, "image", tmp_path)
