"""The examples of the SDK's page, word for word but for the ids, on a collection that has balloons."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datasets.augment.requests import EXAMPLE
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import geotiff, pairs

SOURCES = [
    {
        "bands": [
            {"index": 0, "band_name": "red", "RGB_band": "R"},
            {"index": 1, "band_name": "green", "RGB_band": "G"},
            {"index": 2, "band_name": "blue", "RGB_band": "B"},
        ]
    }
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DatasetClient, str]]:
    """A client, and the id of a collection; a box around a balloon is drawn on every second image."""
    folder = tmp_path_factory.mktemp("examples")
    home = FactoryHome(folder / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        key = bench.prepare("party", photos(), data_sources=SOURCES)
        with closing(bench.factory.registry()) as registry:
            collection = collect_upload(registry, home, key)
            add_annotations(
                registry, home, collection.id, "human", balloons(home.root / collection.items_path, folder)
            )
        yield DatasetClient(home=home.root, on_progress=lambda *_: None), collection.id


def photos() -> dict[str, bytes]:
    """Pairs whose images have red, green and blue."""
    made = pairs(10)
    for number, name in enumerate(name for name in made if "images" in name):
        values = np.random.default_rng(number).integers(1, 1000, (3, 8, 8)).astype(np.uint16)
        made[name] = geotiff(values, ("red", "green", "blue"), nodata=0)
    return made


def balloons(items: Path, folder: Path) -> Path:
    """COCO boxes of balloons on every second item."""
    rows = scan_items(items).select("id", "width", "height").collect().rows()
    document = {
        "images": [
            {"id": place, "file_name": f"{name}.tif", "width": width, "height": height}
            for place, (name, width, height) in enumerate(rows)
        ],
        "categories": [{"id": 1, "name": "Balloon"}],
        "annotations": [
            {"id": place, "image_id": place, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
            for place in range(0, len(rows), 2)
        ],
    }
    path = folder / "balloons.json"
    path.write_text(json.dumps(document))
    return path


def test_the_examples_run_as_they_stand(
    collection: tuple[DatasetClient, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, collection_id = collection
    monkeypatch.chdir(tmp_path)
    made = client.create_dataset_from_collection(
        "Balloons Dataset",
        collection_id,
        {"train": 100, "test": 0, "validation": 0},
        ["Balloon"],
        ["RAW", "Semantic Segmentation"],
    )
    assert client.describe_version(made.version_id).splits == {"train": 10, "test": 0, "validation": 0}

    second = client.create_dataset_from_datalake(
        "Balloons Dataset - V2",
        {"train": 100, "test": 0, "validation": 0},
        ["Balloon"],
        ["Semantic Segmentation", "YOLO Darknet"],
        "image",
        "annotation.label=Balloon",
    )
    assert client.describe_version(second.version_id).items == 5

    third = client.update_dataset_version_from_collection(
        made.version_id,
        collection_id,
        {"train": 100, "test": 0, "validation": 0},
        ["Balloon"],
        ["RAW", "Semantic Segmentation"],
        "",
        {},
        True,
    )
    assert client.describe_version(third.version_id).number == "1.1.0"

    fourth = client.update_dataset_version_from_datalake(
        second.version_id,
        {"train": 60, "test": 30, "validation": 10},
        ["Balloon"],
        ["RAW"],
        "image",
        "annotation.label=Balloon",
    )
    assert client.describe_version(fourth.version_id).number == "1.0.1"

    folder = client.download_dataset(second.version_id, "YOLO Darknet")
    assert (folder / "obj.names").read_text().split() == ["Balloon"]


def test_the_example_of_augmentations_makes_its_copies(
    collection: tuple[DatasetClient, str], tmp_path: Path
) -> None:
    client, collection_id = collection
    made = client.create_dataset_from_collection(
        "Augmented balloons",
        collection_id,
        {"train": 60, "test": 20, "validation": 20},
        ["Balloon"],
        ["RAW"],
        augmentation_list=EXAMPLE,
    )
    assert client.describe_version(made.version_id).items == 10
    folder = client.download_dataset(made.version_id, "RAW", tmp_path / "out")
    images = json.loads((folder / "labels.json").read_text())["images"]
    by_split = [image["split"] for image in images]
    # Flipped, rotated, and toward gray: three copies of each of the six training images.
    assert (by_split.count("train"), by_split.count("test"), by_split.count("validation")) == (24, 2, 2)
