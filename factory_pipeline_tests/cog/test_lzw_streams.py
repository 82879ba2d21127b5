"""Streams of LZW: sound ones pass, and those that lead the decoder astray are refused."""

import io

import imagecodecs
import numpy as np
import pytest
import rasterio
import tifffile

from factory_pipeline.cog.lzw_streams import check_lzw
from factory_pipeline_tests.cog.factories import random_values

CLEAR, END = 256, 257


def stream(*codes: int) -> bytes:
    """Codes of 9 bits."""
    bits = "".join(format(code, "09b") for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def longer_stream(rng: np.random.Generator, *end: int) -> bytes:
    """A stream of as many codes as its table has room for, and then more."""
    sound = imagecodecs.lzw_encode(rng.integers(0, 256, 5000, np.uint8).tobytes())
    codes, width, at = [], 9, 0
    bits = "".join(format(byte, "08b") for byte in sound)
    while True:
        code = int(bits[at : at + width], 2)
        at += width
        codes.append((code, width))
        if code == CLEAR and len(codes) > 1:
            break
        # The table has 258 entries once it is cleared, and one more with each code but the first.
        width = 9 + sum(256 + len(codes) >= limit for limit in (511, 1023, 2047))
    made = "".join(format(code, f"0{width}b") for code, width in [*codes, *((each, 9) for each in end)])
    made += "0" * (-len(made) % 8)
    return int(made, 2).to_bytes(len(made) // 8, "big")


@pytest.mark.parametrize("after", [258, 300, 511])
def test_a_code_that_no_table_has_is_refused(after: int) -> None:
    with pytest.raises(ValueError, match="after it was cleared"):
        check_lzw(stream(CLEAR, after, 65, END))
    with pytest.raises(ValueError, match="after it was cleared"):
        check_lzw(stream(CLEAR, 65, 66, 258, CLEAR, after, END))
    with pytest.raises(ValueError, match="after it was cleared"):
        check_lzw(longer_stream(np.random.default_rng(1), after, END))


def test_what_the_decoder_refuses_or_never_reaches_is_left_to_it() -> None:
    check_lzw(b"")
    check_lzw(b"\x80")
    check_lzw(stream(CLEAR, CLEAR, 65, 400, END))
    check_lzw(stream(CLEAR, 65, END, CLEAR, 400))
    check_lzw(longer_stream(np.random.default_rng(1), 65, 258, END))


@pytest.mark.parametrize("high", [2, 300, 60000])
def test_sound_streams_of_libtiff_and_imagecodecs_pass(high: int) -> None:
    values = random_values((512, 512), high=high)
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "uint16"}
        tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "lzw"}
        with memory.open(**profile, **tiles, crs=32631, transform=rasterio.Affine.scale(10)) as image:
            image.write(values.astype(np.uint16), 1)
        file = io.BytesIO(memory.read())
    page = tifffile.TiffFile(file).pages.first
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        check_lzw(memoryview(file.getvalue())[start : start + count])
    check_lzw(imagecodecs.lzw_encode(values.tobytes()))
