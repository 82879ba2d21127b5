"""Of a block only the rows that windows need are fetched and inflated, where its compression allows that."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.cog.factories import (
    LEFT,
    TOP,
    UTM,
    layout_of,
    random_values,
    unpacked,
    write_raster,
)
from factory_pipeline_tests.examples import up_to

BLOCK = 512
HEADER = 32768


def noise(seed: int = 0) -> np.ndarray:
    """Four blocks that can't be compressed."""
    return random_values((2 * BLOCK, 2 * BLOCK), seed=seed, high=65535)


def window(root: str, row: int, column: int = 0) -> WindowRead:
    grid = Grid(UTM, LEFT + 10 * column, TOP - 10 * row, 10, 10, 32, 32)
    return WindowRead((f"{root}/made.tif",), grid)


def write(folder: Path, values: np.ndarray) -> Path:
    path = folder / "made.tif"
    write_raster(path, values, 10, blockxsize=BLOCK, blockysize=BLOCK)
    return path


@pytest.mark.integration
@pytest.mark.parametrize("row", [0, 200, 300])
def test_the_end_of_a_block_stays_where_it_is(tmp_path: Path, row: int) -> None:
    values = noise()
    layout, _ = layout_of(str(write(tmp_path, values)))
    with SampleServer(tmp_path) as server:
        [answer] = BlockReader().read([window(server.url, row)])
        sent = sum(count.bytes for count in server.counts().values())

    assert isinstance(answer, ReadWindow)
    np.testing.assert_array_equal(answer.values, values[row : row + 32, :32])
    assert sent - HEADER < 1.15 * int(layout.byte_counts[0]) * (row + 32) / BLOCK


@pytest.mark.integration
def test_a_block_that_is_needed_to_its_end_is_fetched_whole(tmp_path: Path) -> None:
    values = noise()
    layout, _ = layout_of(str(write(tmp_path, values)))
    with SampleServer(tmp_path) as server:
        answers = BlockReader().read([window(server.url, row) for row in (0, 200, 500)])
        sent = sum(count.bytes for count in server.counts().values())
    for answer, row in zip(answers, (0, 200, 500), strict=True):
        assert isinstance(answer, ReadWindow)
        np.testing.assert_array_equal(answer.values, values[row : row + 32, :32])
    # The last window reaches 20 rows into the block below, of which the rest is left out.
    assert sent - HEADER < int(layout.byte_counts[0]) * (1 + 1.15 * 20 / BLOCK) + 2000


@pytest.mark.integration
def test_first_rows_that_take_more_than_their_share_are_fetched_once_more(tmp_path: Path) -> None:
    values = noise()
    values[60:BLOCK] = 7
    write(tmp_path, values)
    with SampleServer(tmp_path) as server:
        [answer] = BlockReader().read([window(server.url, 24)])
        requests = sum(count.requests for count in server.counts().values())

    assert isinstance(answer, ReadWindow)
    np.testing.assert_array_equal(answer.values, values[24:56, :32])
    assert requests == 3, "the header, a part of the block, the block"


def test_a_damaged_part_fails_its_windows(tmp_path: Path) -> None:
    path = write(tmp_path, noise())
    layout, _ = layout_of(str(path))
    content = bytearray(path.read_bytes())
    start = int(layout.offsets[0])
    content[start : start + 2000] = bytes(2000)
    path.write_bytes(content)
    lost, kept = BlockReader().read([window(str(tmp_path), 30), window(str(tmp_path), 30, BLOCK)])
    assert isinstance(lost, ReadFailure)
    assert "its block 0 is damaged" in lost.reason
    assert isinstance(kept, ReadWindow)


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    """Kinds of pixels that are compressed by deflate."""
    dtype = draw(st.sampled_from(["uint8", "int16", "uint16", "uint32", "float32", "float64"]))
    made: dict[str, Any] = {"dtype": dtype, "count": draw(st.sampled_from([1, 3]))}
    kinds = {"f": [1, 2, 3]}.get(np.dtype(dtype).kind, [1, 2])
    made["predictor"] = draw(st.sampled_from(kinds))
    if dtype == "uint16" and made["predictor"] == 1 and draw(st.booleans()):
        made["nbits"] = draw(st.integers(9, 15))
    if draw(st.booleans()):
        made["endianness"] = "big"
    made["interleave"] = draw(st.sampled_from(["pixel", "band"]))
    return made


@given(profile=profiles(), rows=st.integers(1, 48), block=st.integers(0, 3))
@settings(max_examples=up_to(25), deadline=None)
def test_first_rows_are_those_of_the_whole_block(
    tmp_path_factory: pytest.TempPathFactory, profile: dict[str, Any], rows: int, block: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "made.tif"
    values = random_values((96, 96), profile.pop("dtype"))
    write_raster(path, values, compress="deflate", blockxsize=48, blockysize=48, **profile)
    layout, _ = layout_of(str(path))
    offset, size = int(layout.offsets[block]), int(layout.byte_counts[block])
    data = memoryview(path.read_bytes()[offset : offset + size])
    assert layout.decode_top is not None
    top = unpacked(layout.decode_top(data, rows))
    np.testing.assert_array_equal(top, unpacked(layout.decode(data, block))[:rows])
    assert layout.decode_top(data[: size // 20], rows=48) is None
