"""Chips of layers that come in tiles: each footprint has one, or a reason."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from factory_pipeline.builds.chips.tiled_layers import TABLE_SCHEMA, TiledLayer
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead, WindowReader
from factory_pipeline.stac.items import RasterTile

GRID = Grid(32633, 0, 0, 10, 10, 2, 2)


def tile(name: str) -> RasterTile:
    return RasterTile(f"item {name}", name, (15, 47, 16, 48), f"{name}.tif", 2020)


class _Reader(WindowReader):
    """Fails the tile that is called broken, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[WindowRead] = []

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        self.asked += reads
        pixels = ReadWindow(np.ones((2, 2), np.float32), np.ones((2, 2), np.bool_))
        failure = ReadFailure("broken.tif", "It is broken.", transient=False)
        return [failure if "broken.tif" in read.hrefs else pixels for read in reads]


def test_every_footprint_has_a_chip_or_the_reason_why_not() -> None:
    layer, reader = TiledLayer("dem", Resampling.BILINEAR, "no_dem", 2, np.float32), _Reader()
    tiles = [(tile("a"), tile("b")), (), (tile("broken"),), (tile("a"),)]
    found = layer.read([1, 2, 3, 4], [GRID] * 4, tiles, reader, ["", "", "", "It lacks an asset."])
    assert [window.shot_number for window in found.windows] == [1]
    assert (found.values.tolist(), found.valid.shape) == ([[[1, 1], [1, 1]]], (1, 2, 2))
    assert [read.hrefs for read in reader.asked] == [("a.tif", "b.tif"), ("broken.tif",)]
    assert {read.resampling for read in reader.asked} == {Resampling.BILINEAR}
    layer.kept += found.windows
    assert layer.table.schema == pl.Schema(TABLE_SCHEMA)
    assert layer.table.rows() == [(1, "a;b", "item a;item b")]
    assert layer.rejects.schema == pl.Schema(REJECT_SCHEMA)
    assert layer.rejects.select("shot_number", "stage", "reason").rows() == [
        (2, "dem", "no_dem"),
        (4, "dem", "item_unusable"),
        (3, "dem", "asset_unreadable"),
    ]


def test_nothing_in_gives_empty_tables() -> None:
    layer = TiledLayer("dem", Resampling.BILINEAR, "no_dem", 2, np.float32)
    found = layer.read([], [], [], _Reader())
    assert (found.windows, found.values.shape) == ([], (0, 2, 2))
    assert (layer.table.height, layer.rejects.height) == (0, 0)
