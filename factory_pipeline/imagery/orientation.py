"""How a picture must be turned before it is shown: the orientation of EXIF and TIFF (tag 274).

Viewers apply the orientation of a picture, GDAL does not; masks are drawn over what a viewer shows.
"""

import io
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

TAG = 274
UPRIGHT = 1
TURNED = range(2, 9)
SIDES_SWAPPED = range(5, 9)
"""Orientations in which rows become columns."""
MOST_TAGS = 4096
PNG_SIGNATURE_BYTES = 8
MOST_EXIF_BYTES = 1 << 20


def read_orientation(image: Any, file: IO[bytes]) -> int | None:
    """Return the orientation that a file declares, 2 to 8; None if it is upright or declares none.

    The georeference of a TIFF applies to the pixels as stored, so its orientation is ignored then.

    Args:
        image: the file as rasterio opened it.
        file: the same file, seekable.
    """
    if image.driver == "JPEG":
        stated = image.tags().get("EXIF_Orientation", "")
        found = int(stated) if stated.isdecimal() else None
    elif image.driver == "PNG":
        exif = _png_exif(file)
        found = None if exif is None else _tiff_orientation(io.BytesIO(exif))
    elif image.crs is None and image.transform.is_identity:
        found = _tiff_orientation(file)
    else:
        found = None
    return found if found in TURNED else None


def turn_upright(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Return pixels (bands, rows, columns) as a viewer shows them.

    Args:
        pixels: (bands, rows, columns) as they are stored, of any dtype.
        orientation: the EXIF code, 1 to 8.

    Returns:
        A contiguous array in the same dtype; rows and columns are exchanged for codes 5 to 8.
    """
    if orientation in SIDES_SWAPPED:
        pixels = pixels.transpose(0, 2, 1)
    # The rest is mirroring: left and right, top and bottom, or both.
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1, :]
    return np.ascontiguousarray(pixels)


def _tiff_orientation(file: IO[bytes]) -> int | None:
    """Return the tag in the first directory of a TIFF or BigTIFF; its value is in the directory itself."""
    try:
        file.seek(0)
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        is_big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
        (start,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", head, 8 if is_big else 4)
        number, entry = ("Q", "HHQ8s") if is_big else ("H", "HHI4s")
        file.seek(start)
        (count,) = struct.unpack(f"{order}{number}", file.read(struct.calcsize(f"{order}{number}")))
        size = struct.calcsize(f"{order}{entry}")
        directory = file.read(min(count, MOST_TAGS) * size)
        for tag, _, _, value in struct.iter_unpack(f"{order}{entry}", directory):
            if tag == TAG:
                return int(struct.unpack_from(f"{order}H", value)[0])
    except (KeyError, OSError, struct.error):
        return None
    return None


def _png_exif(file: IO[bytes]) -> bytes | None:
    """Return the EXIF of a PNG, if it precedes the pixels."""
    try:
        position = PNG_SIGNATURE_BYTES
        for _ in range(MOST_TAGS):
            file.seek(position)
            size, kind = struct.unpack(">I4s", file.read(8))
            if kind == b"eXIf":
                return file.read(min(size, MOST_EXIF_BYTES))
            if kind in (b"IDAT", b"IEND"):
                return None
            position += 12 + size
    except (OSError, struct.error):
        return None
    return None
