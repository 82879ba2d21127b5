"""The filter: which footprints pass the recipe's rules, and to which split they belong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from factory_pipeline.builds.gedi import unusable_footprints
from factory_pipeline.builds.gedi.deduplicate import FirstShots
from factory_pipeline.builds.gedi.footprint_csv import write_shuffled_csv
from factory_pipeline.builds.gedi.granules import FOOTPRINT_SCHEMA, calendar_day
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA, reject_frame
from factory_pipeline.builds.rules import CheckedRule, check_rules, without_nan
from factory_pipeline.config.recipe import Footprints, Recipe
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.parquet import to_arrow

OUTSIDE_AREA = "outside_area"
DUPLICATE_SHOT = "duplicate_shot"
NO_SPLIT = "no_split"


@dataclass(frozen=True)
class QualityCounts:
    """What the filter did."""

    footprints: int
    """How many came in."""
    dropped: Mapping[str, int]
    """By the first rule that a footprint failed, in the order of the rules; then, where there are such
    footprints, `no_place`, `no_time`, `no_biomass`; then `outside_area`, `duplicate_shot`, `no_split`."""
    kept: Mapping[str, int]
    """By split."""


def filter_footprints(files: Sequence[Path], recipe: Recipe, build: BuildFiles) -> QualityCounts:
    """Apply a recipe's rules, area and splits to the Parquet files of an aggregation.

    Writes the footprints of each split as Parquet (in the order of `files`) and as CSV (shuffled, from the
    recipe's seed), and a row in the reject ledger for each footprint that is dropped. A footprint counts for
    the first rule that it fails; null and NaN in a field pass no rule. Whatever the rules are, a footprint
    without a place, a time or a biomass is dropped as `no_place`, `no_time` or `no_biomass`. Of a shot that
    passes more than once the first in the order of `files` is kept. The split is decided by the calendar day
    (UTC) of the exact time. One file at a time is held in memory.

    `files` are those of an Aggregation that was requested the recipe's extra fields.

    Args:
        files: Parquet, in the order in which footprints count.
        recipe: rules, area, splits and seed.
        build: where the results are written.

    Raises:
        RecipeError: a rule can't be parsed, names an unknown column, or fails on the values.
    """
    schema = _schema(files, recipe.footprints)
    rules = check_rules(recipe.footprints.rules, schema)
    sieve = _Sieve(recipe.footprints, rules, FirstShots(files))
    dropped = Counter(dict.fromkeys(_reasons(recipe.footprints), 0))
    kept = Counter(dict.fromkeys(recipe.splits, 0))
    total = 0
    with ExitStack() as stack:
        ledger = _ParquetTable(stack, build.stage_rejects("quality"), pl.Schema(REJECT_SCHEMA))
        tables = {split: _ParquetTable(stack, build.quality(split), schema) for split in recipe.splits}
        for position, path in enumerate(files):
            footprints = _read(path, schema)
            total += footprints.height
            passed, rejects = sieve.sift(position, footprints)
            by_split, homeless = _split(passed, recipe)
            for split, members in by_split.items():
                tables[split].append(members)
                kept[split] += members.height
            rejects.append(homeless)
            for dropped_here in rejects:
                ledger.append(dropped_here)
                dropped.update(dict(dropped_here["reason"].value_counts().iter_rows()))
    for split in recipe.splits:
        write_shuffled_csv(build.quality(split), build.combined_csv(split), recipe.subset.seed)
    counts = {
        reason: count
        for reason, count in dropped.items()
        if count or reason not in unusable_footprints.REASONS
    }
    return QualityCounts(total, counts, dict(kept))


def _schema(files: Sequence[Path], footprints: Footprints) -> pl.Schema:
    """Return the columns of the footprints; an extra field has the dtype of the first file that has it."""
    known = pl.Schema(FOOTPRINT_SCHEMA)
    for name in footprints.extra_fields:
        known.setdefault(name, pl.Null())
    waiting = {name for name, dtype in known.items() if dtype == pl.Null}
    for path in files:
        if not waiting:
            break
        stored = pl.read_parquet_schema(path)
        known.update({name: stored[name] for name in waiting.intersection(stored)})
        waiting -= set(stored)
    return known


def _read(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read the footprints of one file; a field that it lacks is null."""
    stored = pl.read_parquet_schema(path)
    footprints = pl.read_parquet(path, columns=[name for name in schema if name in stored])
    lacking = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in stored]
    return footprints.with_columns(lacking).select(list(schema)).cast(schema)


def _reasons(footprints: Footprints) -> list[str]:
    area = [OUTSIDE_AREA] if footprints.area is not None else []
    rules = [rule.name for rule in footprints.rules]
    return [*rules, *unusable_footprints.REASONS, *area, DUPLICATE_SHOT, NO_SPLIT]


@dataclass(frozen=True)
class _Sieve:
    """The rules, what every sample needs, the area and the search for repeated shots, in this order."""

    footprints: Footprints
    rules: Sequence[CheckedRule]
    first_shots: FirstShots

    def sift(self, position: int, footprints: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        """Return the footprints of one file that pass, and the rejects of each rule."""
        rejects = []
        for rule in self.rules:
            passes = rule.passes(without_nan(footprints))
            dropped = footprints.filter(~passes)
            details = rule.shortcomings(dropped)
            rejects.append(reject_frame(dropped["shot_number"], "quality", rule.name, details))
            footprints = footprints.filter(passes)
        footprints, without = unusable_footprints.part_unusable(footprints, "quality")
        rejects.append(without)
        if self.footprints.area is not None:
            inside = footprints.select(_is_inside(self.footprints.area).fill_null(False)).to_series()
            rejects.append(_reject(footprints, inside, OUTSIDE_AREA, "lies outside the recipe's area"))
            footprints = footprints.filter(inside)
        first = self.first_shots.mark(position, footprints["shot_number"])
        rejects.append(_reject(footprints, first, DUPLICATE_SHOT, "the same shot was already kept"))
        return footprints.filter(first), rejects


def _reject(footprints: pl.DataFrame, passes: pl.Series, reason: str, detail: str) -> pl.DataFrame:
    return reject_frame(footprints["shot_number"].filter(~passes), "quality", reason, detail)


def _is_inside(area: tuple[float, float, float, float]) -> pl.Expr:
    """Return whether a footprint is in the area; west greater than east means across the antimeridian."""
    west, south, east, north = area
    longitude, latitude = pl.col("lon_lowestmode"), pl.col("lat_lowestmode")
    if west <= east:
        between = longitude.is_between(west, east)
    else:
        between = longitude.is_between(west, 180) | longitude.is_between(-180, east)
    return between & latitude.is_between(south, north)


def _split(passed: pl.DataFrame, recipe: Recipe) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Return the footprints of each split, and the rejects that fall into none."""
    days = passed.select(day=calendar_day(pl.col("delta_time"))).to_series()
    members = {}
    homeless = pl.repeat(True, passed.height, eager=True)
    for split, dates in recipe.splits.items():
        inside = days.is_between(dates.start, dates.end).fill_null(False)
        members[split] = passed.filter(inside)
        homeless &= ~inside
    shots = passed["shot_number"].filter(homeless)
    return members, reject_frame(shots, "split", NO_SPLIT, "its day lies in no split of the recipe")


class _ParquetTable:
    """A Parquet file that grows by a row group per append and appears when the stack closes."""

    def __init__(self, stack: ExitStack, path: Path, schema: pl.Schema) -> None:
        temporary = stack.enter_context(atomic_write(path))
        columns = to_arrow(pl.DataFrame(schema=schema)).schema
        self._writer = stack.enter_context(pq.ParquetWriter(temporary, columns, compression="zstd"))

    def append(self, rows: pl.DataFrame) -> None:
        """Add rows; none leaves no trace."""
        if rows.height:
            self._writer.write_table(to_arrow(rows))
