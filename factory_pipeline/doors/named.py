"""The items of a collection as annotation files name them: by id, by original name, or by file."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from factory_pipeline.errors import LakeError
from factory_pipeline.lake.items import scan_items
from factory_pipeline.lake.tables import METADATA_PREFIX

ORIGINAL_NAME = f"{METADATA_PREFIX}original_name"
"""What an image was called before it entered the factory, without its suffix."""
ITEMS_AT_ONCE = 65_536
PLACE = ("id", "width", "height", "proj:code", "proj:transform")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """What must be known of an image to draw on it."""

    id: str
    width: int
    height: int
    crs: str | None
    transform: tuple[float, ...] | None

    @property
    def is_placed(self) -> bool:
        """Whether the image is georeferenced."""
        return self.crs is not None and self.transform is not None


def items_named(path: Path, names: Iterable[str], what: str, name_ending: str = "") -> dict[str, Item]:
    """The item that each name means; names that mean none are left out.

    A name is an item's id, its original name, or the name of one of its raster files as it was or as it is
    now; folders and the last ending of a name do not count.

    Args:
        path: the items of the collection.
        names: as annotation files give them.
        what: the annotation file, for the messages.
        name_ending: what follows the name of the item in every name, such as `_pred`.

    Raises:
        LakeError: no name means an item, or one means several.
    """
    asked = list(dict.fromkeys(names))
    candidates = {name: _candidates(name, name_ending) for name in asked}
    found: dict[str, Item] = {}
    for keyed in _keyed(scan_items(path)):
        left = [name for name in asked if name not in found]
        if not left:
            break
        known = _by_key(keyed, {candidate for name in left for candidate in candidates[name]})
        for name in left:
            items = next((known[candidate] for candidate in candidates[name] if candidate in known), [])
            if len(items) > 1:
                raise LakeError(
                    f"The name {name!r} in {what} means several items:"
                    f" {', '.join(item.id for item in items)}; give the id of one."
                )
            if items:
                found[name] = items[0]
    if asked and not found:
        raise LakeError(
            f"None of the {len(asked)} images in {what}, such as {asked[0]!r}, is an item of the collection,"
            f" whose items have names such as {_example(path)!r}."
        )
    if len(found) < len(asked):
        log.warning("%d of the %d images in %s are no items.", len(asked) - len(found), len(asked), what)
    return found


def item_batches(path: Path) -> Iterator[tuple[list[Item], pl.Series]]:
    """The items of a collection that have a geometry, with it as WKB, some at a time."""
    table = scan_items(path).select(*PLACE, "geometry")
    for start in range(0, table.select(pl.len()).collect().item(), ITEMS_AT_ONCE):
        rows = table.slice(start, ITEMS_AT_ONCE).collect().drop_nulls("geometry")
        yield [_item(row) for row in rows.select(PLACE).iter_rows()], rows["geometry"]


def _candidates(name: str, ending: str) -> list[str]:
    """What the name may stand for, the likeliest first."""
    whole = unicodedata.normalize("NFC", name)
    base = PurePosixPath(whole.replace("\\", "/")).name
    stem = PurePosixPath(base).stem
    return [one for part in (whole, base, stem) for one in dict.fromkeys((part, part.removesuffix(ending)))]


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
