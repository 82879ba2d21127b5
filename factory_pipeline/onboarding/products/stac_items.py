"""`items.parquet`: the images of an onboarded dataset as STAC items in GeoParquet (stac-geoparquet 1.0).

Items are rows, their properties columns, the footprint is WKB in WGS 84 with a bounding box beside it:
https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.geometries import bounds_of, geometries
from factory_pipeline.imagery.parallel_map import slices
from factory_pipeline.stac.geoparquet_metadata import (
    ANY_TIME,
    EDGES,
    PROJECTION,
    STAC_VERSION,
    items_metadata,
)
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.media_types import MEDIA_TYPES, UNKNOWN
from factory_pipeline.storage.parquet import ParquetBatches

TIME = pa.timestamp("us", tz="UTC")
LABEL = "label"
"""Key of the label among the assets."""

_LINK = pa.struct([("href", pa.string()), ("rel", pa.string()), ("type", pa.string())])
_ASSET = pa.struct(
    [("href", pa.string()), ("type", pa.string()), ("title", pa.string()), ("roles", pa.list_(pa.string()))]
)
_BBOX = pa.struct([(edge, pa.float64()) for edge in EDGES])


def write_items(
    path: Path,
    items: pl.LazyFrame,
    split: pl.DataFrame,
    name: str,
    description: str,
) -> None:
    """Write the items of a dataset, one per image and label, a few thousand at a time.

    The columns `split`, `original_name`, `sha256`, `image_path_<modality>` and `label_path` are text, so that
    tables and Croissant can read them without STAC.

    Args:
        path: `items.parquet` in the folder of the dataset, which asset addresses are relative to.
        items: the items of the dataset, in file_names.INDEX_SCHEMA.
        split: `stem`, `split`.
        name: id of the STAC collection.
        description: of the collection.
    """
    found = items.select(pl.col("images").explode().struct.field("modality_tag").unique().sort()).collect()
    tags = found.to_series().drop_nulls().to_list()
    kinds: set[int] = set()
    lying: list[NDArray[np.float64]] = [np.empty((0, 4))]
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        for rows in slices(items, "stem"):
            frame = rows.join(split, on="stem", how="left", maintain_order="left")
            geometry = geometries(footprints(frame))
            bounds = bounds_of(geometry)
            kinds |= set(shapely.get_type_id(geometry[np.isfinite(bounds).all(axis=1)]).tolist())
            lying.append(bounds[np.isfinite(bounds).all(axis=1)])
            file.append(_to_stac(frame, geometry, bounds, tags, name))
        placed = np.concatenate(lying)
        file.describe(items_metadata(name, kinds, _extent(placed) if len(placed) else None, description))


def _to_stac(
    frame: pl.DataFrame,
    footprint: NDArray[Any],
    bounds: NDArray[np.float64],
    tags: list[str],
    name: str,
) -> pa.Table:
    placed = np.atleast_1d(np.isfinite(bounds).all(axis=1))
    images = [{image["modality_tag"]: image["path"] for image in row} for row in frame["images"]]
    height = frame.height
    columns: dict[str, Any] = {
        "type": pa.array(["Feature"] * height),
        "stac_version": pa.array([STAC_VERSION] * height),
        "stac_extensions": pa.array([[PROJECTION]] * height, pa.list_(pa.string())),
        "id": pa.array(frame["stem"].to_list()),
        "geometry": pa.array(shapely.to_wkb(footprint).tolist(), pa.binary()),
        "bbox": pa.array(
            [
                dict(zip(EDGES, row, strict=True)) if there else None
                for row, there in zip(bounds.tolist(), placed, strict=True)
            ],
            _BBOX,
        ),
        "links": pa.array([[]] * height, pa.list_(_LINK)),
        "assets": _assets(images, tags, frame["label"].to_list()),
        "collection": pa.array([name] * height),
        "datetime": pa.array([None] * height, TIME),
        **{name: pa.array([time] * height, TIME) for name, time in ANY_TIME.items()},
        "proj:code": pa.array(
            [None if code is None else f"EPSG:{code}" for code in frame["epsg"]], pa.string()
        ),
        "proj:shape": pa.array(list(zip(frame["height"], frame["width"], strict=True)), pa.list_(pa.int64())),
        "proj:transform": pa.array(frame["transform"].to_list(), pa.list_(pa.float64())),
        "split": pa.array(frame["split"].to_list(), pa.string()),
        "original_name": pa.array(frame["original_name"].to_list(), pa.string()),
        "sha256": pa.array(frame["sha256"].to_list(), pa.string()),
        **{f"image_path_{tag}": pa.array([row.get(tag) for row in images], pa.string()) for tag in tags},
        "label_path": pa.array(frame["label"].to_list(), pa.string()),
    }
    return pa.table(columns)


def _assets(images: list[dict[str, str]], tags: list[str], labels: list[str | None]) -> pa.Array:
    """Return one field per modality and one for the label; null if an image lacks it."""
    fields = [pa.array([_asset(row.get(tag), tag, ["data"]) for row in images], _ASSET) for tag in tags] + [
        pa.array([_asset(label, LABEL, ["labels"]) for label in labels], _ASSET)
    ]
    return pa.StructArray.from_arrays(fields, names=[*tags, LABEL])


def _asset(path: str | None, title: str, roles: list[str]) -> dict[str, Any] | None:
    if path is None:
        return None
    media_type = MEDIA_TYPES.get(Path(path).suffix.lower(), UNKNOWN)
    return {"href": f"./{path}", "type": media_type, "title": title, "roles": roles}


def _extent(bounds: NDArray[np.float64]) -> list[float]:
    """Return the bounds of all items; the globe if one crosses 180 degrees."""
    if (bounds[:, 0] > bounds[:, 2]).any():
        return [-180.0, -90.0, 180.0, 90.0]
    return [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
