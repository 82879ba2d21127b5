"""The batch plan: which footprints are extracted together, under which key."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from factory_pipeline.builds.plan_keys import ROWS_OF_GROUP, PlanKeys, StoredBatches
from factory_pipeline.storage.atomic import atomic_write

PLAN_COLUMNS: dict[str, type[pl.DataType]] = {"split": pl.String, "batch": pl.String, "position": pl.Int32}
"""What the plan adds to the columns of the footprints: `position` is the place in the batch, from 0."""

EXTRA = "extra:"
"""What the names of all other columns begin with in a plan, such as `extra:sensitivity`: a user may give a
column any name, and it never meets a name that the pipeline uses."""


@dataclass(frozen=True)
class CatalogKey:
    """The catalog, which determines with footprints and recipe the content of a batch."""

    name: str = ""
    """How messages call it."""
    digest: str = ""
    """Of its addresses, collections and assets."""


@dataclass(frozen=True)
class PlanFacts:
    """What a plan was made of and by, beside the footprints."""

    splits: tuple[str, ...]
    """Every split, also one without a footprint."""
    catalog: CatalogKey = CatalogKey()
    """The catalog that the batches are extracted from."""
    seed: int | None = None
    """The seed of the subset; None if it is not known."""
    drawn_by: str = ""
    """What the subset is even over, or covers, as its recipe says it; empty for the days."""
    change: str = ""
    """What is another than in the plan before this one, and what that means for its batches; empty where
    catalog, seed and what the subset is drawn by are the same."""

    def as_metadata(self) -> dict[str, str]:
        """Return the facts as key-value metadata of a Parquet file."""
        return {
            "splits": json.dumps(self.splits),
            "catalog": json.dumps([self.catalog.name, self.catalog.digest]),
            "seed": json.dumps(self.seed),
            "drawn_by": self.drawn_by,
            "change": self.change,
        }

    @classmethod
    def load(cls, path: Path) -> "PlanFacts":
        """Read the facts of a saved plan."""
        stored = pl.read_parquet_metadata(path)
        return cls(
            tuple(json.loads(stored["splits"])),
            CatalogKey(*json.loads(stored.get("catalog", '["", ""]'))),
            json.loads(stored.get("seed", "null")),
            stored.get("drawn_by", ""),
            stored.get("change", ""),
        )


class _Plan(PlanKeys, ABC):
    """A plan, in memory or on disk."""

    facts: PlanFacts

    @abstractmethod
    def scan(self) -> pl.LazyFrame:
        """Return the table of the plan, see `BatchPlan.table`, lazily."""

    @property
    def change(self) -> str:
        """As the field of the facts."""
        return self.facts.change

    @property
    def footprints_by_split(self) -> dict[str, int]:
        """Footprints of each split, also where there are none."""
        return {split: sum(self.sizes[key] for key in self.keys_of(split)) for split in self.facts.splits}

    def shots(self, split: str) -> pl.Series:
        """Return the shot numbers of a split, in the order of the plan."""
        return self.scan().filter(pl.col("split") == split).select("shot_number").collect().to_series()


@dataclass(frozen=True)
class BatchPlan(_Plan):
    """All batches of a build, in memory."""

    facts: PlanFacts
    table: pl.DataFrame
    """A row per footprint: FOOTPRINT_SCHEMA, then PLAN_COLUMNS, then other columns, whose names begin with
    EXTRA and which are null in a split that has none of that name; ordered by split, batch and position."""

    def scan(self) -> pl.LazyFrame:
        """Return the table, lazily."""
        return self.table.lazy()

    def batch(self, key: str) -> pl.DataFrame:
        """Return the footprints of one batch, in their order; empty for a key that is not in the plan."""
        return self.table.filter(pl.col("batch") == key)

    def save(self, path: Path) -> None:
        """Write the plan to one Parquet file, atomically."""
        with atomic_write(path) as temporary:
            self.table.write_parquet(
                temporary,
                compression="zstd",
                row_group_size=ROWS_OF_GROUP,
                metadata=self.facts.as_metadata(),
            )

    @classmethod
    def load(cls, path: Path) -> "BatchPlan":
        """Read a saved plan, all of it."""
        return cls(PlanFacts.load(path), pl.read_parquet(path))


class StoredPlan(StoredBatches, _Plan):
    """A plan that `BatchPlan.save` or `write_plan` saved, some batches of it in memory."""

    @cached_property
    def facts(self) -> PlanFacts:  # type: ignore[override]
        """As of the plan that was saved."""
        return PlanFacts.load(self._path)
