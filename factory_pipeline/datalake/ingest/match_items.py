"""Finding the items of a collection by the names in annotation files: id, original name, or file."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datalake.tables.schemas import METADATA_PREFIX
from factory_pipeline.errors import LakeError
from factory_pipeline.plain_text import count_noun

ORIGINAL_NAME = f"{METADATA_PREFIX}original_name"
"""The name of an image before it was onboarded, without its suffix."""
ITEMS_AT_ONCE = 65_536
PLACE = ("id", "width", "height", "proj:code", "proj:transform")


@dataclass(frozen=True)
class Item:
    """The properties of an image that drawing on it needs."""

    id: str
    width: int
    height: int
    crs: str | None
    transform: tuple[float, ...] | None

    @property
    def is_georeferenced(self) -> bool:
        """Whether the image is georeferenced."""
        return self.crs is not None and self.transform is not None


def find_named_items(
    path: Path, names: Iterable[str], what: str, name_ending: str = "", match: re.Pattern[str] | None = None
) -> dict[str, Item]:
    """Find the item of each name; names without an item are not in the result.

    A name is an item's id, its original name, or the original or current name of one of its raster files; the
    last extension of a name is ignored. The full path is compared first, then the path without its first
    folders, down to the last part. A name without folders also matches the item whose original name ends with
    it.

    Args:
        path: the items of the collection.
        names: as they are in annotation files.
        what: the annotation file, for the messages.
        name_ending: text after the name of the item in every name, such as `_pred`.
        match: finds the name of the item in every name: its first group, else the full match. Names without a
            match have no item.

    Raises:
        LakeError: no name has an item, one has several, or several in different folders have the same.
    """
    asked = list(dict.fromkeys(names))
    sought = {name: _candidates(name, name_ending, match) for name in asked}
    items = scan_items(path)
    tables = _index_by_name(items, {one for levels in sought.values() for level in levels for one in level})
    tails = _index_by_tail(items, {one for levels in sought.values() for one in (levels or [[]])[0]})
    found: dict[str, Item] = {}
    for name in asked:
        meant = _resolve_name(sought[name], tables, tails)
        if len(meant) > 1:
            raise LakeError(
                f"The name {name!r} in {what} matches several items:"
                f" {', '.join(item.id for item in meant)}; use the id of one."
            )
        if meant:
            found[name] = meant[0]
    _assert_folders_agree(found, what)
    if asked and not found:
        raise LakeError(
            f"None of {count_noun(len(asked), 'image')} in {what}, such as {asked[0]!r}, is an item"
            " of the collection,"
            f" whose items have names such as {_example(path)!r}; if a tool added text before or after"
            " their names, a regular expression can find the names (--match)."
        )
    return found


def item_batches(path: Path) -> Iterator[tuple[list[Item], pl.Series]]:
    """Yield the items of a collection that have a geometry, with it as WKB, in batches."""
    table = scan_items(path).select(*PLACE, "geometry")
    for start in range(0, table.select(pl.len()).collect().item(), ITEMS_AT_ONCE):
        rows = table.slice(start, ITEMS_AT_ONCE).collect().drop_nulls("geometry")
        yield [_item(row) for row in rows.select(PLACE).iter_rows()], rows["geometry"]


def _candidates(name: str, ending: str, match: re.Pattern[str] | None) -> list[list[str]]:
    """Return what a name may match: the full path, then without its first folder, down to its last part."""
    whole = unicodedata.normalize("NFC", name)
    if match is not None:
        hit = match.search(whole)
        if hit is None:
            return []
        whole = (hit[1] if match.groups else hit[0]) or ""
    parts = PurePosixPath(whole.replace("\\", "/")).parts
    levels = [[whole]] if not parts else []
    for start in range(len(parts)):
        tail = PurePosixPath(*parts[start:])
        texts = ([whole] if start == 0 else []) + [str(tail), str(tail.with_suffix(""))]
        levels.append(list(dict.fromkeys(one for text in texts for one in (text, text.removesuffix(ending)))))
    return levels


def _resolve_name(
    levels: list[list[str]], tables: list[dict[str, list[Item]]], tails: dict[str, list[Item]]
) -> list[Item]:
    """Return the items of a name: the longest path first, ids before original names before files."""
    for number, level in enumerate(levels):
        for table in [*tables, *([tails] if number == 0 else [])]:
            for one in level:
                if one in table:
                    return table[one]
    return []


def _assert_folders_agree(found: Mapping[str, Item], what: str) -> None:
    """Raise an error if two names in different folders match one item: one of them would be another image."""
    first: dict[str, str] = {}
    for name, item in found.items():
        other = first.setdefault(item.id, name)
        folders = [PurePosixPath(each.replace("\\", "/")).parent for each in (name, other)]
        if folders[0] != folders[1]:
            raise LakeError(
                f"The names {other!r} and {name!r} in {what} both match the item {item.id}, though their"
                " folders differ; remove the one that is another image, or use ids of items as names."
            )


def _index_by_name(items: pl.LazyFrame, wanted: set[str]) -> list[dict[str, list[Item]]]:
    """Return items by their possible names: by id, by original name, by their files."""
    return [_index_by_key(keyed, wanted) for keyed in _list_keys(items)]


def _index_by_tail(items: pl.LazyFrame, wanted: set[str]) -> dict[str, list[Item]]:
    """Return items by the ends of original names with folders, as far as they are requested."""
    found: dict[str, list[Item]] = {}
    if ORIGINAL_NAME not in items.collect_schema().names() or not wanted:
        return found
    last = pl.col(ORIGINAL_NAME).str.split("/").list.last()
    lasts = {one.rpartition("/")[2] for one in wanted}
    in_folders = pl.col(ORIGINAL_NAME).str.contains("/", literal=True) & last.is_in(list(lasts))
    for original, *place in items.filter(in_folders).select(ORIGINAL_NAME, *PLACE).collect().iter_rows():
        parts = original.split("/")
        for start in range(1, len(parts)):
            if (tail := "/".join(parts[start:])) in wanted:
                found.setdefault(tail, []).append(_item(tuple(place)))
    return found


def _list_keys(items: pl.LazyFrame) -> Iterator[pl.LazyFrame]:
    """Yield items by their possible names (`key`): by id, then by original name, last by their files."""
    yield items.select(*PLACE, key="id")
    named = ORIGINAL_NAME in items.collect_schema().names()
    original = pl.col(ORIGINAL_NAME) if named else pl.lit(None, pl.String)
    if named:
        yield items.select(*PLACE, key=original)
    in_file = pl.element().struct.field("member").is_null()
    files = pl.col("media").list.eval(pl.element().filter(in_file).struct.field("path"))
    stem = pl.col("file").str.extract(r"([^/]*?)(?:\.[^./]*)?$")
    yield (
        items.select(*PLACE, original=original, file=files)
        .explode("file")
        .drop_nulls("file")
        .with_columns(stem=stem)
        # The name of a file is the id and the text after the original name.
        .with_columns(key=pl.concat_list("stem", pl.col("original") + stem.str.strip_prefix(pl.col("id"))))
        .explode("key")
        .select(*PLACE, "key")
    )


def _index_by_key(keyed: pl.LazyFrame, wanted: set[str]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    rows = keyed.filter(pl.col("key").is_in(list(wanted))).unique(["key", "id"], maintain_order=True)
    for key, *place in rows.select("key", *PLACE).collect().iter_rows():
        found.setdefault(key, []).append(_item(tuple(place)))
    return found


def _example(path: Path) -> str:
    """Return the name of an item, as an example."""
    rows = scan_items(path).head(1).collect()
    return str(rows[ORIGINAL_NAME if ORIGINAL_NAME in rows.columns else "id"].first())


def _item(place: tuple[Any, ...]) -> Item:
    name, width, height, crs, transform = place
    return Item(name, width, height, crs, None if transform is None else tuple(transform))
