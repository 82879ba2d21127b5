"""Splits: grouping what overlaps, assigning balanced splits, and proving that nothing leaks.

Windows of 320 m lie at random, as dense as in a GEDI build, so that many overlap; each has one of eight
classes. The share of what overlaps is the same at every size. Each size runs in a process of its own.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks.measure import run_alone
from benchmarks.report import Row, main, table
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.assign import draw_numbers
from factory_pipeline.splits.balance import Classes, assign_groups
from factory_pipeline.splits.groups import OVERLAPPING, group_items
from factory_pipeline.splits.record import SplitRecord

SIZES = (10_000, 100_000, 1_000_000)
SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
PER_KM2 = 2.0


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the numbers of items."""
    rows = [_row(max(1000, round(size * scale))) for size in SIZES]
    columns = ("items", "groups", "pairs", "crossing", "CPU s", "wall s", "CPU us per item", "peak MB")
    return [table("Splits: groups, balance and proof", columns, rows)]


def _row(count: int) -> Row:
    run = run_alone(work, count)
    return (count, *run.result, run.cpu_s, run.seconds, 1e6 * run.cpu_s / count, run.peak_bytes / 1e6)


def work(count: int) -> Callable[[], tuple[int, int, int]]:
    """Make `count` windows; the call that is returned splits them and searches the result for leaks."""
    items = made(count)
    return lambda: split_and_prove(items)


def split_and_prove(items: pl.DataFrame) -> tuple[int, int, int]:
    """Return groups, pairs that overlap, and pairs in different splits."""
    ground = Ground.of(items)
    group = group_items(items, OVERLAPPING, ground=ground)
    classes = Classes.of(items.select("label"))
    split = assign_groups(group, draw_numbers(0, items["stem"]), SHARES, None, classes)
    record = SplitRecord.of(
        items,
        items.select("stem").with_columns(split),
        {},
        promises_zero=True,
        percentages=SHARES,
        classes=classes,
        group=group,
        ground=ground,
    )
    return record.groups, record.leaks.pairs, record.leaks.crossing_pairs


def made(count: int) -> pl.DataFrame:
    """Windows of 32 x 32 pixels in bands of UTM 33, at random places on its grid."""
    rng = np.random.default_rng(0)
    side = 1000 * np.sqrt(count / PER_KM2)
    x, y = (np.round(rng.uniform(0, side, count) / 10) * 10 for _ in range(2))
    zeros, tens = np.zeros(count), np.full(count, 10.0)
    transform = np.stack([tens, zeros, 200_000 + x % 600_000, zeros, -tens, 4_000_000 + y + 0.0], axis=1)
    # Beyond the width of a zone the windows go on in the next one.
    epsg = 32630 + (x // 600_000).astype(int)
    return pl.DataFrame(
        {
            "stem": pl.Series([f"s{number:07d}" for number in range(count)]),
            "sha256": pl.Series([None] * count, dtype=pl.String),
            "epsg": epsg,
            "transform": pl.Series(transform).cast(pl.List(pl.Float64)),
            "width": pl.Series([32] * count),
            "height": pl.Series([32] * count),
            "bounds": pl.Series([None] * count, dtype=pl.List(pl.Float64)),
            "label": rng.choice([f"class {number}" for number in range(8)], count),
        }
    )


if __name__ == "__main__":
    main(benchmark, __doc__)
