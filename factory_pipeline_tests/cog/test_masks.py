"""Masks and alpha bands are found without parsing all images of a file."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from factory_pipeline.cog.masks import find_mask_or_alpha, side_mask

GREY = np.zeros((16, 16), np.uint8)


def found(path: Path) -> str | None:
    with tifffile.TiffFile(path) as tiff:
        return find_mask_or_alpha(tiff)


def write(path: Path, *, mask: bool, bigtiff: bool = False, byteorder: str = "<") -> Path:
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:  # type: ignore[arg-type]
        tiff.write(GREY)
        tiff.write(GREY[:8, :8], subfiletype=1)
        if mask:
            tiff.write(GREY > 0, subfiletype=4)
    return path


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_mask_behind_an_overview_is_found(tmp_path: Path, bigtiff: bool, byteorder: str) -> None:
    masked = write(tmp_path / "masked.tif", mask=True, bigtiff=bigtiff, byteorder=byteorder)
    plain = write(tmp_path / "plain.tif", mask=False, bigtiff=bigtiff, byteorder=byteorder)
    assert found(masked) == "a mask"
    assert found(plain) is None


def test_an_alpha_band_is_found(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16, 4), np.uint8), photometric="rgb", extrasamples=[2])
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((16, 16, 4), np.uint8), photometric="rgb", extrasamples=[0])
    assert found(tmp_path / "a.tif") == "an alpha band"
    assert found(tmp_path / "b.tif") is None


@pytest.mark.parametrize("internal", [True, False])
def test_masks_of_gdal_are_found_in_the_file_or_beside_it(tmp_path: Path, internal: bool) -> None:
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "uint8"}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "w", **profile) as out:
        out.write(GREY, 1)
        out.write_mask(GREY == 0)
    assert found(path) == ("a mask" if internal else None)
    assert side_mask(path) == (None if internal else tmp_path / "a.tif.msk")
