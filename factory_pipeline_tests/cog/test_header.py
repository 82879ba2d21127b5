"""What the engine reads off a file's header, and its decoded blocks, are what GDAL says."""

import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.header import RasterLayout, UnsupportedRasterError
from factory_pipeline_tests.cog.factories import LEFT, TOP, layout_of, random_values, unpacked, write_raster


def decoded(layout: RasterLayout) -> np.ndarray:
    """The whole band, from its blocks."""
    content = memoryview(Path(layout.href).read_bytes())
    band = np.full(layout.grid.shape, layout.fill, layout.dtype)
    for block, (offset, size) in enumerate(zip(layout.offsets, layout.byte_counts, strict=True)):
        if size:
            row, column = divmod(block, layout.blocks_across)
            pixels = unpacked(layout.decode(content[offset : offset + size], block))[:, :, 0]
            place = band[row * layout.block_height :, column * layout.block_width :]
            place = place[: layout.block_height, : layout.block_width]
            place[:] = pixels[: place.shape[0], : place.shape[1]]
    return band


def assert_as_gdal_says(path: str) -> None:
    layout, _ = layout_of(path)
    with rasterio.open(path) as dataset:
        band = dataset.read(1)
        assert layout.grid == Grid.from_transform(
            dataset.crs.to_epsg(), dataset.transform, dataset.width, dataset.height
        )
        assert (layout.block_height, layout.block_width) == dataset.block_shapes[0]
        assert layout.dtype == band.dtype
        assert layout.nodata == dataset.nodata
    np.testing.assert_array_equal(decoded(layout), band)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint8", {}),
        ("uint8", {"nbits": 1}),
        ("uint8", {"nbits": 5, "compress": "lzw"}),
        ("uint16", {"nbits": 15}),
        ("uint16", {"nbits": 15, "endianness": "BIG"}),
        ("uint16", {"nbits": 12, "bigtiff": "YES", "blockxsize": 16, "blockysize": 48}),
        ("uint32", {"nbits": 24}),
        ("uint32", {"nbits": 31, "endianness": "BIG"}),
        ("uint16", {"predictor": 2, "compress": "zstd"}),
        ("uint16", {"predictor": 2, "endianness": "BIG", "compress": "lzw"}),
        ("int16", {"compress": "none", "endianness": "BIG"}),
        ("int16", {"predictor": 2, "nodata": -1}),
        ("int32", {"compress": "packbits"}),
        ("float32", {"predictor": 3}),
        ("float32", {"predictor": 3, "endianness": "BIG", "compress": "lzw"}),
        ("uint16", {"predictor": 2, "compress": "lerc"}),
        ("float64", {"predictor": 3, "compress": "zstd", "nodata": -9999}),
        ("uint8", {"compress": "jpeg"}),
        ("uint16", {"count": 3, "interleave": "pixel", "predictor": 2}),
        ("uint16", {"count": 3, "interleave": "band", "nbits": 15}),
        ("uint16", {"tiled": False, "blockysize": 13, "predictor": 2}),
        ("float32", {"tiled": False, "blockysize": 7, "count": 2, "interleave": "band"}),
    ],
    ids=str,
)
def test_every_encoding_decodes_as_gdal_does(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    high = 2 ** options.get("nbits", 7)
    values = random_values((70, 90), dtype, high=max(high, 2), nodata=options.get("nodata"))
    if high == 2:
        values = (values + np.arange(90)) % 2
    path = write_raster(tmp_path / "raster.tif", values.astype(dtype), **options)

    assert_as_gdal_says(path)


def test_sparse_blocks_have_no_bytes(tmp_path: Path) -> None:
    values = np.full((96, 96), 7, np.uint16)
    values[32:64, 32:64] = 3
    path = write_raster(tmp_path / "raster.tif", values, nodata=7, sparse_ok=True)

    layout, _ = layout_of(path)

    assert np.count_nonzero(layout.byte_counts) == 1
    assert_as_gdal_says(path)


def test_tie_point_may_name_the_centre_of_a_pixel(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((40, 40)))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")

    assert_as_gdal_says(path)
    assert layout_of(path)[0].grid.left == LEFT
    assert layout_of(path)[0].grid.top == TOP


@pytest.mark.parametrize("nodata", ["nan", 0, 255, 256, -9999, 0.5])
def test_nodata_that_no_pixel_can_have_is_no_nodata(tmp_path: Path, nodata: Any) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((40, 40), "uint8"), nodata=1)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags[42113].overwrite(str(nodata))

    assert layout_of(path)[0].nodata == (nodata if nodata in (0, 255) else None)


def test_long_header_is_fetched_range_by_range(tmp_path: Path) -> None:
    values = np.zeros((2000, 2000), np.uint8)
    values[1990, 1990] = 5
    path = write_raster(
        tmp_path / "raster.tif", values, blockxsize=16, blockysize=16, sparse_ok=True, bigtiff="YES"
    )

    layout, more = layout_of(path)

    assert layout.offsets.size == 125 * 125
    assert 1 <= more <= 5
    assert_as_gdal_says(path)


@pytest.mark.parametrize("options", [{"predictor": 2}, {"dtype": "float32", "predictor": 3}], ids=str)
def test_layouts_take_the_bytes_that_they_say(tmp_path: Path, options: dict[str, Any]) -> None:
    """A cache that counts these bytes is bounded by them: nothing of what was parsed stays beside them."""
    options = {"dtype": "uint16"} | options
    values = random_values((256, 256), options.pop("dtype"))
    path = write_raster(tmp_path / "raster.tif", values, blockxsize=16, blockysize=16, **options)
    layout_of(path)
    tracemalloc.start()
    try:
        layouts = [layout_of(path)[0] for _ in range(40)]
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert layouts[0].offsets.size == 256
    assert 0.8 < taken / sum(layout.nbytes for layout in layouts) < 1.2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compress": "lzma"}, "compression"),
        ({"crs": None}, "EPSG"),
        ({"crs": "+proj=laea +lat_0=12 +lon_0=7"}, "EPSG"),
        ({"transform": Affine(10, 2, LEFT, 2, -10, TOP)}, "north-up"),
        ({"transform": Affine(10, 0, LEFT, 0, 10, TOP)}, "up"),
        ({"dtype": "complex64"}, "data type"),
        ({"dtype": "float32", "compress": "lerc"}, "LERC"),
        ({"dtype": "float64", "compress": "lerc_zstd"}, "LERC"),
        ({"dtype": "uint32", "nbits": 24, "endianness": "BIG"}, "24 bits"),
        ({"count": 3, "compress": "jpeg", "photometric": "ycbcr", "dtype": "uint8"}, "JPEG"),
    ],
    ids=str,
)
def test_what_is_out_of_reach_is_refused_with_its_reason(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    values = random_values((40, 40), options.pop("dtype", "uint16"), high=100)
    path = write_raster(tmp_path / "raster.tif", values, **options)

    with pytest.raises(UnsupportedRasterError, match=reason):
        layout_of(path)


@pytest.mark.parametrize("content", [b"", b"II", b"\x89PNG" + bytes(100), b"II*\0\x08\0\0\0" + b"\xff" * 90])
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raster.tif"
    path.write_bytes(content)

    with pytest.raises(UnsupportedRasterError):
        layout_of(str(path))


REAL_RASTERS = (
    "dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif",
    "worldcover/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif",
    "worldcover/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif",
)


@pytest.mark.parametrize("name", REAL_RASTERS)
def test_georeferencing_of_real_tiles(name: str) -> None:
    if "FACTORY_REALDATA" not in os.environ:
        pytest.skip("FACTORY_REALDATA names no folder with real data")
    path = str(Path(os.environ["FACTORY_REALDATA"]) / name)

    layout, _ = layout_of(path)

    with rasterio.open(path) as dataset:
        assert layout.grid == Grid.from_transform(4326, dataset.transform, dataset.width, dataset.height)
        assert (layout.block_height, layout.block_width) == dataset.block_shapes[0]
        assert layout.nodata == dataset.nodata
        assert layout.dtype == dataset.dtypes[0]
