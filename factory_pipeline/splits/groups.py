"""Which items fall to one split together: what overlaps, shows the same, or is of one block or region."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.connected_groups import group_numbers

METRES_PER_DEGREE = 111_195.08
"""Of a great circle of the sphere that blocks are laid on."""
_MGRS_SQUARE_M = 100_000


@dataclass(frozen=True)
class Together:
    """What joins items; identical files always do."""

    overlap: bool = True
    """Items whose footprints overlap, which are also all dates of one place."""
    buffer_m: float = 0.0
    """Items nearer to each other than this count as overlapping, in metres."""
    block_m: float | None = None
    """Items whose centres are in one block of this side, in metres."""
    mgrs: bool = False
    """Items whose centres are in one 100 km square of a UTM zone, as a Sentinel-2 tile is."""
    columns: tuple[str, ...] = ()
    """Columns of the items; those with the same value in one of them fall together, null joins nothing."""


IDENTICAL, OVERLAPPING = Together(overlap=False), Together()
"""Only identical files; also what overlaps."""


def group_items(
    items: pl.DataFrame,
    together: Together,
    copies: pl.DataFrame | None = None,
    ground: Ground | None = None,
) -> NDArray[np.int64]:
    """Return the group of each item: the position of its first member.

    Args:
        items: `sha256` (null where unknown), the columns of `imagery.footprints`, those that `together`
            names, and `stem` where there are copies.
        together: what joins items.
        copies: pairs of near-identical items, in leakage.COPIES_SCHEMA.
        ground: where the items are, if that is known.
    """
    return group_numbers(items.height, _pairs(items, together, copies, ground))


def _pairs(
    items: pl.DataFrame, together: Together, copies: pl.DataFrame | None, ground: Ground | None
) -> Iterator[NDArray[np.int64]]:
    yield pairs_of_equal(items["sha256"])
    for column in together.columns:
        yield pairs_of_equal(items[column])
    if copies is not None and copies.height:
        yield _positions(items, copies)
    if not (together.overlap or together.buffer_m > 0 or together.block_m is not None or together.mgrs):
        return
    ground = Ground.of(items) if ground is None else ground
    placed = np.flatnonzero(ground.number >= 0)
    yield placed[pairs_of_equal(pl.Series(ground.number[placed]))]
    first = np.full(len(ground.corners), items.height, dtype=np.int64)
    np.minimum.at(first, ground.number[placed], placed)
    if together.overlap or together.buffer_m > 0:
        for near in ground.pairs(together.buffer_m):
            yield first[near]
    centres = ground.corners.mean(axis=1)
    if together.block_m is not None:
        yield first[pairs_of_equal(blocks(centres, together.block_m))]
    if together.mgrs:
        yield first[pairs_of_equal(mgrs_squares(centres))]


def are_apart(group: NDArray[np.int64], kept: pl.Series) -> bool:
    """Return whether items of one group are in different splits already.

    Args:
        group: (items,) the group of each.
        kept: the split of each item that has one, else null.
    """
    frame = pl.DataFrame({"group": group, "kept": kept}).drop_nulls()
    return bool((frame.group_by("group").agg(pl.col("kept").n_unique())["kept"] > 1).any())


def can_fill(group: NDArray[np.int64], identical: NDArray[np.int64], splits: int) -> bool:
    """Return whether groups of items can fill a number of splits, as far as the items themselves can.

    Args:
        group: (items,) the group of each.
        identical: (items,) the group of each if only identical files are kept together.
        splits: that are to have items.
    """
    return len(np.unique(group)) >= min(splits, len(np.unique(identical)))


def too_few_groups(groups: int, what: str) -> str:
    """Say that overlap was ignored, because otherwise a split would have no items.

    Args:
        groups: into which overlap joins the items.
        what: what an item is called, such as images.
    """
    are = "one group that can't" if groups == 1 else f"{groups} groups that can't"
    return f"The {what} overlap so much that they form {are} fill all splits, so overlap was ignored."


def pairs_of_equal(keys: pl.Series) -> NDArray[np.int64]:
    """Return pairs of positions that join all members of the same key; null joins nothing."""
    known = np.flatnonzero(keys.is_not_null().to_numpy())
    numbers = keys.drop_nulls().rank("dense").to_numpy()
    order = np.argsort(numbers, kind="stable")
    equal = np.flatnonzero(numbers[order[1:]] == numbers[order[:-1]])
    return known[np.stack([order[equal], order[equal + 1]], axis=1)].reshape(-1, 2)


def blocks(centres: NDArray[np.float64], block_m: float) -> pl.Series:
    """Return the block of each place, as text.

    Blocks are rows of `block_m`, cut into columns as wide as that at the row's middle.

    Args:
        centres: (places, 2) longitude and latitude in degrees.
        block_m: side of a block in metres.
    """
    row, column, _ = _block_numbers(centres, block_m)
    frame = pl.DataFrame({"row": row.astype(np.int64), "column": column.astype(np.int64)})
    return frame.select(pl.format("{} {}", "row", "column")).to_series()


def block_bounds(centres: NDArray[np.float64], block_m: float) -> NDArray[np.float64]:
    """Return (places, 4) west, south, east and north, in degrees, of the block of each place.

    Args:
        centres: as for `blocks`; a block has the longitudes around those of its place.
        block_m: side of a block in metres.
    """
    row, column, width = _block_numbers(centres, block_m)
    height = block_m / METRES_PER_DEGREE
    west = column * width - 180 + np.floor((centres[:, 0] + 180) / 360) * 360
    return np.stack([west, row * height, west + width, (row + 1) * height], axis=1)


def _block_numbers(
    centres: NDArray[np.float64], block_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the row and the column of the block of each place, and the width of a column in degrees."""
    row = np.floor(centres[:, 1] * METRES_PER_DEGREE / block_m)
    middle = np.radians(np.clip((row + 0.5) * block_m / METRES_PER_DEGREE, -89.9, 89.9))
    lon = (centres[:, 0] + 180) % 360
    column = np.floor(lon * METRES_PER_DEGREE * np.cos(middle) / block_m)
    return row, column, block_m / METRES_PER_DEGREE / np.cos(middle)


def mgrs_squares(centres: NDArray[np.float64]) -> pl.Series:
    """Return the zone and 100 km square of each place, as text; all zones are 6 degrees wide here.

    Args:
        centres: (places, 2) longitude and latitude in degrees.
    """
    lon = (centres[:, 0] + 180) % 360
    zone = np.floor(lon / 6).astype(int) + 1
    epsg = np.where(centres[:, 1] < 0, 32700, 32600) + zone
    squares = np.full((len(centres), 2), -1, dtype=np.int64)
    for code in np.unique(epsg):
        there = np.flatnonzero(epsg == code)
        x, y = crs_transformer(4326, int(code)).transform(*centres[there].T)
        squares[there] = np.stack([x // _MGRS_SQUARE_M, y // _MGRS_SQUARE_M], axis=1)
    frame = pl.DataFrame({"epsg": epsg, "east": squares[:, 0], "north": squares[:, 1]})
    return frame.select(pl.format("{} {} {}", "epsg", "east", "north")).to_series()


def _positions(items: pl.DataFrame, copies: pl.DataFrame) -> NDArray[np.int64]:
    """Return pairs of stems as pairs of positions."""
    position = items.select("stem").with_row_index("row")
    joined = copies.join(position, on="stem").join(
        position, left_on="other_stem", right_on="stem", suffix="_other"
    )
    return joined.select("row", "row_other").to_numpy().astype(np.int64).reshape(-1, 2)
