"""Reads the exports of an imported release with the public reader of each format."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import h5py
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import rasterio
import xarray
import yaml
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pyproj import Transformer
from rasterio.features import rasterize

from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datalake.ingest.releases.archives import SIZE
from factory_pipeline_tests.datasets.exports.litdata_reader import litdata_items
from factory_pipeline_tests.datasets.exports.release_reader import Chip, read_release

Masks = Mapping[str, NDArray[Any]]
"""By label: the pixels that have it, or its measured values."""


@dataclass(frozen=True)
class Read:
    """A sample as a reader of a format sees it."""

    split: str
    pixels: NDArray[Any]
    """(bands, rows, columns)"""
    masks: Masks


def box_mask(left: float, top: float, right: float, bottom: float) -> NDArray[np.bool_]:
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[round(top) : round(bottom), round(left) : round(right)] = True
    return mask


def rings_mask(rings: Any) -> NDArray[np.bool_]:
    """The pixels inside of rings whose corners are those of pixels."""
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]}
    return rasterize([shape], (SIZE, SIZE)).astype(np.bool_)


def pixels_in(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as image:
        return image.read()


def of_classes(classes: NDArray[Any], values: Mapping[str, int]) -> Masks:
    found = {label: classes == value for label, value in values.items()}
    return {label: mask for label, mask in found.items() if mask.any()}


def of_annotations(annotations: list[dict[str, Any]], folder: Path) -> Masks:
    masks: dict[str, NDArray[Any]] = {}
    for each in annotations:
        match each["type"]:
            case "rectangle":
                x, y, width, height = each["bbox"]
                masks[each["label"]] = box_mask(x, y, x + width, y + height)
            case "polygon":
                masks[each["label"]] = rings_mask([each["polygon"], *each.get("holes", [])])
            case "raster":
                masks[each["label"]] = pixels_in(folder / each["file"])[0]
    return masks


def read_raw(folder: Path) -> Iterator[tuple[str, Read]]:
    for each in json.loads((folder / "labels.json").read_text())["images"]:
        masks = of_annotations(each["annotations"], folder)
        image = folder / "data" / each["image"]
        yield image.stem, Read(each["split"], pixels_in(image), masks)


def read_yolo_darknet(folder: Path) -> Iterator[tuple[str, Read]]:
    labels = (folder / "obj.names").read_text().split()
    for part, split in {"train": "train", "test": "test", "valid": "validation"}.items():
        for path in (folder / f"obj_{part}_data").glob("*.txt"):
            masks = {}
            for line in path.read_text().splitlines():
                label, x, y, width, height = (float(each) for each in line.split())
                sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                masks[labels[int(label)]] = box_mask(*(SIZE * side for side in sides))
            yield path.stem, Read(split, pixels_in(path.with_suffix(".tif")), masks)


def read_semantic_segmentation(folder: Path) -> Iterator[tuple[str, Read]]:
    for split in SPLITS:
        meta = json.loads((folder / split / "dataset_meta.json").read_text())
        values = {label: int(value) for value, label in meta["label_map"].items() if int(value)}
        for path in (folder / split / "index_masks").glob("*.tif"):
            image = pixels_in(folder / split / "images" / path.name)
            yield path.stem, Read(split, image, of_classes(pixels_in(path)[0], values))


def read_coco(folder: Path) -> Iterator[tuple[str, Read]]:
    for split in SPLITS:
        read = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        for image in read.imgs.values():
            masks = {}
            for each in read.imgToAnns[image["id"]]:
                x, y, width, height = each["bbox"]
                drawn = read.annToMask(each).astype(bool) if each.get("segmentation") else None
                mask = box_mask(x, y, x + width, y + height) if drawn is None else drawn
                masks[read.cats[each["category_id"]]["name"]] = mask
            path = folder / "images" / split / image["file_name"]
            yield path.stem, Read(split, pixels_in(path), masks)


def read_terratorch(folder: Path) -> Iterator[tuple[str, Read]]:
    model = yaml.safe_load((folder / "terratorch.yaml").read_text())["model"]["init_args"]
    names = model.get("class_names")
    with (folder / "index.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            label = pixels_in(folder / "labels" / f"{row['stem']}_label.tif")[0]
            (image,) = folder.glob(f"training_data/*/{row['stem']}_*.tif")
            if names is None:
                masks: Masks = {"agbd": label}
            else:
                masks = of_classes(label, {name: value for value, name in enumerate(names) if value})
            yield row["name"], Read(row["split"], pixels_in(image), masks)


def read_croissant(folder: Path) -> Iterator[tuple[str, Read]]:
    for row in pl.read_parquet(folder / "samples.parquet").iter_rows(named=True):
        masks = of_annotations(json.loads(row["annotations"]), folder)
        if row["target_path"]:
            masks = {"agbd": pixels_in(folder / row["target_path"])[0]}
        yield row["name"], Read(row["split"], pixels_in(folder / row["image_path_image"]), masks)


def read_hdf5(folder: Path) -> Iterator[tuple[str, Read]]:
    for split in SPLITS:
        with h5py.File(folder / f"{split}.h5") as file:
            values = dict(zip(file.attrs["labels"], file.attrs["label_values"], strict=True))
            (images,) = file["images"].values()
            for row, name in enumerate(file["names"].asstr()[:]):
                masks: Masks = {"agbd": file["targets"][row, 0]} if "targets" in file else {}
                if "masks" in file:
                    masks = of_classes(file["masks"][row, 0], values)
                yield name, Read(split, images[row], masks)


def read_parquet(folder: Path) -> Iterator[tuple[str, Read]]:
    for split in SPLITS:
        table = pq.read_table(folder / f"{split}.parquet")
        values = json.loads(table.schema.metadata[b"labels"])
        tensors = [each for each in ("images/image", "masks", "targets") if each in table.column_names]
        arrays = {each: table.column(each).combine_chunks().to_numpy_ndarray() for each in tensors}
        for row, name in enumerate(table.column("name").to_pylist()):
            masks: Masks = {"agbd": arrays["targets"][row, 0]} if "targets" in arrays else {}
            if "masks" in arrays:
                masks = of_classes(arrays["masks"][row, 0], values)
            yield name, Read(split, arrays["images/image"][row], masks)


def read_webdataset(folder: Path) -> Iterator[tuple[str, Read]]:
    values = json.loads((folder / "index.json").read_text())["labels"]
    for shard in folder.glob("*.tar"):
        samples: dict[str, dict[str, bytes]] = {}
        with tarfile.open(shard) as archive:
            for member in archive:
                key, _, part = member.name.partition(".")
                samples.setdefault(key, {})[part] = archive.extractfile(member).read()  # type: ignore[union-attr]
        for parts in samples.values():
            arrays = {part: np.load(io.BytesIO(content)) for part, content in parts.items() if part != "json"}
            masks: Masks = {"agbd": arrays["target.npy"][0]} if "target.npy" in arrays else {}
            if "mask.npy" in arrays:
                masks = of_classes(arrays["mask.npy"][0], values)
            name = json.loads(parts["json"])["name"]
            yield name, Read(shard.name.partition("-")[0], arrays["image.npy"], masks)


def read_hf(folder: Path) -> Iterator[tuple[str, Read]]:
    values = json.loads((folder / "index.json").read_text())["labels"]
    for split, rows in datasets.load_from_disk(str(folder)).items():
        for row in rows.with_format("numpy"):
            masks: Masks = {"agbd": row["targets"][0]} if "targets" in row else {}
            if "masks" in row:
                masks = of_classes(row["masks"][0], values)
            yield row["name"], Read(split, row["images/image"], masks)


def read_zarr(folder: Path) -> Iterator[tuple[str, Read]]:
    for split in SPLITS:
        with xarray.open_zarr(folder / f"{split}.zarr", chunks=None) as rows:
            for row, name in enumerate(rows["name"].values):
                masks: Masks = {"agbd": rows["target"].values[row, 0]} if "target" in rows else {}
                if "mask" in rows:
                    masks = of_classes(rows["mask"].values[row, 0], rows.attrs["labels"])
                yield str(name), Read(split, rows["image_image"].values[row], masks)


def read_litdata(folder: Path) -> Iterator[tuple[str, Read]]:
    values = json.loads((folder / "index.json").read_text())["labels"]
    for split in SPLITS:
        for item in litdata_items(folder / split):
            masks: Masks = {"agbd": item["targets"][0]} if "targets" in item else {}
            if "masks" in item:
                masks = of_classes(item["masks"][0], values)
            yield item["name"], Read(split, item["images/image"], masks)


def read_release_of(folder: Path) -> Iterator[tuple[str, Read]]:
    (archive,) = folder.glob("*.tar.gz")
    release = read_release(archive)
    splits = {each["id"]: each["properties"]["split"] for each in release.bounds}
    for name, chip in release.chips.items():
        masks: dict[str, NDArray[Any]] = {}
        in_degrees = release.meta["label_coordinates"] == "geographic" and chip.geometry
        for label, value in chip.label.items():
            if release.meta["mlType"] == "regression":
                masks[label] = np.full((SIZE, SIZE), np.float32(value))
            elif release.meta["mlType"] == "classification":
                masks |= {label: box_mask(0, 0, SIZE, SIZE)} if value else {}
            for each in value if isinstance(value, list) else []:
                rings = [np.array(ring) for ring in each["coordinates"]]
                if in_degrees:
                    rings = [in_pixels(ring, chip) for ring in rings]
                masks[label] = rings_mask([ring[:-1].tolist() for ring in rings])
        yield name, Read(splits[name], chip.pixels, masks)


def in_pixels(ring: NDArray[np.float64], chip: Chip) -> NDArray[np.float64]:
    """A ring in degrees as pixels of a GeoTIFF."""
    to_map = Transformer.from_crs(4326, chip.crs, always_xy=True)
    return np.stack(~chip.transform @ to_map.transform(*ring.T), axis=1)


READERS: Mapping[str, Callable[[Path], Iterator[tuple[str, Read]]]] = {
    "RAW": read_raw,
    "YOLO Darknet": read_yolo_darknet,
    "Semantic Segmentation": read_semantic_segmentation,
    "COCO": read_coco,
    "TerraTorch": read_terratorch,
    "Croissant": read_croissant,
    "HDF5": read_hdf5,
    "Parquet": read_parquet,
    "WebDataset": read_webdataset,
    "HF": read_hf,
    "Zarr": read_zarr,
    "LitData": read_litdata,
    "Release": read_release_of,
    "Release Pixels": read_release_of,
}
