"""Which items a version has: those that the query and filter choose, and those of the version before.

An image that lies in several collections is taken once, as the item of the collection that came first (of the
source version before all). Two items of one collection stay two, even if their images are the same: what was
measured on them may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datasets.versions.candidates import Candidates
from factory_pipeline.datasets.versions.collection_tables import CONTENT, content_hashes
from factory_pipeline.datasets.versions.explain_no_match import nothing_matches
from factory_pipeline.datasets.versions.request import VersionRequest

CHOSEN = {
    "order": pl.Int64(),
    "collection": pl.String(),
    "id": pl.String(),
    "content": pl.String(),
    "is_new": pl.Boolean(),
    "name": pl.String(),
    "split": pl.String(),
}
"""Columns of items that are chosen: the turn of their collection, its id, their own, the hash of their
content, whether this request chose them, and name and split in the source version."""
_FROM_SOURCE = -1


@dataclass(frozen=True)
class ItemSelection:
    """The items of a version before they are named and divided."""

    items: pl.DataFrame
    """`collection`, `id`, `content`, `name`, `split`: the last two of the source version or null."""
    members: pl.DataFrame
    """Every item whose annotations count: `collection`, `id`, `is_new`, and the item of the version that
    shows its image as `as_collection`, `as_id`."""


def chosen_by(request: VersionRequest, candidates: Sequence[Candidates]) -> pl.DataFrame:
    """The items that match query and filter, in CHOSEN.

    Raises:
        ArgumentError: query or filter is not allowed, or no item matches.
        LakeError: the collections are empty, or a table is missing.
    """
    whole = _matching_wholes(request, candidates)
    found = []
    for order, each in enumerate(candidates):
        if each.whole is None:
            matching = _matching(request, each).select("id", *CONTENT)
        elif each.whole in whole:
            matching = each.items.select("id", *CONTENT)
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
            )
        )
    chosen = pl.concat([pl.DataFrame(schema=CHOSEN), *found])
    if chosen.is_empty():
        raise nothing_matches(request, candidates)
    return chosen


def items_of_source(manifest: pl.LazyFrame) -> pl.DataFrame:
    """The items of the version that is updated, in CHOSEN."""
    rows = manifest.select("collection", "id", "name", "split", *CONTENT).collect(engine="streaming")
    return rows.with_columns(
        content_hashes(rows), order=pl.lit(_FROM_SOURCE, pl.Int64), is_new=pl.lit(False)
    ).select(list(CHOSEN))


def unite(chosen: pl.DataFrame) -> ItemSelection:
    """Take every item and every image once.

    Args:
        chosen: in CHOSEN.
    """
    items = chosen.group_by("collection", "id", "content").agg(
        pl.col("order", "name", "split").sort_by("order").first(), pl.col("is_new").any()
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
    return ItemSelection(shown.select("collection", "id", "content", "name", "split"), members)


def _matching(request: VersionRequest, each: Candidates) -> pl.LazyFrame:
    return matching_items(each.items, each.annotations, request.query or {}, request.filter or {})


def _matching_wholes(request: VersionRequest, candidates: Sequence[Candidates]) -> set[str]:
    """The collections or datasets of which an item matches."""
    whole: set[str] = set()
    for each in candidates:
        if each.whole is None or each.whole in whole:
            continue
        if not _matching(request, each).select("id").head(1).collect(engine="streaming").is_empty():
            whole.add(each.whole)
    return whole
