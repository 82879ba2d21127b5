"""Drawing the items of a version from those that match: evenly over strata, or as different as possible."""

import hashlib
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.datasets.subset import BANDS, LABEL, TILE, Subset
from factory_pipeline.datasets.versions.band_statistics import band_statistics
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.split_properties import plain_values, property_values
from factory_pipeline.errors import ArgumentError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.splits.draw_subset import draw_apart, draw_evenly, ranks_of
from factory_pipeline.splits.groups import mgrs_squares
from factory_pipeline.splits.strata import as_strata


def draw_items(
    items: pl.DataFrame,
    subset: Subset,
    collections: Mapping[str, CollectionTables],
    labels: pl.Series | None = None,
) -> pl.Series:
    """Return which items are drawn; all where there are not more than the size of the subset.

    Items of a source version are always drawn, and count. Which others are depends on the seed and on the
    content and ids of the items, not on their order.

    Args:
        items: `collection`, `id`, `content`, `split` of the source version (null for an item that is new),
            and the columns of `imagery.footprints`.
        subset: how many, and by what.
        collections: those of the items, by id.
        labels: a list of labels per item, null for none.

    Returns:
        True for an item that is drawn.

    Raises:
        ArgumentError: the items have no such property or one of another kind, their bands differ, or the
            source version has more items than the subset.
        LakeError: a table or a raster is missing or damaged.
    """
    kept = items["split"].is_not_null().to_numpy()
    if kept.sum() > subset.size:
        raise ArgumentError(
            "subset.size",
            subset.size,
            f"the source version has {int(kept.sum()):,} items, which stay; it must be at least as many",
        )
    if items.height <= subset.size:
        return pl.Series([True] * items.height, dtype=pl.Boolean)
    key = _keys(subset.seed, (items["content"] + " " + items["id"]).to_list())
    if subset.cover:
        return pl.Series(draw_apart(_points(items, subset.cover, collections), key, kept, subset.size))
    stratum, names = _strata(items, subset.by, collections, labels)
    return pl.Series(draw_evenly(stratum, key, kept, subset.size, _keys(subset.seed, names)))


def _strata(
    items: pl.DataFrame,
    by: tuple[str, ...],
    collections: Mapping[str, CollectionTables],
    labels: pl.Series | None,
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number of the stratum of each item, and their names in the order of the numbers."""
    if not by:
        return np.zeros(items.height, np.int64), [""]
    columns = []
    for index, name in enumerate(by):
        if name == LABEL:
            values = _rarest(labels, items.height)
        elif name == TILE:
            values = _tiles(items)
        else:
            values = as_strata(plain_values(items, name, f"subset.by[{index}]", collections))
        columns.append(values.cast(pl.String).fill_null("").alias(f"of {index}"))
    joined = pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator="\n")).to_series()
    names = joined.unique().sort()
    numbers = joined.replace_strict(names, pl.int_range(len(names), eager=True), return_dtype=pl.Int64)
    return numbers.to_numpy(), names.to_list()


def _rarest(labels: pl.Series | None, count: int) -> pl.Series:
    """Return the label of each item that the fewest items have, the first by name of several."""
    if labels is None:
        return pl.Series([None] * count, dtype=pl.String)
    each = pl.DataFrame({"row": pl.int_range(count, eager=True), "label": labels})
    each = each.explode("label", empty_as_null=False).drop_nulls().unique()
    rarest = (
        each.with_columns(items=pl.len().over("label"))
        .sort("row", "items", "label")
        .unique("row", keep="first", maintain_order=True)
    )
    rows = pl.DataFrame({"row": pl.int_range(count, eager=True)})
    return rows.join(rarest, on="row", how="left", maintain_order="left")["label"]


def _tiles(items: pl.DataFrame) -> pl.Series:
    centres = footprints(items).mean(axis=1)
    placed = np.isfinite(centres).all(axis=1)
    tiles = np.full(items.height, None, dtype=object)
    if placed.any():
        tiles[placed] = mgrs_squares(centres[placed]).to_list()
    return pl.Series(tiles.tolist(), dtype=pl.String)


def _points(
    items: pl.DataFrame, cover: tuple[str, ...], collections: Mapping[str, CollectionTables]
) -> NDArray[np.float64]:
    """Return the place of each item: ranks of numbers, embeddings as vectors of length one."""
    parts = []
    for index, name in enumerate(cover):
        argument = f"subset.cover[{index}]"
        if name == BANDS:
            parts.append(ranks_of(band_statistics(items, collections, argument)))
            continue
        values = property_values(items, name, argument, collections)
        if values.dtype.is_numeric():
            number = values.cast(pl.Float64).fill_nan(None).alias("number")
            parts.append(ranks_of(pl.DataFrame([number])))
        elif isinstance(values.dtype, pl.List | pl.Array) and values.dtype.inner.is_numeric():
            parts.append(_directions(values, name, argument))
        else:
            raise ArgumentError(argument, name, "its values must be numbers or lists of numbers")
    return np.concatenate(parts, axis=1)


def _directions(values: pl.Series, name: str, argument: str) -> NDArray[np.float64]:
    """Return (items, length) lists of numbers as vectors of length one; zero where there is none."""
    lists = values.cast(pl.List(pl.Float64))
    lengths = lists.list.len().drop_nulls().unique().sort()
    if len(lengths) != 1 or not lengths[0]:
        found = ", ".join(map(str, lengths.to_list())) or "none"
        raise ArgumentError(argument, name, f"its lists must have one length, and they have {found}")
    vectors = np.zeros((len(lists), int(lengths[0])))
    known = lists.is_not_null().to_numpy()
    vectors[known] = np.nan_to_num(
        lists.drop_nulls().explode().to_numpy().astype(np.float64).reshape(-1, vectors.shape[1])
    )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


def _keys(seed: int, names: list[str]) -> NDArray[np.uint64]:
    """Return a random-looking number for each name, that depends on the seed and the name alone."""
    return np.array(
        [
            int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "backslashreplace")).digest()[:8])
            for name in names
        ],
        dtype=np.uint64,
    )
