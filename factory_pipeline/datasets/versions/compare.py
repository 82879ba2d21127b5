"""Comparing two versions."""

from pathlib import Path

import polars as pl

from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datasets.versions.collection_tables import CONTENT, content_hashes
from factory_pipeline.datasets.versions.manifest import HASHED_ANNOTATIONS, check_manifest, read_rows
from factory_pipeline.datasets.versions.summaries import Comparison
from factory_pipeline.storage.layout import FactoryHome

_ITEMS = {
    "collection": pl.String(),
    "id": pl.String(),
    "content": pl.String(),
    "name": pl.String(),
    "split": pl.String(),
    "said": pl.List(pl.UInt64()),
}


def compare_versions(home: FactoryHome, before: Version, after: Version) -> Comparison:
    """Compare two versions, of one dataset or of two.

    An item is the same in both if it is the same item of the same collection, else if its image is the same.

    Args:
        home: contains both manifests.
        before: the older one.
        after: the newer one.

    Raises:
        LakeError: a manifest is missing, damaged or does not match its version's content hash.
    """
    files = home.version(before.id).manifest, home.version(after.id).manifest
    first, second = (
        check_manifest(path, version.content_hash)
        for path, version in zip(files, (before, after), strict=True)
    )
    one, other = (_items(path) for path in files)
    both = _pair_items(one, other)
    said_more = pl.col("other_said").list.set_difference("said").list.len()
    said_less = pl.col("said").list.set_difference("other_said").list.len()
    counted = both.with_columns(more=said_more, less=said_less)
    changed = counted.filter((pl.col("more") > 0) | (pl.col("less") > 0))
    moved = both.filter(pl.col("split") != pl.col("other_split")).sort("other_name")
    return Comparison(
        before=before.number,
        after=after.number,
        added=_names(other.join(both, left_on="place", right_on="other_place", how="anti")["name"]),
        removed=_names(one.join(both, on="place", how="anti")["name"]),
        moved=tuple(moved.select("other_name", "split", "other_split").iter_rows()),
        reannotated=_names(changed["other_name"]),
        annotations_added=int(changed["more"].sum()),
        annotations_removed=int(changed["less"].sum()),
        labels_added=tuple(label for label in second.labels if label not in first.labels),
        labels_removed=tuple(label for label in first.labels if label not in second.labels),
        augmentations_changed=first.augmentations != second.augmentations,
        is_same=first.content_hash == second.content_hash,
    )


def _items(path: Path) -> pl.DataFrame:
    """`place`, `collection`, `id`, `content`, `name`, `split`, and `said`: a number per annotation."""
    parts = [pl.DataFrame(schema=_ITEMS)]
    for rows in read_rows(path):
        said = HASHED_ANNOTATIONS.list.eval(pl.element().struct.json_encode().hash())
        wanted = rows.select("collection", "id", "name", "split", said.alias("said"), *CONTENT)
        parts.append(wanted.with_columns(content_hashes(wanted)).select(list(_ITEMS)))
    return pl.concat(parts).with_row_index("place")


def _pair_items(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the items that both have; the columns of the other are prefixed with `other_`."""
    other = other.select(pl.all().name.prefix("other_"))
    same = one.join(other.with_columns(collection="other_collection", id="other_id"), on=["collection", "id"])
    left = one.join(same, on="place", how="anti").unique("content", keep="first", maintain_order=True)
    other_left = other.join(same, on="other_place", how="anti").unique(
        "other_content", keep="first", maintain_order=True
    )
    alike = left.join(other_left.with_columns(content="other_content"), on="content")
    return pl.concat([same, alike.select(same.columns)])


def _names(names: pl.Series) -> tuple[str, ...]:
    return tuple(names.sort())
