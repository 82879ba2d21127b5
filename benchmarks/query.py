"""Queries over the data lake: labels, metadata, time and space, on millions of items in Parquet."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cql2
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import shapely

from benchmarks.measure import Run, interleaved, median_run, run_alone
from benchmarks.report import Row, main, met, table
from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, ITEM_SCHEMA

ITEMS = 10_000_000
PART = 500_000
"""Items made at a time."""
ROW_GROUP = 100_000
LABELS, SITES, TAGS = 100, 1000, 50
SIDE = 0.003
"""Degrees that an image is wide and high."""
FIRST, LAST = np.datetime64("2019-01-01", "us"), np.datetime64("2024-01-01", "us")
BANDS = [f"B{number:02}" for number in range(1, 13)]
REPEATS = 3
GOAL_S = 10.0
ONE_BY_ONE = 20_000
"""Items that are matched one after the other."""
ONE_AFTER_OTHER = "`cql2.Expr.matches`, one item after the other"
COLUMNS = (
    "asked",
    "",
    "items found",
    "their ids, s",
    "CPU s",
    "peak MB",
    f"goal {GOAL_S:.0f} s",
    "their rows to a file, s",
    "CPU s",
    "peak MB",
)


@dataclass(frozen=True)
class Asked:
    """What is asked of the lake."""

    query: str = ""
    filter: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.query, *(f"{key}: {value}" for key, value in self.filter.items())]
        return "; ".join(f"`{part}`" for part in parts if part)


NUMBER = Asked("metadata.cloud_cover < 5")
QUERIES = {
    "label": Asked("annotation.label=class 7"),
    "no annotations": Asked("", {"annotation_types": ["raw"]}),
    "text": Asked("metadata.site=site 7"),
    "list": Asked("metadata.Tags=tag 7"),
    "number": NUMBER,
    "time": Asked("", {"from_date": "2021-06-01", "to_date": "2021-06-30"}),
    "box": Asked("", {"bbox": [0, 40, 10, 50]}),
    "box across 180 degrees": Asked("", {"bbox": [170, -20, -170, 0]}),
    "polygon": Asked("S_WITHIN(geometry, POLYGON((-80 -50, 80 -50, 0 50, -80 -50)))"),
    "all of these": Asked(
        "annotation.label=class 7 and metadata.Tags=tag 7",
        {"from_date": "2021-01-01", "to_date": "2022-12-31", "bbox": [-90, -45, 90, 45]},
    ),
    "labels, or, not": Asked(
        "annotation.label=class 7 and not annotation.label=class 8"
        " or annotation.source=human and metadata.cloud_cover < 1"
    ),
}


def benchmark(scale: float) -> list[str]:
    """The tables; `scale` changes the number of items."""
    count = max(1000, round(ITEMS * scale))
    few = min(ONE_BY_ONE, count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items, annotations = write_lake(folder, count)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
        drawn = pl.scan_parquet(annotations).select(pl.len()).collect().item()
        works: dict[str, Callable[[], Run]] = {ONE_AFTER_OTHER: partial(run_alone, one_by_one, items, few)}
        for asked in QUERIES.values():
            works[f"ids {asked}"] = partial(run_alone, ids, items, annotations, asked)
            works[f"rows {asked}"] = partial(run_alone, rows, items, annotations, asked, folder / "found")
        runs = {work: median_run(found) for work, found in interleaved(works, REPEATS).items()}
    title = (
        f"Queries: {count:,} items with {drawn:,} annotations, {size:.2g} GB of Parquet in groups of"
        f" {ROW_GROUP:,} rows"
    )
    found = [
        line(name, asked, runs[f"ids {asked}"], runs[f"rows {asked}"]) for name, asked in QUERIES.items()
    ]
    compared = [
        ("`matching_items`, all items in Parquet", 1e6 * runs[f"ids {NUMBER}"].seconds / count),
        (f"{ONE_AFTER_OTHER}, {few:,} of them in memory", 1e6 * runs[ONE_AFTER_OTHER].seconds / few),
    ]
    return [
        table(title, COLUMNS, found),
        table(f"The reference implementation, with {NUMBER}", ("how", "s per million items"), compared),
    ]


def line(name: str, asked: Asked, ids: Run, rows: Run) -> Row:
    """One query."""
    goal = met(ids.seconds <= GOAL_S)
    measured = (
        ids.seconds,
        ids.cpu_s,
        ids.peak_bytes / 1e6,
        goal,
        rows.seconds,
        rows.cpu_s,
        rows.peak_bytes / 1e6,
    )
    return (name, str(asked), ids.result, *measured)


def ids(items: Path, annotations: Path, asked: Asked) -> Callable[[], int]:
    """The ids of what matches; gives their number."""
    return lambda: matching(items, annotations, asked).select("id").collect(engine="streaming").height


def rows(items: Path, annotations: Path, asked: Asked, out: Path) -> Callable[[], None]:
    """All columns of what matches, into a Parquet file."""
    return lambda: matching(items, annotations, asked).sink_parquet(out)


def matching(items: Path, annotations: Path, asked: Asked) -> pl.LazyFrame:
    """The query from its text on."""
    return matching_items(pl.scan_parquet(items), pl.scan_parquet(annotations), asked.query, asked.filter)


def one_by_one(items: Path, count: int) -> Callable[[], int]:
    """The matcher of the package that parses CQL2, which knows one item at a time."""
    clouds = pl.scan_parquet(items).head(count).select("metadata.cloud_cover").collect().to_series()
    documents = [{"metadata": {"cloud_cover": cloud}} for cloud in clouds]
    expression = cql2.Expr(parse_query(NUMBER.query))
    return lambda: sum(expression.matches(document) for document in documents)


def write_lake(folder: Path, count: int) -> tuple[Path, Path]:
    """A collection whose items lie in no order of time or place, and its annotations."""
    items, annotations = folder / "items.parquet", folder / "annotations.parquet"
    write_parts(items, (made_items(start, length) for start, length in parts(count)))
    write_parts(annotations, (made_annotations(start, length) for start, length in parts(count)))
    return items, annotations


def parts(count: int) -> Iterator[tuple[int, int]]:
    """First item and number of items of each part."""
    return ((start, min(PART, count - start)) for start in range(0, count, PART))


def write_parts(path: Path, frames: Iterable[pl.DataFrame]) -> None:
    """One Parquet file, a frame at a time in memory."""
    writer = None
    for frame in frames:
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer:
        writer.close()


def made_items(start: int, count: int) -> pl.DataFrame:
    """Items as a GEDI build has them, with a site, two tags and a cloud cover."""
    rng = np.random.default_rng([0, start])
    west, south = rng.uniform(-179.9, 179.9, count), rng.uniform(-60, 60, count)
    east, north = west + SIDE, south + SIDE
    digests = rng.bytes(32 * count).hex()
    tags = rng.integers(0, TAGS, (count, 2))
    origin, zone = pl.col("row") * 10.0, ((pl.col("xmin") + 180) // 6).cast(pl.Int64)
    return (
        pl.DataFrame(
            {
                "row": np.arange(start, start + count),
                "datetime": pl.Series(rng.integers(FIRST.astype(int), LAST.astype(int), count)),
                "geometry": pl.Series(shapely.to_wkb(shapely.box(west, south, east, north)), dtype=pl.Binary),
                "xmin": west,
                "ymin": south,
                "xmax": east,
                "ymax": north,
                "sha256": [digests[place : place + 64] for place in range(0, 64 * count, 64)],
                "cloud": rng.uniform(0, 100, count),
                "site": rng.integers(0, SITES, count),
                "first": tags[:, 0],
                "second": tags[:, 1],
            }
        )
        .select(
            id=item_ids(pl.col("row")),
            datetime=pl.col("datetime").cast(ITEM_SCHEMA["datetime"]),
            geometry="geometry",
            bbox=pl.struct("xmin", "ymin", "xmax", "ymax"),
            split=pl.when(pl.col("row") % 5 == 0).then(pl.lit("test")).otherwise(pl.lit("train")),
            width=pl.lit(32, pl.Int64),
            height=pl.lit(32, pl.Int64),
            **{"proj:code": pl.format("EPSG:{}", 32601 + zone)},
            **{
                "proj:transform": pl.concat_list(
                    pl.lit(10.0), pl.lit(0.0), origin, pl.lit(0.0), pl.lit(-10.0), origin
                )
            },
            media=pl.concat_list(
                pl.struct(
                    modality=pl.lit("Sentinel-2 L2A"),
                    path=pl.lit("builds/one/train.h5"),
                    member=pl.lit("data/Sentinel-2 L2A"),
                    row=pl.col("row"),
                    bands=pl.concat_list(pl.lit(band) for band in BANDS),
                    rgb=pl.concat_list(pl.lit(place) for place in (3, 2, 1)),
                    dtype=pl.lit("uint16"),
                    nodata=pl.lit(0.0),
                    sha256="sha256",
                )
            ),
            **{"metadata.cloud_cover": "cloud"},
            **{"metadata.site": pl.format("site {}", "site")},
            **{"metadata.Tags": pl.concat_list(pl.format("tag {}", "first"), pl.format("tag {}", "second"))},
        )
        .cast(pl.Schema(ITEM_SCHEMA))
    )


def made_annotations(start: int, count: int) -> pl.DataFrame:
    """Up to four rectangles per item, drawn by hand and by a model."""
    rng = np.random.default_rng([1, start])
    item = np.repeat(np.arange(start, start + count), rng.integers(0, 5, count))
    return (
        pl.DataFrame(
            {
                "row": item,
                "label": rng.integers(0, LABELS, item.size),
                "x": rng.uniform(0, 16, item.size),
                "y": rng.uniform(0, 16, item.size),
                "human": rng.random(item.size) < 0.2,
                "confidence": rng.random(item.size),
            }
        )
        .select(
            item=item_ids(pl.col("row")),
            type=pl.lit("rectangle"),
            label=pl.format("class {}", "label"),
            bbox=pl.concat_list("x", "y", pl.lit(8.0), pl.lit(8.0)),
            rings=pl.lit(None, ANNOTATION_SCHEMA["rings"]),
            raster=pl.lit(None, ANNOTATION_SCHEMA["raster"]),
            confidence=pl.when(~pl.col("human")).then("confidence"),
            metadata=pl.lit("{}"),
            attributes=pl.lit("{}"),
            operation=pl.when("human").then(pl.lit("drawn")).otherwise(pl.lit("model")),
            source=pl.when("human").then(pl.lit("human")).otherwise(pl.lit("machine")),
        )
        .cast(pl.Schema(ANNOTATION_SCHEMA))
    )


def item_ids(number: pl.Expr) -> pl.Expr:
    """Text as long as the shot number of GEDI."""
    return pl.format("2020{}", number.cast(pl.String).str.zfill(13))


if __name__ == "__main__":
    main(benchmark, __doc__)
