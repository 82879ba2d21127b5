"""`items.parquet`: the images of an onboarded dataset as STAC items in GeoParquet (stac-geoparquet 1.0).

Items are rows, their properties columns, the footprint is WKB in WGS 84 with a bounding box beside it:
https://github.com/radiantearth/stac-geoparquet-spec and https://geoparquet.org/releases/v1.1.0.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.geometries import bounds_of, geometries
from factory_pipeline.imagery.row_frames import slices
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

TIME = pl.Datetime("us", "UTC")
LABEL = "label"
"""Key of the label among the assets."""

_LINK = pl.Struct({"href": pl.String, "rel": pl.String, "type": pl.String})
_ASSET = pl.Struct({"href": pl.String, "type": pl.String, "title": pl.String, "roles": pl.List(pl.String)})
_BBOX = pl.Struct(dict.fromkeys(EDGES, pl.Float64))


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
) -> pl.DataFrame:
    # By polars: PyArrow imports pandas, where it is installed, to make an array of a list.
    placed = np.atleast_1d(np.isfinite(bounds).all(axis=1))
    images = [{image["modality_tag"]: image["path"] for image in row} for row in frame["images"]]
    labels = frame["label"].to_list()
    height = frame.height
    text = {
        "split": frame["split"],
        "original_name": frame["original_name"],
        "sha256": frame["sha256"],
        **{f"image_path_{tag}": [row.get(tag) for row in images] for tag in tags},
        "label_path": labels,
    }
    columns: dict[str, tuple[Any, pl.DataType | type[pl.DataType]]] = {
        "type": (["Feature"] * height, pl.String),
        "stac_version": ([STAC_VERSION] * height, pl.String),
        "stac_extensions": ([[PROJECTION]] * height, pl.List(pl.String)),
        "id": (frame["stem"], pl.String),
        "geometry": (shapely.to_wkb(footprint).tolist(), pl.Binary),
        "bbox": (
            [
                dict(zip(EDGES, row, strict=True)) if there else None
                for row, there in zip(bounds.tolist(), placed, strict=True)
            ],
            _BBOX,
        ),
        "links": ([[]] * height, pl.List(_LINK)),
        "assets": _assets(images, tags, labels),
        "collection": ([name] * height, pl.String),
        "datetime": ([None] * height, TIME),
        **{name: ([time] * height, TIME) for name, time in ANY_TIME.items()},
        "proj:code": ([None if code is None else f"EPSG:{code}" for code in frame["epsg"]], pl.String),
        "proj:shape": (list(zip(frame["height"], frame["width"], strict=True)), pl.List(pl.Int64)),
        "proj:transform": (frame["transform"].to_list(), pl.List(pl.Float64)),
        **{name: (values, pl.String) for name, values in text.items()},
    }
    return pl.DataFrame([pl.Series(name, values, kind) for name, (values, kind) in columns.items()])


def _assets(
    images: list[dict[str, str]], tags: list[str], labels: list[str | None]
) -> tuple[list[dict[str, Any]], pl.DataType]:
    """Return one field per modality and one for the label; null if an image lacks it."""
    found = [
        {
            **{tag: _asset(row.get(tag), tag, ["data"]) for tag in tags},
            LABEL: _asset(label, LABEL, ["labels"]),
        }
        for row, label in zip(images, labels, strict=True)
    ]
    return found, pl.Struct(dict.fromkeys([*tags, LABEL], _ASSET))


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
