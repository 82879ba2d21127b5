"""The items of a version: those that match the query and filter, and those of the version before.

An image in several collections is used once, as the item of the collection that was registered first (that of
the source version before all). Two items of one collection stay two, even if their images are the same: their
measurements may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.candidates import Candidates
from factory_pipeline.datasets.versions.collection_tables import CONTENT, content_hashes
from factory_pipeline.datasets.versions.explain_no_match import no_match_error
from factory_pipeline.datasets.versions.item_ground import GROUND, GROUND_SOURCE, ground_of

CHOSEN = {
    "order": pl.Int64(),
    "collection": pl.String(),
    "id": pl.String(),
    "content": pl.String(),
    "is_new": pl.Boolean(),
    "name": pl.String(),
    "split": pl.String(),
    "given": pl.String(),
    **GROUND,
}
"""Columns of items that are chosen: the turn of their collection, its id, their own, the hash of their
content, whether this request chose them, name and split in the source version, the split that they came with,
and where they are."""
_FROM_SOURCE = -1


@dataclass(frozen=True)
class ItemSelection:
    """The items of a version before they are named and divided."""

    items: pl.DataFrame
    """`collection`, `id`, `content`, `name` and `split` of the source version or null, `given`, the split
    that it came with or null, and GROUND."""
    members: pl.DataFrame
    """Every item whose annotations are used: `collection`, `id`, `is_new`, and the item of the version that
    has its image as `as_collection`, `as_id`.
    """

    def only(self, chosen: pl.Series) -> Self:
        """Return the items for which `chosen` is true, and the members that they stand for."""
        items = self.items.filter(chosen)
        named = items.select(as_collection="collection", as_id="id")
        members = self.members.join(named, on=["as_collection", "as_id"], how="semi", maintain_order="left")
        return replace(self, items=items, members=members)


def choose_items(request: DatasetRequest, candidates: Sequence[Candidates]) -> pl.DataFrame:
    """Return the items that match query and filter, in CHOSEN.

    Args:
        request: with query and filter.
        candidates: that they are applied to.

    Raises:
        ArgumentError: query or filter is not allowed, or no item matches.
        LakeError: the collections are empty, or a table is missing.
    """
    whole = _find_matching_wholes(request, candidates)
    found = []
    for order, each in enumerate(candidates):
        if each.whole is None:
            matching = _select_matching(request, each).select("id", "split", *CONTENT, *GROUND_SOURCE)
        elif each.whole in whole:
            matching = each.items.select("id", "split", *CONTENT, *GROUND_SOURCE)
        else:
            continue
        rows = matching.collect(engine="streaming")
        found.append(
            rows.select(
                pl.lit(order, pl.Int64).alias("order"),
                pl.lit(each.tables.collection.id).alias("collection"),
                "id",
                content_hashes(rows),
                pl.lit(True).alias("is_new"),
                pl.lit(None, pl.String).alias("name"),
                pl.lit(None, pl.String).alias("split"),
                pl.col("split").alias("given"),
                *ground_of(rows),
            )
        )
    chosen = pl.concat([pl.DataFrame(schema=CHOSEN), *found])
    if chosen.is_empty():
        raise no_match_error(request, candidates)
    return chosen


def items_of_source(manifest: pl.LazyFrame) -> pl.DataFrame:
    """Return the items of the version that is updated, in CHOSEN."""
    rows = manifest.select("collection", "id", "name", "split", *CONTENT, *GROUND_SOURCE).collect(
        engine="streaming"
    )
    return rows.with_columns(
        content_hashes(rows),
        *ground_of(rows),
        order=pl.lit(_FROM_SOURCE, pl.Int64),
        is_new=pl.lit(False),
        given=pl.lit(None, pl.String),
    ).select(list(CHOSEN))


def unite(chosen: pl.DataFrame) -> ItemSelection:
    """Remove duplicate items and images.

    Args:
        chosen: in CHOSEN.
    """
    items = chosen.group_by("collection", "id", "content").agg(
        pl.col("order", "name", "split", *GROUND).sort_by("order").first(),
        pl.col("is_new").any(),
        pl.col("given").sort_by("order").drop_nulls().first(),
    )
    items = items.sort("order", "collection", "id")
    first = items.unique("content", keep="first", maintain_order=True)
    items = items.join(
        first.select("content", as_collection="collection", first_id="id"), on="content", how="left"
    )
    shown = items.filter(pl.col("collection") == pl.col("as_collection"))
    twins = shown.select("content", "id", as_collection="collection", as_id="id")
    members = items.join(twins, on=["content", "as_collection", "id"], how="left").select(
        "collection", "id", "is_new", "as_collection", pl.coalesce("as_id", "first_id").alias("as_id")
    )
    columns = "collection", "id", "content", "name", "split", "given", *GROUND
    return ItemSelection(shown.select(columns), members)


def _select_matching(request: DatasetRequest, each: Candidates) -> pl.LazyFrame:
    return matching_items(each.items, each.annotations, request.conditions, request.filter)


def _find_matching_wholes(request: DatasetRequest, candidates: Sequence[Candidates]) -> set[str]:
    """Return the collections or datasets of which an item matches."""
    whole: set[str] = set()
    for each in candidates:
        if each.whole is None or each.whole in whole:
            continue
        if not _select_matching(request, each).select("id").head(1).collect(engine="streaming").is_empty():
            whole.add(each.whole)
    return whole
