"""The items of a collection as annotation files name them: by id, by original name, or by file."""

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

ORIGINAL_NAME = f"{METADATA_PREFIX}original_name"
"""What an image was called before it entered the factory, without its suffix."""
ITEMS_AT_ONCE = 65_536
PLACE = ("id", "width", "height", "proj:code", "proj:transform")


@dataclass(frozen=True)
class Item:
    """What must be known of an image to draw on it."""

    id: str
    width: int
    height: int
    crs: str | None
    transform: tuple[float, ...] | None

    @property
    def is_georeferenced(self) -> bool:
        """Whether the image is georeferenced."""
        return self.crs is not None and self.transform is not None


def items_named(
    path: Path, names: Iterable[str], what: str, name_ending: str = "", match: re.Pattern[str] | None = None
) -> dict[str, Item]:
    """The item that each name means; names that mean none are left out.

    A name is an item's id, its original name, or the name of one of its raster files as it was or as it is
    now; the last ending of a name does not count. Paths are compared as a whole first, then without their
    first folders, down to the last part. A name without folders also means the item whose original name ends
    in it.

    Args:
        path: the items of the collection.
        names: as annotation files give them.
        what: the annotation file, for the messages.
        name_ending: what follows the name of the item in every name, such as `_pred`.
        match: finds the name of the item in every name: its first group, else all that it matches. Names in
            which it finds nothing mean no item.

    Raises:
        LakeError: no name means an item, one means several, or several of different folders mean one.
    """
    asked = list(dict.fromkeys(names))
    sought = {name: _candidates(name, name_ending, match) for name in asked}
    items = scan_items(path)
    tables = _by_name(items, {one for levels in sought.values() for level in levels for one in level})
    tails = _by_tail(items, {one for levels in sought.values() for one in (levels or [[]])[0]})
    found: dict[str, Item] = {}
    for name in asked:
        meant = _meant(sought[name], tables, tails)
        if len(meant) > 1:
            raise LakeError(
                f"The name {name!r} in {what} means several items:"
                f" {', '.join(item.id for item in meant)}; give the id of one."
            )
        if meant:
            found[name] = meant[0]
    _see_that_folders_agree(found, what)
    if asked and not found:
        raise LakeError(
            f"None of the {len(asked)} images in {what}, such as {asked[0]!r}, is an item of the collection,"
            f" whose items have names such as {_example(path)!r}; if a tool put something before or behind"
            " their names, a regular expression can find the names (--match)."
        )
    return found


def item_batches(path: Path) -> Iterator[tuple[list[Item], pl.Series]]:
    """The items of a collection that have a geometry, with it as WKB, some at a time."""
    table = scan_items(path).select(*PLACE, "geometry")
    for start in range(0, table.select(pl.len()).collect().item(), ITEMS_AT_ONCE):
        rows = table.slice(start, ITEMS_AT_ONCE).collect().drop_nulls("geometry")
        yield [_item(row) for row in rows.select(PLACE).iter_rows()], rows["geometry"]


def _candidates(name: str, ending: str, match: re.Pattern[str] | None) -> list[list[str]]:
    """What a name may stand for: as a whole, then without its first folder, and so on to its last part."""
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


def _meant(
    levels: list[list[str]], tables: list[dict[str, list[Item]]], tails: dict[str, list[Item]]
) -> list[Item]:
    """The items that a name means: the longest path first, ids before original names before files."""
    for number, level in enumerate(levels):
        for table in [*tables, *([tails] if number == 0 else [])]:
            for one in level:
                if one in table:
                    return table[one]
    return []


def _see_that_folders_agree(found: Mapping[str, Item], what: str) -> None:
    """See that no two names of different folders mean one item: one of them would be another image."""
    first: dict[str, str] = {}
    for name, item in found.items():
        other = first.setdefault(item.id, name)
        folders = [PurePosixPath(each.replace("\\", "/")).parent for each in (name, other)]
        if folders[0] != folders[1]:
            raise LakeError(
                f"The names {other!r} and {name!r} in {what} both mean the item {item.id}, though their"
                " folders differ; leave out the one that is another image, or give ids of items as names."
            )


def _by_name(items: pl.LazyFrame, wanted: set[str]) -> list[dict[str, list[Item]]]:
    """Items by what they may be called: by id, by original name, by their files."""
    return [_by_key(keyed, wanted) for keyed in _keyed(items)]


def _by_tail(items: pl.LazyFrame, wanted: set[str]) -> dict[str, list[Item]]:
    """Items by the ends of original names with folders, as far as they are wanted."""
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


def _keyed(items: pl.LazyFrame) -> Iterator[pl.LazyFrame]:
    """Items by what they may be called (`key`): first by id, then by original name, last by their files."""
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
        # A file is called by the id and what followed the original name.
        .with_columns(key=pl.concat_list("stem", pl.col("original") + stem.str.strip_prefix(pl.col("id"))))
        .explode("key")
        .select(*PLACE, "key")
    )


def _by_key(keyed: pl.LazyFrame, wanted: set[str]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    rows = keyed.filter(pl.col("key").is_in(list(wanted))).unique(["key", "id"], maintain_order=True)
    for key, *place in rows.select("key", *PLACE).collect().iter_rows():
        found.setdefault(key, []).append(_item(tuple(place)))
    return found


def _example(path: Path) -> str:
    """A name that an item has."""
    rows = scan_items(path).head(1).collect()
    return str(rows[ORIGINAL_NAME if ORIGINAL_NAME in rows.columns else "id"].first())


def _item(place: tuple[Any, ...]) -> Item:
    name, width, height, crs, transform = place
    return Item(name, width, height, crs, None if transform is None else tuple(transform))
