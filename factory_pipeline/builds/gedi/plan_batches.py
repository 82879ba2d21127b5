"""Planning batches: which footprints are near each other, and which batches of an earlier plan hold still."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.batches import (
    EXTRA,
    PLAN_COLUMNS,
    BatchPlan,
    CatalogKey,
    PlanFacts,
    StoredPlan,
)
from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA
from factory_pipeline.builds.plan_keys import ROWS_OF_GROUP
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import to_arrow
from factory_pipeline.storage.sort_on_disk import sort_on_disk

_ROW, _CELL = "_row of the plan", "_cell"
_CONTENT = {
    "shot_number": "<i8",
    "delta_time": "<f8",
    "lat_lowestmode": "<f8",
    "lon_lowestmode": "<f8",
    "agbd": "<f4",
    "agbd_se": "<f4",
}
"""The fields that, with the granule's name, decide what is extracted for a footprint."""


def plan_batches(
    subset_by_split: Mapping[str, pl.DataFrame],
    recipe: Recipe,
    earlier: BatchPlan | StoredPlan | None = None,
    catalog: CatalogKey | None = None,
) -> BatchPlan:
    """Divide the subset of each split into batches of `recipe.batch_size` footprints; the last may be short.

    A batch is near in space and time: footprints are ordered by 1-degree cell along a Morton curve and within
    the cell by time. Shots of one pass then are side by side and choose the same product. (In a simulated
    year over 16 cells this order fetched at most 8 % more raster blocks than any could at least, and opened
    fewer products than orders by time, by period or by finer cells.)

    A key such as `train-00017-1f3a5c7e` ends in a digest of the batch's footprints, of what the recipe says
    about extraction, and of the catalog. A batch of the `earlier` plan is kept as it is where the digest of
    its footprints, as they are in the subset now, is still the one in its key; else it is dissolved. All
    other footprints form new batches, numbered after the greatest number that is kept.

    Args:
        subset_by_split: footprints in FOOTPRINT_SCHEMA (and other columns of any name), each shot once.
        recipe: gives the batch size and the extraction digest.
        earlier: the plan that this build had before.
        catalog: where the products and tiles of the batches are searched.
    """
    subsets = {split: subset.lazy() for split, subset in subset_by_split.items()}
    planning = _Planning(subsets, recipe, earlier, catalog or CatalogKey(), _sort_in_memory)
    table = pl.concat([pl.DataFrame(schema=planning.schema), *planning.parts()])
    return BatchPlan(planning.facts(_keys_of(table)), table)


def write_plan(
    path: Path,
    subset_by_split: Mapping[str, pl.LazyFrame],
    recipe: Recipe,
    earlier: StoredPlan | None = None,
    catalog: CatalogKey | None = None,
) -> StoredPlan:
    """Plan and save what `plan_batches` returns, without all footprints in memory.

    Args:
        path: of the plan, which is written atomically; `earlier` may be there.
        subset_by_split: as for `plan_batches`; each is read several times.
        recipe: as for `plan_batches`.
        earlier: as for `plan_batches`.
        catalog: as for `plan_batches`.
    """
    sort = partial(sort_on_disk, folder=path.parent)
    planning = _Planning(subset_by_split, recipe, earlier, catalog or CatalogKey(), sort)
    keys: dict[str, None] = {}
    with atomic_write(path) as temporary:
        columns = to_arrow(pl.DataFrame(schema=planning.schema)).schema
        # A dictionary of the numbers would be larger than these are.
        texts = [name for name, dtype in planning.schema.items() if dtype == pl.String]
        with pq.ParquetWriter(temporary, columns, compression="zstd", use_dictionary=texts) as writer:
            for part in planning.parts():
                keys.update(dict.fromkeys(_keys_of(part)))
                writer.write_table(to_arrow(part), row_group_size=ROWS_OF_GROUP)
            writer.add_key_value_metadata(planning.facts(list(keys)).as_metadata())
    return StoredPlan(path)


def _keys_of(table: pl.DataFrame) -> list[str]:
    return table["batch"].unique(maintain_order=True).to_list()


def _sort_in_memory(rows: pl.LazyFrame, by: Sequence[str]) -> Iterator[pl.DataFrame]:
    yield rows.collect().sort(by)


class _Planning:
    """Division of subsets into batches, part by part."""

    def __init__(
        self,
        subsets: Mapping[str, pl.LazyFrame],
        recipe: Recipe,
        earlier: BatchPlan | StoredPlan | None,
        catalog: CatalogKey,
        sort: Callable[[pl.LazyFrame, Sequence[str]], Iterator[pl.DataFrame]],
    ) -> None:
        """Read the columns of the subsets and the keys of the earlier plan.

        Args:
            subsets: as for `plan_batches`.
            recipe: as for `plan_batches`.
            earlier: as for `plan_batches`.
            catalog: as for `plan_batches`.
            sort: yields the rows of a table in the order of columns, some at a time.
        """
        self._subsets = {split: _rename_extra(subset) for split, subset in subsets.items()}
        self._recipe, self._catalog, self._sort = recipe, catalog, sort
        self._what = f"{recipe.extraction_digest()}{catalog.digest}"
        self._earlier = earlier
        # The file of the earlier plan is replaced before all of this is needed.
        self._earlier_facts = earlier.facts if earlier else None
        self._starts = earlier.starts if earlier else {}
        self.schema = _common_schema([subset.collect_schema() for subset in self._subsets.values()])
        """Of the table of the plan."""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the table of the plan, some batches at a time."""
        for split, subset in self._subsets.items():
            shots, first_number = [pl.Series("shot_number", [], dtype=pl.Int64)], 0
            for batch in self._kept_batches(subset, split):
                shots.append(batch["shot_number"])
                first_number = max(first_number, 1 + _number_of(batch["batch"][0]))
                yield _fit(batch, self.schema)
            kept = pl.concat(shots)
            fresh = subset.join(kept.to_frame().lazy(), on="shot_number", how="anti") if len(kept) else subset
            for part in self._new_batches(fresh, split, first_number):
                yield _fit(part, self.schema)

    def facts(self, keys: Sequence[str]) -> PlanFacts:
        """Return the facts of the plan.

        Args:
            keys: of its batches.
        """
        subset = self._recipe.subset
        facts = PlanFacts(tuple(self._subsets), self._catalog, subset.seed, subset.rule)
        if self._earlier_facts is None:
            return facts
        return replace(facts, change=_change(facts, keys, self._earlier_facts, list(self._starts)))

    def _kept_batches(self, subset: pl.LazyFrame, split: str) -> Iterator[pl.DataFrame]:
        """Yield the batches of the earlier plan that still hold, with the footprints' present values."""
        if self._earlier is None or not self._starts:
            return
        planned = (
            self._earlier.scan()
            .with_row_index(_ROW)
            .filter(pl.col("split") == split)
            .select("shot_number", _ROW)
            .collect()
        )
        keys, starts = list(self._starts), np.array(list(self._starts.values()))
        present = subset.join(planned.lazy(), on="shot_number", how="inner")
        for batch in _by_batch(self._sort(present, [_ROW]), starts):
            number = int(np.searchsorted(starts, batch[_ROW][0], side="right")) - 1
            members = batch.drop(_ROW)
            if keys[number].endswith("-" + batch_digest(members, self._what)):
                yield members.with_columns(
                    split=pl.lit(split),
                    batch=pl.lit(keys[number]),
                    position=(batch[_ROW] - int(starts[number])).cast(pl.Int32),
                )

    def _new_batches(self, fresh: pl.LazyFrame, split: str, first_number: int) -> Iterator[pl.DataFrame]:
        size, number = self._recipe.batch_size, first_number
        waiting = None
        for part in self._sort(fresh.with_columns(_CELLS), [_CELL, "delta_time", "shot_number"]):
            ordered = part.drop(_CELL) if waiting is None else pl.concat([waiting, part.drop(_CELL)])
            ready = ordered.height // size * size
            waiting = ordered.slice(ready)
            yield from self._label(ordered.head(ready), split, number)
            number += ready // size
        if waiting is not None:
            yield from self._label(waiting, split, number)

    def _label(self, ordered: pl.DataFrame, split: str, number: int) -> Iterator[pl.DataFrame]:
        """Yield footprints with their batches, of which only the last may be short; nothing of none."""
        if ordered.is_empty():
            return
        size = self._recipe.batch_size
        keys = [
            f"{split}-{number + place:05d}-{batch_digest(members, self._what)}"
            for place, members in enumerate(ordered.iter_slices(size))
        ]
        row = pl.int_range(pl.len(), dtype=pl.Int32)
        yield ordered.with_columns(
            split=pl.lit(split),
            batch=pl.lit(pl.Series(keys, dtype=pl.String)).gather(row // size),
            position=row % size,
        )


def _rename_extra(subset: pl.LazyFrame) -> pl.LazyFrame:
    names = subset.collect_schema().names()
    return subset.rename({name: f"{EXTRA}{name}" for name in names if name not in FOOTPRINT_SCHEMA})


def _common_schema(schemas: Sequence[pl.Schema]) -> pl.Schema:
    """Return the columns of a plan of such subsets; extra columns that differ in dtype become text."""
    columns: dict[str, pl.DataType] = dict(pl.Schema({**FOOTPRINT_SCHEMA, **PLAN_COLUMNS}))
    for schema in schemas:
        for name, dtype in schema.items():
            known = columns.setdefault(name, dtype)
            if pl.Null() in (known, dtype):
                columns[name] = dtype if known == pl.Null() else known
            elif known != dtype:
                columns[name] = pl.String()
    return pl.Schema(columns)


def _fit(part: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return rows with the columns of a schema; those that are missing are null."""
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in part.columns]
    return part.with_columns(missing).select(list(schema)).cast(schema)


def _by_batch(parts: Iterable[pl.DataFrame], starts: NDArray[np.int64]) -> Iterator[pl.DataFrame]:
    """Yield the rows of each batch of an earlier plan, which may be in two parts; nothing of an empty one.

    Args:
        parts: with the row that each has in the earlier plan, in that order.
        starts: the first row of each batch.
    """
    waiting = None
    for part in parts:
        rows = part if waiting is None else pl.concat([waiting, part])
        waiting = None
        batches = pl.Series(np.searchsorted(starts, rows[_ROW].to_numpy(), side="right"))
        for (_,), batch in rows.group_by(batches.alias("batch"), maintain_order=True):
            if waiting is not None:
                yield waiting
            waiting = batch
    if waiting is not None:
        yield waiting


def _change(facts: PlanFacts, keys: Sequence[str], earlier: PlanFacts, earlier_keys: Sequence[str]) -> str:
    """Return what a user has changed that the earlier batches depend on, and how many of them stay."""
    changed = []
    if facts.catalog.digest != earlier.catalog.digest:
        before = earlier.catalog.name or "another"
        changed.append(f"The catalog is {facts.catalog.name} now, {before} before.")
    if earlier.seed not in (None, facts.seed):
        changed.append(f"The seed of the subset is {facts.seed} now, {earlier.seed} before.")
    if facts.drawn_by != earlier.drawn_by:
        before = earlier.drawn_by or "by day"
        changed.append(f"The subset is drawn {facts.drawn_by or 'by day'} now, {before} before.")
    if not changed:
        return ""
    stay = len(set(keys) & set(earlier_keys))
    return (
        f"{' '.join(changed)} Of the {len(earlier_keys)} batches that were planned {stay} are kept;"
        f" {len(keys) - stay} are made anew."
    )


def _number_of(key: str) -> int:
    return int(key.rsplit("-", 2)[1])


def batch_digest(footprints: pl.DataFrame, what: str) -> str:
    """Return eight hex digits of the SHA-256 over a batch's footprints, in order, and what is extracted.

    Args:
        footprints: of the batch.
        what: the digests of the recipe's extraction and of the catalog.
    """
    content = hashlib.sha256(what.encode())
    for name, dtype in _CONTENT.items():
        content.update(footprints[name].to_numpy().astype(dtype).tobytes())
    content.update("\n".join(footprints["granule"]).encode())
    return content.hexdigest()[:8]


def morton_cells(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return the number of each point's 1-degree cell along a Morton (Z-order) curve over the globe.

    G. M. Morton, A computer oriented geodetic data base, and a new technique in file sequencing (IBM, 1966).

    Args:
        latitude: (n,) degrees.
        longitude: (n,) degrees.
    """
    column = np.floor(longitude + 180).astype(np.uint32)
    row = np.floor(latitude + 90).astype(np.uint32)
    place = np.zeros(column.shape, dtype=np.uint32)
    for bit in range(9):
        place |= ((column >> bit) & 1) << (2 * bit)
        place |= ((row >> bit) & 1) << (2 * bit + 1)
    return place


_CELLS = (
    pl.struct("lat_lowestmode", "lon_lowestmode")
    .map_batches(
        lambda places: pl.Series(morton_cells(*(places.struct[name].to_numpy() for name in (0, 1)))),
        return_dtype=pl.UInt32,
        is_elementwise=True,
    )
    .alias(_CELL)
)
