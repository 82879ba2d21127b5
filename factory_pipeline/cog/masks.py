"""Detects masks and alpha bands that define which pixels of a GeoTIFF hold data.

The block engine reads one band; a raster with a mask or alpha band is left to GDAL, which applies it.
"""

import struct
from pathlib import Path
from typing import Any

_NEW_SUBFILE_TYPE = 254
_TRANSPARENCY_MASK = 4
_ALPHA = (1, 2)
"""ExtraSamples: associated and unassociated alpha (TIFF 6.0)."""
_MOST_IMAGES = 64
"""Largest number of images of a file that are inspected: a raster, its mask, and the overviews of both."""


def find_mask_or_alpha(tiff: Any) -> str | None:
    """Return what a file has beside its nodata value: `a mask` or `an alpha band`; None if it has neither.

    Args:
        tiff: an open `tifffile.TiffFile`; only the list of its images is read.
    """
    if any(sample in _ALPHA for sample in tiff.pages.first.extrasamples):
        return "an alpha band"
    return "a mask" if _has_mask(tiff) else None


def side_mask(path: Path) -> Path | None:
    """Return the mask file that GDAL writes beside a local raster, if it exists."""
    beside = path.with_name(f"{path.name}.msk")
    return beside if beside.exists() else None


def _has_mask(tiff: Any) -> bool:
    """Walk through the images, as GDAL marks a mask there; tifffile would parse each with all its blocks."""
    form, file, offset = tiff.tiff, tiff.filehandle, tiff.pages.first.offset
    for _ in range(_MOST_IMAGES):
        file.seek(offset)
        (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        entries = file.read(count * form.tagsize + form.offsetsize)
        for start in range(0, count * form.tagsize, form.tagsize):
            (code,) = struct.unpack_from(f"{form.byteorder}H", entries, start)
            if code == _NEW_SUBFILE_TYPE:
                value = start + form.tagsize - form.offsetsize
                if struct.unpack_from(f"{form.byteorder}I", entries, value)[0] & _TRANSPARENCY_MASK:
                    return True
            elif code > _NEW_SUBFILE_TYPE:  # they are sorted
                break
        (offset,) = struct.unpack_from(form.offsetformat, entries, count * form.tagsize)
        if not 0 < offset < file.size:
            return False
    return False
