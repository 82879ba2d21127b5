"""A version with every kind of annotation, in every format, read by public readers."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import datasets
import fsspec
import h5py
import mlcroissant
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import rasterio
import webdataset
import xarray
import yaml
import zarr
from affine import Affine
from datumaro import AnnotationType, Dataset
from pycocotools.coco import COCO
from pyproj import Transformer

from factory_pipeline import DatasetClient
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.datasets.exports.litdata_reader import litdata_items
from factory_pipeline_tests.datasets.exports.release_reader import read_release
from factory_pipeline_tests.datasets.exports.test_terratorch import found
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.sdk.places import (
    AUGMENTATIONS,
    BOX,
    FIELD,
    HEIGHT,
    LABELS,
    SPLIT,
    VALUES,
    WIDTH,
    Made,
    annotate,
    has_field,
    has_house,
    has_lake,
    lake_pixels,
    numbers_of,
    pixels_of,
    transform_of,
    upload,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """An upload whose own labels are left out, annotated by a COCO file, a GeoJSON file and masks."""
    folder = tmp_path_factory.mktemp("formats")
    home = FactoryHome(folder / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        bands = [
            {"index": place, "band_name": name, "RGB_band": name[0].upper()}
            for place, name in enumerate(("red", "green", "blue"))
        ]
        key = bench.prepare("places", upload(), data_sources=[{"bands": bands}])
        with closing(bench.factory.registry()) as registry:
            collection = collect_upload(registry, home, key)
            operations = annotate(registry, home, collection, folder)
            items = scan_items(home.root / collection.items_path).collect()
        client = DatasetClient(home=home.root, on_progress=lambda *_: None)
        version = client.create_dataset_from_collection(
            "Places",
            collection.id,
            SPLIT,
            LABELS,
            ["COCO"],
            operation_list=operations,
            augmentation_list=AUGMENTATIONS,
            overlap="ignore",  # the percentages are then exact, which the tests count on
        )
        yield Made(client, version.version_id, numbers_of(items))


def downloaded(made: Made, export_type: str, folder: Path) -> Path:
    return made.client.download_dataset(made.version_id, export_type, folder / "out")


def test_no_format_is_forgotten_here() -> None:
    tested = {name for name in globals() if name.startswith("test_")}
    assert all(any(slug in name for name in tested) for slug in map(slug_of, FORMATS))


def slug_of(name: str) -> str:
    return FORMATS[name].slug.replace("-", "_")


def test_raw_holds_all_that_was_said(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "RAW", tmp_path)
    images = json.loads((folder / "labels.json").read_text())["images"]
    names = {
        split: [Path(each["image"]).stem for each in images if each["split"] == split] for split in SPLIT
    }
    made.see_names(names)
    for entry in images:
        name = Path(entry["image"]).stem
        made.see_image(folder / "data" / entry["image"], name)
        number, told = made.number_of(name), {each["label"]: each for each in entry["annotations"]}
        expected = {"House": has_house(number), "Field": has_field(number), "Lake": has_lake(number)}
        assert set(told) == {label for label, there in expected.items() if there}
        if name not in made.numbers:
            continue
        if "House" in told:
            assert (told["House"]["type"], tuple(told["House"]["bbox"])) == ("rectangle", BOX)
        if "Field" in told:
            assert told["Field"]["attributes"] == {"crop": "rye"}
            assert told["Field"]["confidence"] == 0.5
            corners = np.array(told["Field"]["polygon"])
            for corner in FIELD:
                assert np.abs(corners - corner).sum(axis=1).min() < 1e-5
            assert len(told["Field"]["holes"]) == 1
        if "Lake" in told:
            assert (told["Lake"]["type"], told["Lake"]["value"]) == ("mask", VALUES["Lake"])
            with rasterio.open(folder / told["Lake"]["file"]) as read:
                np.testing.assert_array_equal(read.read(1) == VALUES["Lake"], lake_pixels(number))


def test_yolo_darknet_is_read_by_datumaro(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "YOLO Darknet", tmp_path)
    read = Dataset.import_from(str(folder), "yolo")
    labels = [label.name for label in read.categories()[AnnotationType.label]]
    assert labels == LABELS
    splits = {"train": "train", "valid": "validation", "test": "test"}
    made.see_names({split: [item.id for item in read.get_subset(part)] for part, split in splits.items()})
    for item in read:
        made.see_image(Path(item.media.path), item.id)
        number = made.number_of(item.id)
        boxes = {labels[box.label]: box.get_bbox() for box in item.annotations}
        expected = {"House": BOX} if has_house(number) else {}
        if has_field(number):
            expected["Field"] = (14, 4, 16, 14)
        assert set(boxes) == set(expected)
        if item.id.endswith("-rotation"):
            continue
        for label, (x, y, w, h) in expected.items():
            left = WIDTH - x - w if item.id.endswith("-flip_horizontal") else x
            np.testing.assert_allclose(boxes[label], (left, y, w, h), atol=1e-4)


def test_semantic_segmentation_is_read_by_datumaro_and_rasterio(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "Semantic Segmentation", tmp_path)
    read = Dataset.import_from(str(folder), "common_semantic_segmentation_with_subset_dirs")
    labels = [label.name for label in read.categories()[AnnotationType.label]]
    values = [{"background": 0, **VALUES}[label] for label in labels]
    made.see_names({split: [item.id for item in read.get_subset(split)] for split in SPLIT})
    for item in read:
        made.see_image(Path(item.media.path), item.id)
        classes = np.zeros((HEIGHT, WIDTH), np.uint8)
        for mask in item.annotations:
            classes[mask.image.astype(bool)] = values[mask.label]
        made.see_classes(classes, item.id)
        with rasterio.open(folder / item.subset / "index_masks" / f"{item.id}.tif") as stored:
            np.testing.assert_array_equal(stored.read(1), classes)
            made.see_placed(stored.transform, stored.crs, item.id)


def test_coco_is_read_by_pycocotools(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "COCO", tmp_path)
    names = {}
    for split in SPLIT:
        read = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        label_of = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
        assert list(label_of.values()) == LABELS
        names[split] = [Path(image["file_name"]).stem for image in read.imgs.values()]
        for image in read.imgs.values():
            name = Path(image["file_name"]).stem
            made.see_image(folder / "images" / split / image["file_name"], name)
            told = {label_of[each["category_id"]]: each for each in read.imgToAnns[image["id"]]}
            number = made.number_of(name)
            expected = {"House": has_house(number), "Field": has_field(number), "Lake": has_lake(number)}
            assert set(told) == {label for label, there in expected.items() if there}
            if name in made.numbers and has_field(number):
                field = read.annToMask(told["Field"])
                assert field.sum() == told["Field"]["area"] == 16 * 14 - 8 * 4
                assert not field[8:12, 18:26].any()
                assert told["Field"]["score"] == 0.5
            if name in made.numbers and has_house(number):
                assert tuple(told["House"]["bbox"]) == BOX
            if name in made.numbers and has_lake(number):
                assert told["Lake"]["iscrowd"] == 1
                np.testing.assert_array_equal(read.annToMask(told["Lake"]) == 1, lake_pixels(number))
    made.see_names(names)


def test_terratorch_finds_images_and_labels_by_its_configuration(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "TerraTorch", tmp_path)
    config = yaml.safe_load((folder / "terratorch.yaml").read_text())
    data = config["data"]["init_args"]
    assert config["model"]["init_args"]["class_names"] == ["unused 0", "Field", "House", "Lake"]
    names = dict(pl.read_csv(folder / "index.csv").select("stem", "name").iter_rows())
    seen = {}
    for part, split in {"train": "train", "val": "validation", "test": "test"}.items():
        images = found(folder, data[f"{part}_data_root"], data["img_grep"], data[f"{part}_split"])
        labels = found(folder, data[f"{part}_label_data_root"], data["label_grep"], data[f"{part}_split"])
        seen[split] = [names[image.name.partition("_")[0]] for image in images]
        assert seen[split] == [names[label.name.partition("_")[0]] for label in labels]
        for image, label, name in zip(images, labels, seen[split], strict=True):
            made.see_image(image, name)
            with rasterio.open(label) as read:
                made.see_classes(read.read(1), name)
                made.see_placed(read.transform, read.crs, name)
    made.see_names(seen)


def test_croissant_is_read_by_mlcroissant(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "Croissant", tmp_path)
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    names: dict[str, list[str]] = {split: [] for split in SPLIT}
    for record in dataset.records("samples"):
        said = {
            key.removeprefix("samples/"): value.decode() if isinstance(value, bytes) else value
            for key, value in record.items()
        }
        name, number = said["name"], made.number_of(said["name"])
        names[said["split"]].append(name)
        (image,) = [said[key] for key in said if key.startswith("image_path")]
        made.see_image(folder / image, name)
        drawn = sorted(shape["label"] for shape in json.loads(said["annotations"]))
        assert drawn == ["Field"] * has_field(number) + ["House"] * has_house(number)
        if name in made.numbers and has_lake(number):
            with rasterio.open(folder / said["mask_path"]) as read:
                np.testing.assert_array_equal(read.read(1) == VALUES["Lake"], lake_pixels(number))
        to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
        longitude, latitude = to_degrees.transform(*(transform_of(number) @ (WIDTH / 2, HEIGHT / 2)))
        assert said["west"] < longitude < said["east"]
        assert said["south"] < latitude < said["north"]
    made.see_names(names)


@pytest.mark.parametrize("export_type", ["Release", "Release Pixels"])
def test_release_and_release_pixels_are_read_by_tarfile(made: Made, export_type: str, tmp_path: Path) -> None:
    folder = downloaded(made, export_type, tmp_path)
    release = read_release(folder / "places-1.0.0.tar.gz")
    splits = {each["id"]: each["properties"]["split"] for each in release.bounds}
    made.see_names({split: [name for name in splits if splits[name] == split] for split in SPLIT})
    assert (release.meta["classes"], release.meta["mlType"]) == (LABELS, "segmentation")
    for name, chip in release.chips.items():
        made.see_placed(chip.transform, chip.crs, name)
        to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
        corner = to_degrees.transform(*(chip.transform @ (WIDTH, HEIGHT)))
        np.testing.assert_allclose(chip.geometry["coordinates"][0][2], corner, atol=1e-9)
        if name not in made.numbers:
            continue
        number = made.number_of(name)
        np.testing.assert_array_equal(chip.pixels, pixels_of(number))
        there = {"House": has_house(number), "Field": has_field(number), "Lake": has_lake(number)}
        assert {label: bool(shapes) for label, shapes in chip.label.items()} == there
        if has_field(number):
            (field,) = chip.label["Field"]
            ring = np.array(field["coordinates"][0])
            if export_type == "Release":
                ring = np.stack(
                    ~chip.transform @ Transformer.from_crs(4326, 32632, always_xy=True).transform(*ring.T),
                    axis=1,
                )
            for corner in FIELD:
                assert np.abs(ring - corner).sum(axis=1).min() < 1e-5
            assert len(field["coordinates"]) == 2


def test_hdf5_is_read_by_h5py(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "HDF5", tmp_path)
    names = {}
    for split in SPLIT:
        with h5py.File(folder / f"{split}.h5") as file:
            names[split] = file["names"].asstr()[:].tolist()
            (images,) = file["images"].values()
            assert list(images.attrs["band_names"]) == ["red", "green", "blue"]
            assert dict(zip(file.attrs["labels"], file.attrs["label_values"], strict=True)) == VALUES
            for row, name in enumerate(names[split]):
                made.see_placed(Affine(*file["transforms"][row]), file["crs"].asstr()[row], name)
                made.see_classes(file["masks"][row, 0], name)
                if name in made.numbers:
                    np.testing.assert_array_equal(images[row], pixels_of(made.numbers[name]))
    made.see_names(names)


def test_parquet_is_read_by_pyarrow(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "Parquet", tmp_path)
    names = {}
    for split in SPLIT:
        table = pq.read_table(folder / f"{split}.parquet")
        assert json.loads(table.schema.metadata[b"labels"]) == VALUES
        names[split] = table.column("name").to_pylist()
        (column,) = (name for name in table.column_names if name.startswith("images/"))
        assert json.loads(table.schema.field(column).metadata[b"bands"]) == ["red", "green", "blue"]
        images = table.column(column).combine_chunks().to_numpy_ndarray()
        masks = table.column("masks").combine_chunks().to_numpy_ndarray()
        for row, name in enumerate(names[split]):
            placed = Affine(*table.column("transform")[row].as_py())
            made.see_placed(placed, table.column("crs")[row].as_py(), name)
            made.see_classes(masks[row, 0], name)
            if name in made.numbers:
                np.testing.assert_array_equal(images[row], pixels_of(made.numbers[name]))
    made.see_names(names)


def test_webdataset_is_read_by_its_library(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "WebDataset", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    assert index["labels"] == VALUES
    [(modality, bands)] = index["bands"].items()
    assert bands == ["red", "green", "blue"]
    names: dict[str, list[str]] = {}
    for split, shards in index["splits"].items():
        sizes = [shard["samples"] for shard in shards]
        assert max(sizes) - min(sizes) <= 1
        urls = [str(folder / shard["file"]) for shard in shards]
        dataset = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode()
        for sample in dataset:
            record = sample["json"]
            name = record["name"]
            names.setdefault(split, []).append(name)
            made.see_placed(Affine(*record["transform"]), record["crs"], name)
            if "mask.npy" in sample:
                made.see_classes(sample["mask.npy"][0], name)
            if name in made.numbers:
                image = sample[f"{modality.replace('.', '_').lower()}.npy"]
                np.testing.assert_array_equal(image, pixels_of(made.numbers[name]))
    made.see_names(names)


def test_hf_is_read_by_its_library(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "HF", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    assert index["labels"] == VALUES
    [(modality, bands)] = index["bands"].items()
    assert bands == ["red", "green", "blue"]
    names: dict[str, list[str]] = {}
    for split, rows in datasets.load_from_disk(str(folder)).items():
        names[split] = [seen_row(made, row, modality) for row in rows.with_format("numpy")]
    made.see_names(names)
    # The same files as a stream, of which no more than a batch is in memory.
    shards = {
        split: [str(folder / shard["file"]) for shard in shards] for split, shards in index["splits"].items()
    }
    streams = datasets.load_dataset("arrow", data_files=shards, streaming=True)
    streamed = {
        split: [seen_row(made, row, modality) for row in rows.with_format("numpy")]
        for split, rows in streams.items()
    }
    assert streamed == names


def seen_row(made: Made, row: dict[str, Any], modality: str) -> str:
    """Check a sample in a row of arrays; return its name."""
    name = str(row["name"])
    made.see_placed(Affine(*np.asarray(row["transform"])), str(row["crs"]), name)
    made.see_classes(np.asarray(row["masks"])[0], name)
    if name in made.numbers:
        np.testing.assert_array_equal(row[f"images/{modality}"], pixels_of(made.numbers[name]))
    return name


def test_parquet_and_zarr_are_read_as_streams_from_a_web_server(made: Made, tmp_path: Path) -> None:
    downloaded(made, "Parquet", tmp_path / "parquet")
    downloaded(made, "Zarr", tmp_path / "zarr")
    files: dict[str, list[str]] = {split: [] for split in SPLIT}
    stores: dict[str, list[str]] = {split: [] for split in SPLIT}
    with SampleServer(tmp_path) as server:
        for split in SPLIT:
            path = f"/parquet/out/{split}.parquet"
            with fsspec.open(server.url + path, cache_type="none") as opened:
                file = pq.ParquetFile(opened)
                (column,) = (name for name in file.schema_arrow.names if name.startswith("images/"))
                sent = server.counts()[path].bytes
                file.read_row_group(0, columns=["name"])
                assert 0 < server.counts()[path].bytes - sent < (tmp_path / path[1:]).stat().st_size / 4
                for number in range(file.num_row_groups):
                    group = file.read_row_group(number)
                    rows = group.select(["name", "crs", "transform"]).to_pylist()
                    images, masks = (
                        group.column(name).combine_chunks().to_numpy_ndarray() for name in (column, "masks")
                    )
                    for row, image, mask in zip(rows, images, masks, strict=True):
                        row |= {"masks": mask, column: image}
                        files[split].append(seen_row(made, row, column.removeprefix("images/")))
            address = f"{server.url}/zarr/out/{split}.zarr"
            arrays = zarr.open_group(zarr.storage.FsspecStore.from_url(address, read_only=True), mode="r")
            (image,) = (name for name in arrays if name.startswith("image_"))
            columns = ("name", "crs", "transform", "mask", image)
            for values in zip(*(arrays[name][:] for name in columns), strict=True):
                row = dict(zip(("name", "crs", "transform", "masks", f"images/{image}"), values, strict=True))
                stores[split].append(seen_row(made, row, image))
    made.see_names(files)
    assert stores == files


def test_zarr_is_read_by_xarray(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "Zarr", tmp_path)
    names = {}
    for split in SPLIT:
        with xarray.open_zarr(folder / f"{split}.zarr", chunks=None) as rows:
            assert rows.attrs["labels"] == VALUES
            names[split] = rows["name"].values.tolist()
            (image,) = (name for name in rows if str(name).startswith("image_"))
            assert rows[f"band_{str(image).removeprefix('image_')}"].values.tolist() == [
                "red",
                "green",
                "blue",
            ]
            images, masks = rows[image].values, rows["mask"].values
            for row, name in enumerate(names[split]):
                made.see_placed(Affine(*rows["transform"].values[row]), str(rows["crs"].values[row]), name)
                made.see_classes(masks[row, 0], name)
                if name in made.numbers:
                    np.testing.assert_array_equal(images[row], pixels_of(made.numbers[name]))
    made.see_names(names)


def test_litdata_is_read_by_its_layout(made: Made, tmp_path: Path) -> None:
    folder = downloaded(made, "LitData", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    assert index["labels"] == VALUES
    (modality,) = index["bands"]
    names: dict[str, list[str]] = {}
    for split in SPLIT:
        for item in litdata_items(folder / split):
            name = item["name"]
            names.setdefault(split, []).append(name)
            made.see_placed(Affine(*item["transform"]), item["crs"], name)
            made.see_classes(item["masks"][0], name)
            if name in made.numbers:
                np.testing.assert_array_equal(item[f"images/{modality}"], pixels_of(made.numbers[name]))
    made.see_names(names)
