"""The thumbnails of a version's items, by which images of several uploads that show the same are found."""

from collections.abc import Mapping

import polars as pl

from factory_pipeline.datasets.versions.collection_tables import CollectionTables


def thumbnails_of(items: pl.DataFrame, collections: Mapping[str, CollectionTables]) -> pl.Series:
    """Return the `thumbnail` of each item as bytes, null where its pixels were not looked at.

    Args:
        items: `collection`, `id`.
        collections: those of the items, by id.
    """
    found = [
        table.select(pl.lit(key).alias("collection"), "id", "thumbnail")
        for key in items["collection"].unique(maintain_order=True)
        if (table := collections[key].thumbnails) is not None
    ]
    if not found:
        return pl.Series("thumbnail", [None] * items.height, dtype=pl.Binary)
    known = pl.concat(found).join(
        items.lazy().select("collection", "id"), on=["collection", "id"], how="semi"
    )
    return items.select("collection", "id").join(
        known.collect(engine="streaming"), on=["collection", "id"], how="left", maintain_order="left"
    )["thumbnail"]
