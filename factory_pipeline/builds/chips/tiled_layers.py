"""Layers that come in tiles of degrees, read on the windows of the Sentinel-2 chips."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from factory_pipeline.builds.chips.chip_stack import keep_chips
from factory_pipeline.builds.chips.reading import UNREADABLE, read_stacks
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    Resampling,
    StackRead,
    WindowReader,
)
from factory_pipeline.stac.items import RasterTile
from factory_pipeline.stac.select_products import ITEM_UNUSABLE

TABLE_SCHEMA: dict[str, pl.DataType] = {
    "shot_number": pl.Int64(),
    "tile_names": pl.String(),
    "item_ids": pl.String(),
}
"""Columns of the table of a tiled layer's chips; several tiles are joined by `;`."""


@dataclass(frozen=True)
class TiledWindow:
    """A window of a footprint."""

    shot_number: int
    tiles: tuple[RasterTile, ...]
    """Those that the window touches."""


@dataclass(frozen=True)
class TiledPixels:
    """The windows that were read, in the order in which they were requested."""

    windows: Sequence[TiledWindow]
    values: NDArray[Any]
    """(windows, rows, columns)."""
    valid: NDArray[np.bool_]
    """(windows, rows, columns): where they hold data."""


@dataclass
class TiledLayer:
    """The footprints of a batch that have a chip of one layer, and those that have none."""

    stage: str
    """What the ledger calls the layer."""
    resampling: Resampling
    no_tile: str
    """The reason of a window without a tile."""
    size: int
    """Rows and columns of a window."""
    dtype: DTypeLike
    """Of the pixels."""
    kept: list[TiledWindow] = field(default_factory=list)
    dropped: list[tuple[int, str, str, str]] = field(default_factory=list)

    def drop(self, shot_number: int, reason: str, detail: str) -> None:
        """Note why a footprint has no chip.

        Args:
            shot_number: of the footprint.
            reason: one of those in `reject_ledger`.
            detail: for people.
        """
        self.dropped.append((shot_number, self.stage, reason, detail))

    def read(
        self,
        shot_numbers: Sequence[int],
        grids: Sequence[Grid],
        tiles: Sequence[tuple[RasterTile, ...]],
        reader: WindowReader,
        gaps: Sequence[str] = (),
    ) -> TiledPixels:
        """Read the windows; drop those that touch no tile, or one that can't be read.

        Args:
            shot_numbers: of the footprints.
            grids: their windows.
            tiles: for each window the tiles that it touches.
            reader: reads the windows.
            gaps: for each window what it lacks because items can't be used, else an empty text; those with a
                text are dropped.

        Raises:
            SourceUnavailableError: the archive is away.
        """
        wanted: list[TiledWindow] = []
        windows: list[Grid] = []
        for shot, grid, touched, gap in zip(
            shot_numbers, grids, tiles, gaps or [""] * len(tiles), strict=True
        ):
            if gap:
                self.drop(shot, ITEM_UNUSABLE, gap)
            elif touched:
                wanted.append(TiledWindow(shot, touched))
                windows.append(grid)
            else:
                self.drop(shot, self.no_tile, "The catalog has no tile for the window.")
        shape = len(windows), self.size, self.size
        values, valid = np.zeros(shape, self.dtype), np.zeros(shape, np.bool_)
        failures: dict[int, ReadFailure] = {}

        def take(places: Indices, answer: ReadStack | ReadFailure) -> None:
            if isinstance(answer, ReadFailure):
                failures.update(dict.fromkeys(places.tolist(), answer))
            else:
                values[places], valid[places] = answer.values, answer.valid

        read_stacks(reader, self._stacks(wanted, windows), take)
        for place in sorted(failures):
            self.drop(wanted[place].shot_number, UNREADABLE, failures[place].reason)
        read = [place for place in range(len(wanted)) if place not in failures]
        return TiledPixels(
            [wanted[place] for place in read], keep_chips(values, read), keep_chips(valid, read)
        )

    def _stacks(self, wanted: Sequence[TiledWindow], grids: Sequence[Grid]) -> list[StackRead]:
        """Return the reads of windows: those that touch the same tiles and have one CRS are a stack."""
        alike: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for place, (window, grid) in enumerate(zip(wanted, grids, strict=True)):
            hrefs = tuple(tile.href for tile in window.tiles)
            alike.setdefault((hrefs, grid.epsg), []).append(place)
        return [
            StackRead(
                hrefs,
                GridStack.of([grids[place] for place in places]),
                np.array(places, np.intp),
                self.resampling,
            )
            for (hrefs, _), places in alike.items()
        ]

    @property
    def table(self) -> pl.DataFrame:
        """A row per chip, in TABLE_SCHEMA."""
        rows = [
            (
                window.shot_number,
                ";".join(tile.name for tile in window.tiles),
                ";".join(tile.id for tile in window.tiles),
            )
            for window in self.kept
        ]
        return pl.DataFrame(rows, schema=TABLE_SCHEMA, orient="row")

    @property
    def rejects(self) -> pl.DataFrame:
        """The footprints without a chip, in REJECT_SCHEMA."""
        return pl.DataFrame(self.dropped, schema=REJECT_SCHEMA, orient="row")
