"""Images that end too early: each is named, whatever its codec and bit depth; no pixel is made up."""

import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import rasterio
import tifffile
from PIL import Image

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.headers import read_header
from factory_pipeline.imagery.pixels import strips
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.pairing import headers_readable
from factory_pipeline.onboarding.checks.pixel_checks import pixels_readable
from factory_pipeline_tests.onboarding.uploads import geotiff

RANDOM = np.random.default_rng(5)
RGB = RANDOM.normal(120, 20, (128, 128, 3)).clip(0, 255).astype(np.uint8)
GREY = RGB[..., 0]
DEEP = RANDOM.integers(0, 60_000, (128, 128)).astype(np.uint16)
BITS = (GREY > 120).astype(np.uint8)


def picture(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """A file of Pillow's."""
    stored = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stored, kind, **options)
    return stored.getvalue()


def tiff(pixels: np.ndarray, codec: str, tiled: bool, **options: Any) -> bytes:
    """A TIFF of one or more bands."""
    blocks: dict[str, Any] = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
    return geotiff(
        pixels[None] if pixels.ndim == 2 else pixels, crs=None, compress=codec, **blocks, **options
    )


PICTURES = {
    "png 8 bit": lambda: picture(GREY, "PNG"),
    "png rgb": lambda: picture(RGB, "PNG"),
    "png rgba": lambda: picture(np.dstack([RGB, GREY]), "PNG"),
    "png 16 bit": lambda: picture(DEEP, "PNG"),
    "png 1 bit": lambda: picture(GREY > 120, "PNG"),
    "png palette": lambda: picture(Image.fromarray(RGB).quantize(16), "PNG"),
    "jpeg": lambda: picture(RGB, "JPEG", quality=90),
    "jpeg progressive": lambda: picture(RGB, "JPEG", quality=90, progressive=True),
    "jpeg grey": lambda: picture(GREY, "JPEG"),
}
DEPTHS = {"8": GREY, "16": DEEP, "float": DEEP.astype(np.float32)}
TIFFS = {
    f"{codec} {depth} {'tiles' if tiled else 'strips'}": (pixels, codec, tiled, {})
    for codec in ("none", "lzw", "deflate", "zstd", "packbits", "lzma", "lerc")
    for depth, pixels in DEPTHS.items()
    for tiled in (False, True)
}
TIFFS |= {
    f"{codec} 1 {'tiles' if tiled else 'strips'}": (BITS, codec, tiled, {"nbits": 1})
    for codec in ("none", "lzw", "deflate", "zstd", "packbits", "ccittfax3", "ccittfax4", "ccittrle")
    for tiled in (False, True)
}
TIFFS |= {
    f"{codec} {'tiles' if tiled else 'strips'}": (
        RGB.transpose(2, 0, 1),
        codec,
        tiled,
        {"interleave": "pixel"},
    )
    for codec in ("jpeg", "webp")
    for tiled in (False, True)
}
MADE_UP = [name for name in TIFFS if name.startswith(("jpeg", "ccitt"))]
"""Codecs that only warn where a strip or tile ends too early."""


def read_all(path: Path) -> list[np.ndarray]:
    return [values for values, _ in strips(path)]


def assert_refused(path: Path) -> None:
    """The header or the pixels are refused, the file named."""
    with path.open("rb") as file:
        if read_header(file).error is not None:
            return
    with pytest.raises(OnboardingError, match=rf"{path.name} is truncated or damaged: .+\."):
        read_all(path)


@pytest.mark.parametrize("name", [*PICTURES, *TIFFS])
def test_a_cut_image_is_refused_whatever_its_codec(tmp_path: Path, name: str) -> None:
    if name in PICTURES:
        content = PICTURES[name]()
    else:
        pixels, codec, tiled, options = TIFFS[name]
        content = tiff(pixels, codec, tiled, **options)
    path = tmp_path / "tile.img"
    path.write_bytes(content)
    whole = read_all(path)
    assert len(whole) > 0
    for kept in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * kept)])
        assert_refused(path)
    # A few bytes from the end may be none of the pixels'; then these are still the same.
    path.write_bytes(content[:-3])
    with path.open("rb") as file:
        if read_header(file).error is None:
            with suppress(OnboardingError):
                assert all(map(np.array_equal, read_all(path), whole))


@pytest.mark.parametrize("name", MADE_UP)
def test_a_strip_that_ends_too_early_is_refused(tmp_path: Path, name: str) -> None:
    """The file has all its bytes, but its directory says that a strip in the middle has half of them."""
    pixels, codec, tiled, options = TIFFS[name]
    content = bytearray(tiff(pixels, codec, tiled, **options))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag = file.pages[0].tags[325 if tiled else 279]
        middle = tag.count // 2
        code = {3: "H", 4: "I", 16: "Q"}[int(tag.dtype)]
        at = tag.valueoffset + middle * struct.calcsize(code)
        (size,) = struct.unpack_from(f"<{code}", content, at)
    struct.pack_into(f"<{code}", content, at, size // 2)
    path = tmp_path / "tile.tif"
    path.write_bytes(content)
    assert_refused(path)


def test_one_cut_png_among_five_is_named_and_no_statistic_is_made(tmp_path: Path) -> None:
    for number in range(5):
        content = picture(np.roll(RGB, number, axis=0), "PNG")
        kept = int(len(content) * 0.6) if number == 3 else len(content)
        (tmp_path / f"{number}_rgb.png").write_bytes(content[:kept])
    rows = scan_contents(tmp_path, Suffixes(("_rgb.png",), "_mask.png"), IntakePolicy())
    files = frame_of(rows, CONTENT_SCHEMA).lazy()
    assert headers_readable(files).passed
    check = pixels_readable(files)
    assert check.files == ("3_rgb.png",)
    assert check.message == (
        "Files that are truncated or damaged (its pixels from row 0 on can't be decoded): 3_rgb.png."
    )
    broken = files.filter(pl.col("read_error").is_not_null()).collect()
    assert broken["values"].to_list() == [None]


ICC = bytes(range(256)) * 8


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: picture(RGB, "JPEG", icc_profile=ICC), id="ICC profile first"),
        pytest.param(lambda: picture(RGB, "JPEG", comment=b"made by hand"), id="comment"),
        pytest.param(lambda: without_markers(picture(RGB, "JPEG")), id="neither JFIF nor EXIF"),
        pytest.param(lambda: moved_first(picture(RGB, "JPEG", icc_profile=ICC)), id="ICC before JFIF"),
    ],
)
def test_every_jpeg_is_one(content: Any) -> None:
    header = read_header(io.BytesIO(content()))
    assert (header.error, header.format, header.width, header.bands) == (None, "JPEG", 128, 3)


def test_a_big_tiff_is_one() -> None:
    header = read_header(io.BytesIO(tiff(DEEP, "deflate", True, bigtiff="YES")))
    assert (header.error, header.format, header.dtype) == (None, "GTiff", "uint16")


@pytest.mark.parametrize("content", [b"", b"P", b"hello " * 100, b"GIF89a" + bytes(100), b"\xff\xd8"])
def test_what_no_decoder_recognises_is_said_to_be_no_image(content: bytes) -> None:
    assert read_header(io.BytesIO(content)).error == "it is not a readable TIFF, PNG or JPEG"


def test_no_driver_reads_what_an_image_refers_to(tmp_path: Path) -> None:
    """A VRT or an XML of a service names other files and addresses; none of them is opened."""
    secret = tmp_path / "secret.tif"
    secret.write_bytes(tiff(DEEP, "none", False))
    with rasterio.open(secret) as image:
        assert image.count == 1
    vrt = (
        '<VRTDataset rasterXSize="128" rasterYSize="128"><VRTRasterBand dataType="UInt16" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert read_header(io.BytesIO(vrt.encode())).error == "it is not a readable TIFF, PNG or JPEG"


def segments(jpeg: bytes) -> tuple[list[bytes], bytes]:
    """The segments of a JPEG up to the start of the scan, and the rest."""
    found, position = [], 2
    while jpeg[position + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", jpeg, position + 2)
        found.append(jpeg[position : position + 2 + length])
        position += 2 + length
    return found, jpeg[position:]


def without_markers(jpeg: bytes) -> bytes:
    """A JPEG that begins with its tables."""
    found, rest = segments(jpeg)
    return jpeg[:2] + b"".join(one for one in found if not 0xE0 <= one[1] <= 0xEF) + rest


def moved_first(jpeg: bytes) -> bytes:
    """A JPEG that begins with its ICC profile."""
    found, rest = segments(jpeg)
    return jpeg[:2] + b"".join(sorted(found, key=lambda one: one[1] != 0xE2)) + rest
