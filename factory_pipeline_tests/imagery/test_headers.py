"""Headers of images as GDAL gives them, read from any file object; what can't be read says why."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.headers import (
    FILE_SCHEMA,
    SMALL_BYTES,
    Header,
    Role,
    file_row,
    open_image,
    read_header,
)
from factory_pipeline_tests.onboarding.uploads import geotiff


def picture(form: str, size: tuple[int, int] = (5, 3)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, (1, 2, 3)).save(made, form)
    return made.getvalue()


@pytest.mark.parametrize("side", [8, 200], ids=["read whole", "read in parts"])
def test_a_geotiff_has_the_header_that_gdal_reads(side: int, tmp_path: Path) -> None:
    values = np.arange(2 * side * (side + 3), dtype=np.uint16).reshape(2, side, side + 3)
    content = geotiff(values, ("red", "nir"), nodata=7)
    assert (len(content) > SMALL_BYTES) == (side == 200)
    header = read_header(io.BytesIO(content))
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with rasterio.open(path) as oracle:
        assert (header.format, header.width, header.height) == ("GTiff", oracle.width, oracle.height)
        assert (header.bands, header.dtype, header.nodata) == (2, "uint16", 7.0)
        assert (header.crs, header.epsg) == ("EPSG:32632", 32632)
        assert header.transform == tuple(oracle.transform)[:6]
    assert header.band_names == ("red", "nir")
    assert header.image_bytes == values.nbytes
    assert header.block_bytes is not None
    assert header.block_bytes <= values.nbytes
    west, south, east, north = header.bounds or ()
    assert 8.99 < west < east < 9.1
    assert 45 < south < north < 45.2
    opened, image = open_image(path)
    assert opened == header
    assert image is not None
    image.close()


@pytest.mark.parametrize(("form", "name"), [("PNG", "PNG"), ("JPEG", "JPEG")])
def test_pictures_have_a_size_and_no_place(form: str, name: str) -> None:
    header = read_header(io.BytesIO(picture(form)))
    assert (header.format, header.width, header.height, header.bands) == (name, 5, 3, 3)
    assert (header.crs, header.transform, header.bounds, header.error) == (None, None, None, None)
    assert header.block_bytes == header.image_bytes == 5 * 3 * 3


@pytest.mark.parametrize("content", [b"", b"no image", b"<html></html>" * 1000])
def test_what_is_no_image_is_told(content: bytes, tmp_path: Path) -> None:
    assert read_header(io.BytesIO(content)).error == "it is not a readable TIFF, PNG or JPEG"
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    header, image = open_image(path)
    assert header.error is not None
    assert image is None


def test_a_broken_header_names_no_file_of_ours() -> None:
    header = read_header(io.BytesIO(picture("PNG")[:40]))
    assert header.width is None
    assert header.error
    assert "vsi" not in header.error


def test_a_damaged_header_is_told_without_the_words_of_a_library() -> None:
    content = struct.pack("<2sHI", b"II", 42, 8) + b"\x09"
    assert read_header(io.BytesIO(content)).error == "its header is damaged"


class _Failing(io.BytesIO):
    """A file whose reads fail."""

    def __init__(self, error: Exception) -> None:
        super().__init__(bytes(2 * SMALL_BYTES))
        self.error = error

    def read(self, *_: object) -> bytes:
        raise self.error


def test_an_error_of_the_file_is_the_headers_and_one_of_the_upload_is_raised() -> None:
    assert read_header(_Failing(OSError("it can't be unpacked"))) == Header(error="it can't be unpacked")
    with pytest.raises(OnboardingError, match="is gone"):
        read_header(_Failing(OnboardingError("URL_UNREACHABLE", "it is gone")))


def test_a_row_has_the_columns_of_the_table() -> None:
    row = file_row("a/b.tif", Role("IMAGE", "_merged", "b"), 12, Header(error="broken"))
    assert row.keys() == FILE_SCHEMA.keys()
    assert (row["name"], row["bytes"], row["stem"], row["error"]) == ("a/b.tif", 12, "b", "broken")
