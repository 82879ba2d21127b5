import numpy as np
import pytest
import rasterio
import tifffile

from factory_pipeline.cog.grid import Grid
from factory_pipeline.synthetic.dem import DEM_PROFILE
from factory_pipeline.synthetic.geotiff import write_cog
from factory_pipeline.synthetic.sentinel2 import REFLECTANCE_PROFILE
from factory_pipeline.synthetic.worldcover import WORLDCOVER_CLASSES, WORLDCOVER_PROFILE

UTM = Grid(32633, 499_980, 5_400_000, 10, 10, 2745, 2745)
DEGREES = Grid(4326, 15.0, 49.0, 1 / 3600, 1 / 3600, 3600, 3600)


def random_block(profile, seed=0):
    values = np.random.default_rng(seed).integers(1, 32767 if profile.bits else 200, (profile.block,) * 2)
    return values.astype(profile.dtype)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("profile", "grid"),
    [(REFLECTANCE_PROFILE, UTM), (DEM_PROFILE, DEGREES), (WORLDCOVER_PROFILE, DEGREES)],
    ids=["15 bits", "float32 with predictor", "uint8 with palette"],
)
def test_gdal_reads_filled_blocks_and_holes(tmp_path, profile, grid):
    block = random_block(profile)
    write_cog(tmp_path / "a.tif", grid, {(1, 2): block}, profile)
    size = profile.block
    with rasterio.open(tmp_path / "a.tif") as raster:
        values = raster.read(1)
        assert raster.crs.to_epsg() == grid.epsg
        assert raster.transform.almost_equals(grid.transform, 1e-9)
        assert raster.block_shapes == [(size, size)]
        assert raster.nodata == profile.nodata
        assert raster.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == (
            str(profile.bits) if profile.bits else None
        )
        assert raster.overviews(1) == pytest.approx([2**n for n in range(1, profile.overviews + 1)], rel=0.02)
    window = (slice(size, 2 * size), slice(2 * size, 3 * size))
    np.testing.assert_array_equal(values[window], block[: values[window].shape[0], : values[window].shape[1]])
    values[window] = 0
    assert not values.any()


def test_overview_averages_pixels_that_hold_data(tmp_path):
    block = random_block(REFLECTANCE_PROFILE)
    block[0, :2] = 0
    block[2:4, 2:4] = 0
    write_cog(tmp_path / "a.tif", UTM, {(0, 1): block}, REFLECTANCE_PROFILE)
    with rasterio.open(tmp_path / "a.tif", OVERVIEW_LEVEL=0) as overview:
        half = overview.read(1)
    assert half.shape == (1373, 1373)
    assert half[0, 256] == np.rint(block[1, :2].mean())
    assert half[1, 257] == 0
    assert half[10, 266] == np.rint(block[20:22, 20:22].mean())
    assert not half[:, :256].any()


def test_palette_names_each_class_by_its_colour(tmp_path):
    write_cog(tmp_path / "a.tif", DEGREES, {}, WORLDCOVER_PROFILE)
    with rasterio.open(tmp_path / "a.tif") as raster:
        palette = raster.colormap(1)
    for code, (_, color) in WORLDCOVER_CLASSES.items():
        assert palette[code][:3] == tuple(bytes.fromhex(color))


def test_directories_come_before_all_data(tmp_path):
    blocks = {(0, 0): random_block(REFLECTANCE_PROFILE), (3, 4): random_block(REFLECTANCE_PROFILE, 1)}
    write_cog(tmp_path / "a.tif", UTM, blocks, REFLECTANCE_PROFILE)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        starts = [page.offset for page in file.pages]
        data = [[start for start in page.dataoffsets if start] for page in file.pages]
    assert starts == sorted(starts)
    assert max(starts) < min(min(level) for level in data)
    assert min(data[0]) > max(max(level) for level in data[1:])
