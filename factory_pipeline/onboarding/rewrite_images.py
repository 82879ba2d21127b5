"""Changing the files of a dataset as a manifest requests."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.headers import GDAL_OPTIONS
from factory_pipeline.imagery.orientation import read_orientation, turn_upright
from factory_pipeline.imagery.pixels import VALUES_PER_STRIP
from factory_pipeline.onboarding.checks.band_order import order_of
from factory_pipeline.open_raster import open_raster
from factory_pipeline.storage.atomic import atomic_write

TIFF = (".tif", ".tiff")
DECLARING = ("GTiff", "PNG")
"""GDAL's names of the formats whose files can declare a nodata value."""


LOSSLESS = {"driver": "GTiff", "compress": "deflate", "BIGTIFF": "IF_SAFER"}
Pixels = NDArray[np.generic]


def declare_nodata(path: Path, value: float, key: str = "label_nodata") -> None:
    """Make a value no data in a file, beside the one that the file declares.

    A file declares one value: if it declares none, this one is declared, and its pixels stay; if it declares
    another one, pixels of this value get the declared one. A value that the file's data type can't represent
    can't occur in it, so nothing is done.

    Args:
        path: of an image or label.
        value: the value that is no data.
        key: of the manifest, for the message.

    Raises:
        OnboardingError: CHECK_FAILED, the format of the file can't declare it.
    """
    with open_raster(path) as source:
        dtype = np.result_type(*source.dtypes)
        declared = source.nodata
        if (
            not _can_represent(dtype, value)
            or declared == value
            or (declared is not None and np.isnan(value))
        ):
            return
        driver, bands = source.driver, source.count
        occurs = declared is None or any((values == dtype.type(value)).any() for values in _parts(source))
    if not occurs:
        return
    if driver == "PNG" and bands == 1:
        _declare_in_png(path, value, declared)
        return
    if driver != "GTiff":
        raise OnboardingError(
            "CHECK_FAILED",
            f"{key} needs files that are GeoTIFF; {path.name} is {driver}, which declares"
            f" {'none' if declared is None else 'another value'}.",
        )
    if declared is not None:
        instead = dtype.type(declared)
        _rewrite(path, lambda values: np.where(values == dtype.type(value), instead, values))
        return
    with atomic_write(path) as temporary:
        # A copy: the file may be a link to the unpacked one.
        shutil.copyfile(path, temporary)
        with open_raster(temporary, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as source:
            source.nodata = value


def copy_georeference(path: Path, crs: str | None, transform: Sequence[float] | None) -> None:
    """Copy the CRS of an image to a label without one, and its transform if the label has none; pixels stay.

    Files of formats that can store neither are not changed.

    Args:
        path: of the label.
        crs: of the image, as WKT or `EPSG:...`; None changes nothing.
        transform: the six coefficients of the image's affine transform, in the order of `affine.Affine`.
    """
    with open_raster(path) as label:
        if crs is None or label.driver != "GTiff" or label.crs is not None:
            return
        placed = not label.transform.is_identity
    with atomic_write(path) as temporary:
        shutil.copyfile(path, temporary)
        with open_raster(temporary, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as label:
            label.crs = crs
            if not placed and transform is not None:
                label.transform = Affine(*transform)


def reorder_bands(path: Path, bands: Sequence[str]) -> None:
    """Bring the bands of a TIFF that names them into an order; a file in this order is not changed.

    Args:
        path: of the TIFF.
        bands: names of the manifest, in the order that is required.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be rewritten.
    """
    with open_raster(path) as image:
        order = order_of(image.descriptions, bands)
    if order is not None:
        _rewrite(path, lambda values: values[list(order)], order)


def make_upright(path: Path) -> None:
    """Turn the pixels of a picture as its orientation says, and remove the orientation.

    A JPEG is written with the highest quality and without subsampling: a value changes by one or two. Other
    formats keep their values.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be rewritten.
    """
    with open_raster(path) as image, path.open("rb") as file:
        orientation = read_orientation(image, file)
        if orientation is None:
            return
        is_jpeg = image.driver == "JPEG"
        pixels = turn_upright(image.read(), orientation) if is_jpeg else None
    if pixels is not None:
        picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        with atomic_write(path) as temporary:
            picture.save(temporary, "JPEG", quality=100, subsampling=0, keep_rgb=True)
        return
    _rewrite(path, lambda values: turn_upright(values, orientation), at_once=True)


def _rewrite(
    path: Path,
    change: Callable[[Pixels], Pixels],
    order: Sequence[int] | None = None,
    *,
    at_once: bool = False,
) -> None:
    """Rewrite a TIFF or PNG with changed pixels and all of its metadata.

    Args:
        path: of the file.
        change: function of pixels (bands, rows, columns); its result must not depend on how they are divided.
        order: bands of the old file in the order of the new one.
        at_once: pass all pixels to `change` in one piece, whose width and height may change then.
    """
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES", **GDAL_OPTIONS), open_raster(path) as source:
            bands = [number + 1 for number in (order or range(source.count))]
            whole = change(source.read()) if at_once else None
            height, width = whole.shape[1:] if whole is not None else source.shape
            profile = {
                **{key: source.profile[key] for key in ("count", "crs", "nodata")},
                "dtype": source.dtypes[0],
                "height": height,
                "width": width,
                **({"transform": source.transform} if not source.transform.is_identity else {}),
                **({"driver": "PNG"} if source.driver == "PNG" else _layout(source)),
            }
            with atomic_write(path) as temporary, open_raster(temporary, "w", **profile) as sink:
                _describe(source, sink, bands)
                if whole is not None:
                    sink.write(whole)
                    return
                for window in _windows(source):
                    sink.write(change(source.read(window=window)), window=window)
                    if MaskFlags.per_dataset in source.mask_flag_enums[0]:
                        sink.write_mask(source.read_masks(1, window=window), window=window)
    except RasterioError as error:
        raise OnboardingError("CHECK_FAILED", f"{path.name} can't be rewritten: {error}.") from error


def _layout(source: rasterio.DatasetReader) -> dict[str, Any]:
    """Return the creation options of a TIFF that replaces another one."""
    rows, columns = source.block_shapes[0]
    tiled = source.profile.get("tiled") and rows % 16 == 0 and columns % 16 == 0
    blocks = {"tiled": True, "blockysize": rows, "blockxsize": columns} if tiled else {}
    predictor = 3 if np.issubdtype(source.dtypes[0], np.floating) else 2
    return {**LOSSLESS, "predictor": predictor, **blocks}


def _describe(source: rasterio.DatasetReader, sink: Any, bands: Sequence[int]) -> None:
    sink.update_tags(**source.tags())
    sink.colorinterp = [source.colorinterp[band - 1] for band in bands]
    sink.scales = [source.scales[band - 1] for band in bands]
    sink.offsets = [source.offsets[band - 1] for band in bands]
    for new, old in enumerate(bands, 1):
        if source.descriptions[old - 1]:
            sink.set_band_description(new, source.descriptions[old - 1])
        if source.units[old - 1]:
            sink.set_band_unit(new, source.units[old - 1])
        sink.update_tags(new, **source.tags(old))
        if source.colorinterp[old - 1] is ColorInterp.palette:
            sink.write_colormap(new, source.colormap(old))


def _windows(source: rasterio.DatasetReader) -> Iterator[Window]:
    """Yield windows of complete rows of blocks."""
    block = source.block_shapes[0][0]
    rows = max(VALUES_PER_STRIP // (source.count * source.width) // block, 1) * block
    for top in range(0, source.height, rows):
        yield Window(0, top, source.width, min(rows, source.height - top))


def _parts(source: rasterio.DatasetReader) -> Iterator[Pixels]:
    for window in _windows(source):
        yield source.read(window=window)


def _declare_in_png(path: Path, value: float, declared: float | None) -> None:
    """Rewrite a PNG of one band with the same values and palette and a transparent value: no data.

    If the file declares another value, pixels of `value` get that.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        with open_raster(path) as source:
            values = source.read(1)
            palette = source.colormap(1) if source.colorinterp[0] is ColorInterp.palette else None
        if declared is not None:
            values[values == values.dtype.type(value)] = values.dtype.type(declared)
        profile = {"width": values.shape[1], "height": values.shape[0], "count": 1, "dtype": values.dtype}
        nodata = value if declared is None else declared
        with (
            atomic_write(path) as temporary,
            open_raster(temporary, "w", driver="PNG", nodata=nodata, **profile) as written,
        ):
            if palette is not None:
                written.write_colormap(1, palette)
            written.write(values, 1)


def to_cog(path: Path) -> None:
    """Rewrite a TIFF as a Cloud Optimized GeoTIFF with the same pixels; other formats are not changed.

    Raises:
        OnboardingError: CHECK_FAILED, the file can't be rewritten.
    """
    if path.suffix.lower() not in TIFF:
        return
    try:
        with open_raster(path) as image:
            if image.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
                return
        with atomic_write(path) as temporary:
            rasterio.shutil.copy(path, temporary, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES")
    except RasterioError as error:
        raise OnboardingError("CHECK_FAILED", f"{path.name} can't be written as a COG: {error}.") from error


def _can_represent(dtype: np.dtype, value: float) -> bool:
    if np.issubdtype(dtype, np.floating):
        return True
    if not np.isfinite(value):
        return False
    limits = np.iinfo(dtype)
    return value == int(value) and limits.min <= value <= limits.max
