"""Snapshots in the stac-geoparquet format, as its specification has them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry import shape

from factory_pipeline.stac.query import parse_time
from factory_pipeline_tests.stac.small_stac import Item

TIMES = ("datetime", "start_datetime", "end_datetime")


def columns_of(items: Iterable[Item], unit: str = "us", zone: str | None = "UTC") -> dict[str, pa.Array]:
    """The items as the specification of stac-geoparquet has them: a column per member and property."""
    rows = [{**item, **item["properties"]} for item in items]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names if name != "properties"}
    columns["geometry"] = [shapely.to_wkb(shape(geometry)) for geometry in columns["geometry"]]
    corners = ("xmin", "ymin", "xmax", "ymax")
    columns["bbox"] = [dict(zip(corners, map(float, box), strict=True)) for box in columns["bbox"]]
    arrays = {name: pa.array(values) for name, values in columns.items() if name not in TIMES}
    for name in TIMES:
        if any(columns.get(name, ())):
            times = [parse_time(text) if text else None for text in columns[name]]
            arrays[name] = pa.array(times, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone))
        elif name in columns:
            arrays[name] = pa.nulls(len(rows))
    return arrays


def write_table(path: Path, columns: Mapping[str, pa.Array], rows_per_group: int = 3) -> Path:
    """A snapshot of one collection; few rows per group, so that a search meets several groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    if "geometry" in table.schema.names:
        # Writers mark the geometry as the GeoArrow type that it is.
        marked = table.schema.field("geometry").with_metadata({"ARROW:extension:name": "geoarrow.wkb"})
        table = table.cast(table.schema.set(table.schema.get_field_index("geometry"), marked))
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def write_snapshots(root: Path, items: Iterable[Item]) -> Path:
    """A snapshot per collection, as deep below `root` as the items of `write_catalog`."""
    items = list(items)
    folder = root / "stac" / "snapshots" / "2024"
    for collection in {item["collection"] for item in items}:
        own = [item for item in items if item["collection"] == collection]
        write_table(folder / f"{collection}.parquet", columns_of(own))
    return folder
