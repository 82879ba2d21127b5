"""The block engine held against the rasterio reader."""

from collections.abc import Sequence

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadWindow, WindowRead
from factory_pipeline_tests.cog.oracle import assert_same


def assert_readers_agree(reads: Sequence[WindowRead]) -> list[ReadWindow]:
    """All windows, as the block engine reads them."""
    engine = BlockReader()
    windows = []
    for read, answer, other in zip(reads, engine.read(reads), RasterioReader().read(reads), strict=True):
        assert isinstance(answer, ReadWindow), answer
        assert isinstance(other, ReadWindow), other
        assert_same(answer, read, other)
        windows.append(answer)
    assert not engine.fell_back
    return windows
