"""Releases of each type of label, through the lake, in every format, read by public readers."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import h5py
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import xarray
import yaml
from affine import Affine
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pyproj import Transformer
from rasterio.features import rasterize

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    SIZE,
    box,
    feature,
    outline,
    pairs,
    polygon,
    tar_gz,
    tiff,
)
from factory_pipeline_tests.datasets.exports.litdata_reader import litdata_items
from factory_pipeline_tests.datasets.exports.release_reader import Chip, read_release

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SPLIT_OF = dict(zip("abcde", ("train", "train", "train", "test", "validation"), strict=True))
UTM = Affine(10, 0, 500_000, 0, -10, 5_500_000)
TO_DEGREES = Transformer.from_crs(32634, 4326, always_xy=True)
RINGS = [[(1, 1), (9, 1), (9, 9), (1, 9)], [(3, 3), (3, 6), (6, 6), (6, 3)]]
"""Of the fields, in pixels: with a hole."""
LAKE = (10, 10, 14, 15)

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


def has_lake(name: str) -> bool:
    return name in "bd"


def fields_and_lakes(name: str) -> dict[str, list[Any]]:
    """In degrees, on the grid of a GeoTIFF in UTM."""
    transform = transform_of(name)
    rings = [[TO_DEGREES.transform(*(transform @ point)) for point in ring] for ring in RINGS]
    left, top, right, bottom = LAKE
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    lake = polygon([TO_DEGREES.transform(*(transform @ point)) for point in corners])
    # A class that a file lacks is as an empty list.
    lakes = {} if name == "c" else {"lake": [lake] if has_lake(name) else []}
    return {"field": [polygon(*rings)], **lakes}


def transform_of(name: str) -> Affine:
    return UTM @ Affine.translation(SIZE * "abcde".index(name), 0)


def segmentation() -> dict[str, Any]:
    files = {}
    for number, name in enumerate("abcde"):
        transform = transform_of(name)
        corners = ((0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE))
        ring = [TO_DEGREES.transform(*(transform @ corner)) for corner in corners]
        document = feature(fields_and_lakes(name), polygon(ring))
        files[f"images/{name}.tif"] = tiff(number, crs="EPSG:32634", transform=transform)
        files[f"labels/{name}.json"] = document
    return files


def object_detection() -> dict[str, Any]:
    left, top, right, bottom = LAKE
    labels = {"lake": [box(left, top, right, bottom)]}
    return pairs({name: feature(labels, outline(number)) for number, name in enumerate("abcde")})


def classification() -> dict[str, Any]:
    # A class that a file lacks is 0.
    labels = {name: {"clear": int(has_lake(name))} for name in "bcde"}
    return pairs({name: feature(labels.get(name, {})) for name in "abcde"})


def regression() -> dict[str, Any]:
    labels = {name: {"agbd": number + 0.3} for number, name in enumerate("abcde")}
    return pairs({name: feature(label, outline("abcde".index(name))) for name, label in labels.items()})


def expected_masks(kind: str, name: str) -> Masks:
    match kind:
        case "segmentation":
            found = {"field": rings_mask(RINGS), "lake": box_mask(*LAKE) & has_lake(name)}
        case "object_detection":
            found = {"lake": box_mask(*LAKE)}
        case "classification":
            found = {"clear": box_mask(0, 0, SIZE, SIZE) & has_lake(name)}
        case _:
            return {"agbd": np.full((SIZE, SIZE), np.float32("abcde".index(name) + 0.3))}
    return {label: mask for label, mask in found.items() if mask.any()}


@dataclass(frozen=True)
class Made:
    """An imported release as a version of a dataset."""

    registry: Registry
    home: FactoryHome
    kind: str
    version_id: str


MAKERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each for each in (segmentation, object_detection, classification, regression)
}


@pytest.fixture(scope="module", params=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A release whose items came with splits, imported, as a version that can be exported in all formats."""
    folder = tmp_path_factory.mktemp("imported")
    home = FactoryHome(folder / "home")
    files = MAKERS[request.param]()
    files["bounds.geojson"] = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": name, "geometry": None, "properties": {"split": split}}
            for name, split in SPLIT_OF.items()
        ],
    }
    with closing(Registry.open(folder / "registry.db")) as registry:
        archive = tar_gz(folder / "made.tar.gz", files)
        collection, report = import_release(registry, home, "made@1", archive, IntakePolicy())
        assert report.ml_type == request.param
        asked = DatasetRequest.of(
            dataset_name="made",
            collection_id=collection.id,
            split_info={"train": 60, "test": 20, "validation": 20},
            labels=list(report.classes),
            use_given_splits=True,
        )
        made = create_version(registry, home, asked, check=lambda path: check_fitness(path, list(FORMATS)))
        yield Made(registry, home, request.param, made.id)


# A reader of each format


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
DRAWN_ONLY = ("YOLO Darknet", "Semantic Segmentation", "COCO")
"""Formats that have no form for numbers: they hold the images."""


def test_every_format_has_a_reader_here() -> None:
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("export_type", FORMATS)
def test_an_imported_release_is_exported_in_every_format(
    made: Made, export_type: str, tmp_path: Path
) -> None:
    with open_content(made.registry, made.home, made.version_id) as content:
        export_version(content, export_type, tmp_path / "out")
    found = dict(READERS[export_type](tmp_path / "out"))
    assert {name: read.split for name, read in found.items()} == SPLIT_OF
    for name, read in found.items():
        np.testing.assert_array_equal(read.pixels, pixels_of(name))
        expected = expected_masks(made.kind, name)
        if made.kind == "regression" and export_type in DRAWN_ONLY:
            expected = {}
        elif export_type == "YOLO Darknet":
            expected = {label: around(mask) for label, mask in expected.items()}
        assert set(read.masks) == set(expected)
        for label, mask in expected.items():
            np.testing.assert_array_equal(read.masks[label], mask)


def pixels_of(name: str) -> NDArray[Any]:
    with rasterio.MemoryFile(tiff("abcde".index(name))) as memory, memory.open() as image:
        return image.read()


def around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rectangle around some pixels."""
    rows, columns = np.nonzero(mask)
    return box_mask(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


# Polygons become masks and back


CIRCLE = shapely.Point(8.2, 7.7).buffer(6.3).difference(shapely.Point(7.9, 8.4).buffer(2.6))


def test_polygons_become_masks_and_back_and_lose_no_more_than_the_edge_of_a_pixel(tmp_path: Path) -> None:
    """Whatever is more than a pixel's diagonal from the outline of the polygon stays what it was."""
    rings = [list(CIRCLE.exterior.coords)[:-1], *(list(ring.coords)[:-1] for ring in CIRCLE.interiors)]
    files = pairs({name: feature({"ring": [polygon(*rings)]}) for name in "ab"})
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        home = FactoryHome(tmp_path / "home")
        archive = tar_gz(tmp_path / "ring.tar.gz", files)
        collection, _ = import_release(registry, home, "ring@1", archive, IntakePolicy())
        everything = {"train": 100, "test": 0, "validation": 0}
        asked = DatasetRequest.of(
            dataset_name="ring", collection_id=collection.id, split_info=everything, labels=["ring"]
        )
        with open_content(registry, home, create_version(registry, home, asked).id) as content:
            export_version(content, "Semantic Segmentation", tmp_path / "masks")
    mask = pixels_in(tmp_path / "masks" / "train" / "index_masks" / "a.tif")[0]
    found = [shapely.geometry.shape(region) for region, value in rasterio.features.shapes(mask) if value]
    lost = shapely.union_all(found).symmetric_difference(CIRCLE)
    assert CIRCLE.boundary.buffer(np.sqrt(2)).contains(lost)
    assert shapely.union_all(found).area == pytest.approx(CIRCLE.area, rel=0.05)
