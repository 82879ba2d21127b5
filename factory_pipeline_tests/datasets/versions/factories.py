"""A small data lake: collections of tiny images in a home of their own, annotated as a test needs it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import rasterio
import shapely
from affine import Affine

from factory_pipeline.datalake.registry.records import Collection, CollectionSource, Operation
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_hash, write_annotations
from factory_pipeline.datalake.tables.items import items_hash, write_items_table
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, ITEM_SCHEMA
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home

HEIGHT, WIDTH = 6, 8
ALL_TRAIN = {"train": 100.0, "test": 0.0, "validation": 0.0}
FLIPS = {"IMAGE_LEVEL": [{"id": "FLIP_IMAGE", "properties": [{"id": "FLIP_VERTICAL", "values": [True]}]}]}
"""A copy of every image of train, upside down."""


@dataclass(frozen=True)
class MadeLake:
    """A home with its registry."""

    home: FactoryHome
    registry: Registry

    def add(
        self,
        name: str,
        images: Mapping[str, int],
        metadata: Mapping[str, Sequence[Any]] | None = None,
    ) -> Collection:
        """A collection of three-band GeoTIFFs.

        Args:
            name: of the collection.
            images: ids, each with a number that the image is made of: the same number is the same image.
            metadata: a value per item, by property.
        """
        folder = self.home.root / "media" / name
        folder.mkdir(parents=True)
        rows = [self._item(folder / f"{item}.tif", item, number) for item, number in images.items()]
        items = pl.DataFrame(rows, schema=ITEM_SCHEMA).with_columns(
            pl.Series(f"metadata.{key}", values) for key, values in (metadata or {}).items()
        )
        return self.register(name, items)

    def add_row(self, name: str, path: Path, member: str, row: int, sha256: str | None) -> Collection:
        """A collection of one item, `row`, that is a row of an HDF5 file; the first of three bands is red."""
        with h5py.File(path) as file:
            dataset = file[member]
            height, width = dataset.shape[-2:]
            bands = dataset.shape[1] if dataset.ndim == 4 else 1
            dtype = dataset.dtype.name
        media = {
            "modality": "S2",
            "path": relative_to_home(path, self.home),
            "member": member,
            "row": row,
            "bands": [f"B{band:02}" for band in range(bands)],
            "rgb": None,
            "dtype": dtype,
            "nodata": 0.0,
            "sha256": sha256,
        }
        item = {"id": "row", "width": width, "height": height, "media": [media]}
        return self.register(name, pl.DataFrame([item], schema=ITEM_SCHEMA))

    def register(self, name: str, items: pl.DataFrame) -> Collection:
        """A collection of these items."""
        content_hash = items_hash(items)
        files = self.home.collection(name, content_hash)
        write_items_table(files.items, items, collection=name)
        return self.registry.add_collection(
            name,
            CollectionSource.UPLOAD,
            items_path=relative_to_home(files.items, self.home),
            item_count=items.height,
            content_hash=content_hash,
        )

    def annotate(
        self, collection: Collection, rows: Sequence[Mapping[str, Any]], source: str = "human"
    ) -> Operation:
        """An operation on a collection; see `box`, `polygon`, `mask`, `measured`."""
        blank = dict.fromkeys(ANNOTATION_SCHEMA) | {"metadata": "{}", "attributes": "{}"}
        frame = pl.DataFrame([blank | dict(row) for row in rows], schema=ANNOTATION_SCHEMA)
        content_hash = annotations_hash(frame, source)
        path = self.home.collection(collection.name, collection.content_hash).annotations(content_hash)
        write_annotations(path, frame)
        return self.registry.add_operation(collection.id, source, path=relative_to_home(path, self.home))

    def raster(
        self, name: str, values: Any, dtype: str = "uint8", nodata: float | None = None
    ) -> dict[str, Any]:
        """A label raster on the grid of the images, as an annotation points to it."""
        path = self.home.root / "media" / "labels" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.broadcast_to(np.asarray(values, dtype), (HEIGHT, WIDTH))
        with rasterio.open(
            path, "w", driver="GTiff", height=HEIGHT, width=WIDTH, count=1, dtype=dtype, nodata=nodata
        ) as file:
            file.write(array, 1)
        return _place(path, self.home) | {"nodata": nodata}

    def _item(self, path: Path, item: str, number: int) -> dict[str, Any]:
        values = np.random.default_rng(number).integers(0, 4000, (3, HEIGHT, WIDTH), dtype=np.uint16)
        transform = Affine(10, 0, 500_000 + 100 * number, 0, -10, 10_000)
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=HEIGHT,
            width=WIDTH,
            count=3,
            dtype="uint16",
            crs="EPSG:32631",
            transform=transform,
        ) as file:
            file.write(values)
        west, south = 3 + number / 1000, 0.1
        return {
            "id": item,
            "datetime": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number),
            "geometry": shapely.to_wkb(shapely.box(west, south, west + 0.001, south + 0.001)),
            "bbox": {"xmin": west, "ymin": south, "xmax": west + 0.001, "ymax": south + 0.001},
            "split": None,
            "width": WIDTH,
            "height": HEIGHT,
            "proj:code": "EPSG:32631",
            "proj:transform": list(transform)[:6],
            "media": [
                _place(path, self.home)
                | {
                    "modality": "S2",
                    "bands": ["B04", "B03", "B02"],
                    "rgb": [0, 1, 2],
                    "dtype": "uint16",
                    "nodata": None,
                }
            ],
        }


@contextmanager
def made_lake(folder: Path, where: str | Path | None = None) -> Iterator[MadeLake]:
    """An empty lake."""
    home = FactoryHome(folder)
    registry = Registry.open(where or home.registry)
    try:
        yield MadeLake(home, registry)
    finally:
        registry.close()


def box(item: str, label: str, x: float = 1, **more: Any) -> dict[str, Any]:
    """A rectangle of two by two pixels."""
    return {"item": item, "type": "rectangle", "label": label, "bbox": [float(x), 1.0, 2.0, 2.0], **more}


def polygon(item: str, label: str) -> dict[str, Any]:
    """A square with a hole."""
    rings = [
        [[0.0, 0.0], [5.0, 0.0], [5.0, 5.0], [0.0, 5.0]],
        [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]],
    ]
    return {"item": item, "type": "polygon", "label": label, "bbox": [0.0, 0.0, 5.0, 5.0], "rings": rings}


def mask(item: str, label: str, raster: Mapping[str, Any], value: int) -> dict[str, Any]:
    """One class of a label raster."""
    return {"item": item, "type": "mask", "label": label, "raster": {**raster, "value": value}}


def measured(item: str, label: str, raster: Mapping[str, Any]) -> dict[str, Any]:
    """Measured values."""
    return {"item": item, "type": "raster", "label": label, "raster": {**raster, "value": None}}


def request(**values: Any) -> DatasetRequest:
    """A request for all balloons of the lake, but for what a test says."""
    asked: dict[str, Any] = {
        "dataset_name": None if "dataset_version_id" in values else "Balloons",
        "split_info": ALL_TRAIN,
        "labels": ("Balloon",),
    }
    return DatasetRequest.from_json(asked | values)


def manifest_of(lake: MadeLake, version_id: str) -> dict[str, dict[str, Any]]:
    """The rows of a manifest by name."""
    rows = pl.read_parquet(lake.home.version(version_id).manifest).to_dicts()
    return {row["name"]: row | {"metadata": json.loads(row["metadata"])} for row in rows}


def labels_of(lake: MadeLake, version_id: str) -> dict[str, list[str]]:
    """The labels of each item's annotations by its name."""
    return {
        name: [annotation["label"] for annotation in row["annotations"]]
        for name, row in manifest_of(lake, version_id).items()
    }


def _place(path: Path, home: FactoryHome) -> dict[str, Any]:
    return {
        "path": relative_to_home(path, home),
        "member": None,
        "row": None,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
