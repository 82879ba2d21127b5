"""The rasters of a sample as files: originals as they came, everything else as GeoTIFF or PNG.

An original is copied byte for byte. A raster without a file of its own (an augmented copy, a row of HDF5, a
mask) becomes a GeoTIFF with CRS, transform, names of bands and nodata; but a PNG where a PNG can say all of
it: 8 bits, one band or red, green and blue, not georeferenced, no nodata.
"""

import math
import shutil
import warnings
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.dtypes import check_dtype, in_dtype_range
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError

TILED_FROM = 1024
"""Height or width in pixels above which a GeoTIFF is tiled."""
_TILE = 512

# An image that is not georeferenced is nothing to warn of.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def main_modality(version: VersionContent, sample: Sample) -> str:
    """The modality that a format of one image per sample takes: the first that the sample has."""
    tags = [tag for tag in version.modalities if tag in sample.images]
    return tags[0] if tags else next(iter(version.modalities))


def image_of(sample: Sample, modality: str) -> SampleRaster:
    """The raster of a modality.

    Raises:
        ExportError: the sample has none.
    """
    if modality not in sample.images:
        raise ExportError(
            f"{sample.name} has no {modality} image, only {', '.join(sample.images)}, but every item needs "
            "one in this format; export as RAW, or leave that item out of the version."
        )
    return sample.images[modality]


def image_suffix(sample: Sample, modality: str) -> str:
    """Such as `.tif`: that of the original file, else that of the format it will be written in."""
    if modality in sample.files:
        return sample.files[modality].suffix
    return ".png" if _fits_png(image_of(sample, modality), sample) else ".tif"


def write_image(sample: Sample, modality: str, folder: Path, stem: str | None = None) -> str:
    """Write an image of a sample; an original keeps its bytes.

    Where the format of an original has no georeferencing of its own (a PNG beside its world file), it goes
    into `<file>.aux.xml`, as GDAL and QGIS read it.

    Args:
        sample: whose image is written.
        modality: which of its images.
        folder: is made if it is not there.
        stem: of the file; the name of the sample if not given.

    Returns:
        The name of the file.

    Raises:
        ExportError: the sample has no such image, or the file is there already.
    """
    raster = image_of(sample, modality)
    path = folder / f"{stem or sample.name}{image_suffix(sample, modality)}"
    if modality not in sample.files:
        write_raster(path, raster, sample)
        return path.name
    _make_room(path)
    shutil.copyfile(sample.files[modality], path)
    if not _is_placed_as(path, sample):
        path.with_name(f"{path.name}.aux.xml").write_text(_auxiliary(sample), encoding="utf-8")
    return path.name


def write_raster(path: Path, raster: SampleRaster, sample: Sample) -> None:
    """Write a raster on the grid of a sample, as PNG if `path` says so, else as GeoTIFF; same in, same bytes.

    Raises:
        ExportError: rasters of its type can't be written, or the file is there already.
    """
    _make_room(path)
    bands, height, width = raster.values.shape
    dtype = raster.values.dtype.name
    if not check_dtype(dtype):
        raise ExportError(f"{sample.name} holds {dtype} values, which can't be written as {path.suffix}.")
    profile: dict[str, Any] = {"count": bands, "height": height, "width": width, "dtype": dtype}
    if path.suffix == ".png":
        profile["driver"] = "PNG"
    else:
        profile |= _geotiff(raster, sample)
    # In memory first: a full disk is then met by Python, which says so, and not by GDAL, which may not.
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(raster.values)
            if path.suffix != ".png":
                out.descriptions = raster.bands
        path.write_bytes(memory.getbuffer())


def check_image(path: Path, sample: Sample, modality: str) -> None:
    """Read an image back and compare it with the sample.

    Raises:
        ExportError: it can't be read or is not the same.
    """
    check_raster(path, image_of(sample, modality), sample)


def check_raster(path: Path, raster: SampleRaster, sample: Sample) -> None:
    """Read a raster back and compare pixels, CRS and transform.

    Raises:
        ExportError: it can't be read or is not the same.
    """
    try:
        with rasterio.open(path) as written:
            values = written.read()
    except rasterio.errors.RasterioIOError as error:
        raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error
    expected = raster.values
    if values.dtype != expected.dtype or values.shape != expected.shape:
        raise ExportError(
            f"{path.name} was read back as {values.dtype} {values.shape}, but {sample.name} is "
            f"{expected.dtype} {expected.shape}."
        )
    if not np.array_equal(values, expected, equal_nan=values.dtype.kind == "f"):
        raise ExportError(f"{path.name} was read back with other values than those of {sample.name}.")
    if not _is_placed_as(path, sample):
        raise ExportError(f"{path.name} was read back with another CRS or transform than {sample.name} has.")


def _make_room(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise ExportError(
            f"Two images of the version would both be written as {path.name}; rename one of them."
        )


def _fits_png(raster: SampleRaster, sample: Sample) -> bool:
    return (
        raster.values.dtype == np.uint8
        and (raster.values.shape[0] == 1 or (raster.values.shape[0] == 3 and raster.rgb in (None, (0, 1, 2))))
        and raster.nodata is None
        and sample.crs is None
        and sample.transform is None
    )


def _geotiff(raster: SampleRaster, sample: Sample) -> dict[str, Any]:
    dtype = raster.values.dtype.name
    coloured = raster.values.shape[0] == 3 and raster.rgb == (0, 1, 2) and dtype in ("uint8", "uint16")
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "compress": "deflate",
        "bigtiff": "IF_SAFER",
        # GDAL would take a fourth band for transparency.
        "photometric": "RGB" if coloured else "MINISBLACK",
        "alpha": "UNSPECIFIED",
        "crs": sample.crs,
        "transform": None if sample.transform is None else Affine(*sample.transform),
    }
    if raster.nodata is not None and in_dtype_range(raster.nodata, dtype):
        profile["nodata"] = raster.nodata
    if max(raster.values.shape[1:]) > TILED_FROM:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    return profile


def _is_placed_as(path: Path, sample: Sample) -> bool:
    """Whether a file has the georeferencing of the sample, if that has one."""
    if sample.transform is None:
        return True
    with rasterio.open(path) as written:
        crs, transform = written.crs, written.transform[:6]
    pairs = zip(transform, sample.transform, strict=True)
    return _same_crs(crs, sample.crs) and all(
        math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) for a, b in pairs
    )


def _same_crs(written: CRS | None, expected: str | None) -> bool:
    """Whether two CRSs are the same for a raster, whose transform gives x before y in all of them."""
    if expected is None:
        return True
    if written is None:
        return False
    # GeoTIFF has no OGC:CRS84, only EPSG:4326, from which it differs in the order of axes.
    return bool(
        written == CRS.from_user_input(expected)
        or pyproj.CRS(written).equals(pyproj.CRS(expected), ignore_axis_order=True)
    )


def _auxiliary(sample: Sample) -> str:
    """GDAL's auxiliary metadata of a raster (https://gdal.org/en/stable/drivers/raster/pam.html)."""
    assert sample.transform is not None
    a, b, c, d, e, f = sample.transform
    numbers = ", ".join(repr(float(number)) for number in (c, a, b, f, d, e))
    srs = "" if sample.crs is None else f"  <SRS>{escape(CRS.from_user_input(sample.crs).to_wkt())}</SRS>\n"
    return f"<PAMDataset>\n{srs}  <GeoTransform>{numbers}</GeoTransform>\n</PAMDataset>\n"
