"""What differs between two versions."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datasets.versions.collection_tables import CONTENT, content_hashes
from factory_pipeline.datasets.versions.manifest import HASHED_ANNOTATIONS, check_manifest, read_rows
from factory_pipeline.plain_text import plain
from factory_pipeline.storage.layout import FactoryHome

MOST_NAMED = 5
"""Items that a comparison names when it is printed."""
_ITEMS = {
    "collection": pl.String(),
    "id": pl.String(),
    "content": pl.String(),
    "name": pl.String(),
    "split": pl.String(),
    "said": pl.List(pl.UInt64()),
}


@dataclass(frozen=True)
class Comparison:
    """From one version to another; `str()` tells it to a person."""

    before: str
    """Number of the one version."""
    after: str
    """Number of the other."""
    added: tuple[str, ...]
    """Names of items that only the other version has."""
    removed: tuple[str, ...]
    """Names of items that only the one version has."""
    moved: tuple[tuple[str, str, str], ...]
    """Items that changed their split: name, from, to."""
    reannotated: tuple[str, ...]
    """Items of both versions whose annotations differ."""
    annotations_added: int
    """On items of both versions."""
    annotations_removed: int
    """On items of both versions."""
    labels_added: tuple[str, ...]
    labels_removed: tuple[str, ...]
    augmentations_changed: bool
    is_same: bool
    """Whether both have the same content."""

    def __str__(self) -> str:
        first = f"{self.before} -> {self.after}"
        if self.is_same:
            return f"{first}: the same content"
        turns = Counter(f"{before} -> {after}" for _, before, after in self.moved)
        told = [
            ("Items added", _counted(self.added)),
            ("Items removed", _counted(self.removed)),
            ("Items moved", ", ".join(f"{count:,} {turn}" for turn, count in sorted(turns.items()))),
            ("Items annotated anew", _counted(self.reannotated)),
            ("Annotations", _changes(self.annotations_added, self.annotations_removed)),
            ("Labels added", ", ".join(map(plain, self.labels_added))),
            ("Labels removed", ", ".join(map(plain, self.labels_removed))),
            ("Augmentations", "changed" if self.augmentations_changed else ""),
        ]
        lines = [f"{name + ':':<22}{text}" for name, text in told if text]
        return "\n".join([first, *(lines or ["the same items and annotations, otherwise described"])])


def compare_versions(home: FactoryHome, before: Version, after: Version) -> Comparison:
    """Compare two versions, of one dataset or of two.

    An item is the same in both if it is the same item of the same collection, else if its image is the same.

    Raises:
        LakeError: a manifest is missing, broken or not that of its version's content hash.
    """
    files = home.version(before.id).manifest, home.version(after.id).manifest
    first, second = (
        check_manifest(path, version.content_hash)
        for path, version in zip(files, (before, after), strict=True)
    )
    one, other = (_items(path) for path in files)
    both = _paired(one, other)
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


def _paired(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The items that both have; the columns of the other with `other_` before their names."""
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


def _counted(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"{len(names):,} ({', '.join(names[:MOST_NAMED])}{more})"


def _changes(added: int, removed: int) -> str:
    return f"{added:,} added, {removed:,} removed" if added or removed else ""
