"""The rasters of a sample as files: unchanged originals, everything else as GeoTIFF or PNG.

An original is copied byte for byte. A raster without a file of its own (an augmented copy, a row of HDF5, a
mask) becomes a GeoTIFF with CRS, transform, names of bands and nodata; but a PNG if that can represent all of
it: 8 bits, one band or red, green and blue, not georeferenced, no nodata.
"""

import math
import shutil
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.dtypes import check_dtype, in_dtype_range
from rasterio.io import MemoryFile

from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.open_raster import open_in_memory, open_raster

TILED_FROM = 1024
"""Height or width in pixels above which a GeoTIFF is tiled."""
_TILE = 512


def main_modality(version: VersionContent, sample: Sample) -> str:
    """Return the modality that a format of one image per sample uses: the first that the sample has.

    Args:
        version: its order of modalities counts.
        sample: of the version.
    """
    tags = [tag for tag in version.modalities if tag in sample.images]
    return tags[0] if tags else next(iter(version.modalities))


def image_of(sample: Sample, modality: str) -> SampleRaster:
    """Return the raster of a modality.

    Args:
        sample: of any version.
        modality: of one of its images.

    Raises:
        ExportError: the sample has none.
    """
    if modality not in sample.images:
        raise ExportError(
            f"{sample.name} has no {modality} image, only {', '.join(sample.images)}, but every item needs "
            "one in this format; export as RAW, or exclude that item from the version."
        )
    return sample.images[modality]


def image_suffix(sample: Sample, modality: str) -> str:
    """Return the suffix of an image: that of the original file, else that of the format it is written in.

    Args:
        sample: of any version.
        modality: of one of its images.

    Returns:
        With the dot, such as `.tif`.
    """
    if modality in sample.files:
        return sample.files[modality].suffix
    return ".png" if _fits_png(image_of(sample, modality), sample) else ".tif"


def write_image(sample: Sample, modality: str, folder: Path, stem: str | None = None) -> str:
    """Write an image of a sample; an original is copied byte for byte.

    If the format of an original has no georeferencing of its own (a PNG beside its world file), it is written
    to `<file>.aux.xml`, as GDAL and QGIS read it.

    Args:
        sample: the sample of the image.
        modality: of the image.
        folder: created if it does not exist.
        stem: of the file; the name of the sample if not given.

    Returns:
        The name of the file.

    Raises:
        ExportError: the sample has no such image, or the file already exists.
    """
    raster = image_of(sample, modality)
    path = folder / f"{stem or sample.name}{image_suffix(sample, modality)}"
    if modality not in sample.files:
        write_raster(path, raster, sample)
        return path.name
    _create_parent(path)
    shutil.copyfile(sample.files[modality], path)
    if not _has_georeference_of(path, sample):
        path.with_name(f"{path.name}.aux.xml").write_text(_auxiliary(sample), encoding="utf-8")
    return path.name


def write_raster(path: Path, raster: SampleRaster, sample: Sample) -> None:
    """Write a raster on the grid of a sample, as PNG or GeoTIFF by the suffix of `path`, deterministically.

    Args:
        path: `.png` or `.tif`; its folder is made if it is missing.
        raster: (bands, height, width).
        sample: has the CRS and transform of the raster.

    Raises:
        ExportError: rasters of its type can't be written, or the file already exists.
    """
    _create_parent(path)
    path.write_bytes(raster_bytes(raster, sample, path.suffix))


def raster_bytes(raster: SampleRaster, sample: Sample, suffix: str = ".tif") -> bytes:
    """Return what `write_raster` writes into a file of this suffix.

    Args:
        raster: (bands, height, width).
        sample: has the CRS and transform of the raster.
        suffix: `.png` or `.tif`.

    Raises:
        ExportError: rasters of its type can't be written.
    """
    bands, height, width = raster.values.shape
    dtype = raster.values.dtype.name
    if not check_dtype(dtype):
        raise ExportError(f"{sample.name} has {dtype} values, which can't be written as {suffix}.")
    profile: dict[str, Any] = {"count": bands, "height": height, "width": width, "dtype": dtype}
    if suffix == ".png":
        profile["driver"] = "PNG"
    else:
        profile |= _geotiff(raster, sample)
    # In memory first: Python then reports a full disk, which GDAL may not.
    with MemoryFile() as memory:
        with open_in_memory(memory, **profile) as out:
            out.write(raster.values)
            if suffix != ".png":
                out.descriptions = raster.bands
        return bytes(memory.getbuffer())


def check_image(path: Path, sample: Sample, modality: str) -> None:
    """Read an image back and compare it with the sample.

    Args:
        path: of the written image.
        sample: of the version.
        modality: of the image.

    Raises:
        ExportError: it can't be read or differs.
    """
    check_raster(path, image_of(sample, modality), sample)


def check_raster(path: Path, raster: SampleRaster, sample: Sample) -> None:
    """Read a raster back and compare pixels, CRS and transform.

    Args:
        path: of the written raster.
        raster: that was written.
        sample: has the CRS and transform of the raster.

    Raises:
        ExportError: it can't be read or differs.
    """
    try:
        with open_raster(path) as written:
            _compare(written, path.name, raster, sample)
    except rasterio.errors.RasterioIOError as error:
        raise _unreadable_error(path.name) from error


def check_raster_bytes(content: bytes, name: str, raster: SampleRaster, sample: Sample) -> None:
    """As `check_raster`, of the content of a file; `name` is what messages call it."""
    try:
        with MemoryFile(content) as memory, open_in_memory(memory) as written:
            _compare(written, name, raster, sample)
    except rasterio.errors.RasterioIOError as error:
        raise _unreadable_error(name) from error


def _unreadable_error(name: str) -> ExportError:
    return ExportError(f"{name} was written, but can't be read back.")


def _compare(written: rasterio.DatasetReader, name: str, raster: SampleRaster, sample: Sample) -> None:
    values, expected = written.read(), raster.values
    if values.dtype != expected.dtype or values.shape != expected.shape:
        raise ExportError(
            f"{name} is {values.dtype} {values.shape} when it is read back, but {sample.name} is "
            f"{expected.dtype} {expected.shape}."
        )
    if not np.array_equal(values, expected, equal_nan=values.dtype.kind == "f"):
        raise ExportError(f"{name} differs from the values of {sample.name} when it is read back.")
    if not _is_placed(written, sample):
        raise ExportError(f"{name} differs from the CRS or transform of {sample.name} when it is read back.")


def _create_parent(path: Path) -> None:
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
        # GDAL would treat a fourth band as transparency.
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


def geotiff_of(sample: Sample, modality: str) -> Path | None:
    """Return the original of an image where it is a TIFF with the georeferencing and nodata of the sample.

    None if it must be written anew for a format whose images are GeoTIFFs.

    Args:
        sample: of any version.
        modality: of one of its images.
    """
    path = sample.files.get(modality)
    if path is None or path.suffix.lower() not in (".tif", ".tiff"):
        return None
    nodata = sample.images[modality].nodata
    with open_raster(path) as stored:
        is_same = stored.driver == "GTiff" and _is_placed(stored, sample)
        return path if is_same and repr(stored.nodata) == repr(nodata) else None


def _has_georeference_of(path: Path, sample: Sample) -> bool:
    """Return whether a file has the georeferencing of the sample, if that has one."""
    if sample.transform is None:
        return True
    with open_raster(path) as written:
        return _is_placed(written, sample)


def _is_placed(written: rasterio.DatasetReader, sample: Sample) -> bool:
    """Return whether an open file has the georeferencing of the sample, if that has one."""
    if sample.transform is None:
        return True
    pairs = zip(written.transform[:6], sample.transform, strict=True)
    return _is_same_crs(written.crs, sample.crs) and all(
        math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) for a, b in pairs
    )


def _is_same_crs(written: CRS | None, expected: str | None) -> bool:
    """Return whether two CRSs are equal for a raster, whose transform has x before y in all of them."""
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
    """Return GDAL's auxiliary metadata of a raster (https://gdal.org/en/stable/drivers/raster/pam.html)."""
    assert sample.transform is not None
    a, b, c, d, e, f = sample.transform
    numbers = ", ".join(repr(float(number)) for number in (c, a, b, f, d, e))
    srs = "" if sample.crs is None else f"  <SRS>{escape(CRS.from_user_input(sample.crs).to_wkt())}</SRS>\n"
    return f"<PAMDataset>\n{srs}  <GeoTransform>{numbers}</GeoTransform>\n</PAMDataset>\n"
