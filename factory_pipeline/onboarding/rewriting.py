"""Changing the files of a dataset where a manifest asks for it."""

import shutil
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage import write_whole

TIFF = (".tif", ".tiff")


def declare_nodata(path: Path, value: float) -> None:
    """Say in a label that `value` is no data, if it says nothing; the pixels stay as they are.

    A value that the label's data type can't hold can't occur in it, so nothing is to be said.

    Raises:
        OnboardingError: CHECK_FAILED, the file is of a format that can't say it.
    """
    with rasterio.open(path) as label:
        dtype = np.dtype(label.dtypes[0])
        if label.nodata is not None or not _holds(dtype, value):
            return
        if label.driver != "GTiff":
            raise OnboardingError(
                "CHECK_FAILED",
                f"label_nodata needs labels as GeoTIFF; {path.name} is {label.driver}, which declares none.",
            )
    with write_whole(path) as temporary:
        # A copy: the file may be a link to the unpacked one.
        shutil.copyfile(path, temporary)
        with rasterio.open(temporary, "r+") as label:
            label.nodata = value


def to_cog(path: Path) -> None:
    """Rewrite a TIFF as a Cloud Optimized GeoTIFF with the same pixels; other formats stay as they are.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be rewritten.
    """
    if path.suffix.lower() not in TIFF:
        return
    try:
        with rasterio.open(path) as image:
            if image.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
                return
        with write_whole(path) as temporary:
            rasterio.shutil.copy(path, temporary, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES")
    except RasterioError as error:
        raise OnboardingError("CHECK_FAILED", f"{path.name} can't be written as a COG: {error}.") from error


def _holds(dtype: np.dtype, value: float) -> bool:
    if np.issubdtype(dtype, np.floating):
        return True
    limits = np.iinfo(dtype)
    return value == int(value) and limits.min <= value <= limits.max
