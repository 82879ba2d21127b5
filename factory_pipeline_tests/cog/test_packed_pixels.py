"""Parts of packed pixels are those of all of them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.packed_pixels import PackedPixels
from factory_pipeline.cog.reader import ReadWindow, WindowRead
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster

ROWS, WIDTH = 5, 37


def packed(bits: int, order: str = "<") -> tuple[PackedPixels, np.ndarray]:
    numbers = random_values((ROWS, WIDTH), high=2**bits - 1).astype(np.uint16)
    each = numbers[..., None] >> np.arange(bits)[::-1] & 1
    rows = np.packbits(each.astype(np.bool_).reshape(ROWS, WIDTH * bits), axis=1)
    return PackedPixels(rows, WIDTH, bits, np.dtype(f"{order}u2")), numbers


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("order", ["<", ">"])
def test_any_part_is_that_of_all_pixels(bits: int, order: str) -> None:
    pixels, numbers = packed(bits, order)
    assert pixels.size == numbers.size
    whole = pixels.unpack()
    assert whole.dtype == np.uint16
    assert np.array_equal(whole[..., 0], numbers)
    for start, stop in product(range(WIDTH), range(1, WIDTH + 1)):
        if start < stop:
            part = pixels[1:4, start:stop]
            assert part.dtype == np.uint16
            assert np.array_equal(part, numbers[1:4, start:stop])


@pytest.mark.parametrize("windows", [1, 60])
def test_few_windows_and_many_get_their_pixels(tmp_path: Path, windows: int) -> None:
    """Blocks of few windows are unpacked in parts, those of many at once."""
    values = random_values((256, 256), high=2**15 - 1).astype(np.uint16)
    path = tmp_path / "made.tif"
    write_raster(path, values, 10, compress="deflate", nbits=15, blockxsize=128, blockysize=128)
    corners = np.random.default_rng(1).integers(0, 224, (windows, 2)).tolist()
    reads = [
        WindowRead((str(path),), Grid(UTM, LEFT + 10 * column, TOP - 10 * row, 10, 10, 32, 32))
        for row, column in corners
    ]
    for answer, (row, column) in zip(BlockReader().read(reads), corners, strict=True):
        assert isinstance(answer, ReadWindow)
        assert np.array_equal(answer.values, values[row : row + 32, column : column + 32])
