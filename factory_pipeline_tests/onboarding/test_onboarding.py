"""What the stages of an onboarding write, without Dagster."""

import hashlib
import json
import unicodedata

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml

from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import geotiff, mask, pairs


def test_a_second_version_keeps_the_split_of_every_image(bench: Bench) -> None:
    first = bench.home.upload(bench.prepare("rivers", pairs(10))).finished
    second = bench.home.upload(bench.prepare("rivers", pairs(16))).finished
    assert first.root.parent == second.root.parent
    columns = ["original_name", "split"]
    before, after = (dict(pl.read_parquet(files.items, columns=columns).rows()) for files in (first, second))
    assert len(after) == 16
    assert {name: after[name] for name in before} == before


def test_checksums_of_rewritten_images_are_said_to_be_those_of_the_upload(bench: Bench) -> None:
    files = bench.home.upload(bench.prepare("rivers", pairs(4), to_cog=True)).finished
    document = json.loads(files.croissant.read_text())
    for node in document["distribution"]:
        if node["@type"] == "cr:FileObject":
            content = (files.root / node["contentUrl"]).read_bytes()
            assert node["sha256"] == hashlib.sha256(content).hexdigest()
    [field] = [
        field
        for records in document["recordSet"]
        for field in records["field"]
        if field["@id"] == "pairs/sha256"
    ]
    assert "as it was uploaded" in field["description"]
    uploaded = {hashlib.sha256(content).hexdigest() for content in pairs(4).values()}
    items = pl.read_parquet(files.items)
    assert set(items["sha256"]) < uploaded
    for path in items["image_path_image"]:
        assert hashlib.sha256((files.root / path).read_bytes()).hexdigest() not in uploaded


def test_files_in_the_archive_may_give_the_split(bench: Bench) -> None:
    files = pairs(6)
    files["train.txt"] = b"tile_0\ntile_1\ntile_2\ntile_3\n"
    files["test.txt"] = b"tile_4\r\n"
    splits = {"train_file": "train.txt", "test_file": "test.txt", "validation": ["tile_5"]}
    key = bench.prepare("rivers", files, splits=splits)
    items = pl.read_parquet(bench.home.upload(key).finished.items)
    assert sorted(items.filter(pl.col("split") == "test")["original_name"]) == ["tile_4"]
    assert sorted(items.filter(pl.col("split") == "validation")["original_name"]) == ["tile_5"]


def test_undeclared_no_data_of_labels_is_declared_and_left_out(bench: Bench) -> None:
    files = {**pairs(6), **{f"labels/tile_{number}_mask.tif": mask(0, 1, 255) for number in range(6)}}
    key = bench.prepare("rivers", files, label_nodata=255)
    root = bench.home.upload(key).finished.root
    for path in (root / "labels").iterdir():
        with rasterio.open(path) as label:
            assert label.nodata == 255
            assert 255 in label.read()
    assert not TrainingParameters.read(root / "training_params.json").unknown_values


def test_images_become_cogs_where_the_manifest_asks(bench: Bench) -> None:
    key = bench.prepare("rivers", to_cog=True)
    items = pl.read_parquet(bench.home.upload(key).finished.items)
    for row in items.iter_rows(named=True):
        with rasterio.open(bench.home.upload(key).finished.root / row["image_path_image"]) as image:
            assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert image.descriptions == ("Blue", "Red")
            with rasterio.MemoryFile(pairs(10)[f"images/{row['original_name']}_merged.tif"]) as memory:
                assert (image.read() == memory.open().read()).all()


def test_suffixes_that_would_mislead_the_training_are_replaced_everywhere(bench: Bench) -> None:
    files = {
        name.replace("_merged.tif", ".s2 l2a.tif").replace("_mask.tif", ".mask.v1.tif"): content
        for name, content in pairs(6).items()
    }
    key = bench.prepare("rivers", files, training_data_suffixes=[".s2 l2a.tif"], label_suffix=".mask.v1.tif")
    root = bench.home.upload(key).finished.root
    data = yaml.safe_load((root / "terratorch.yaml").read_text())["data"]["init_args"]
    assert len(list((root / data["train_data_root"]).glob(data["img_grep"]))) == 6
    assert len(list((root / data["train_label_data_root"]).glob(data["label_grep"]))) == 6


def test_names_with_blanks_accents_and_dots_are_kept_in_the_items_alone(bench: Bench) -> None:
    names = ["Rivière Noire 1.2", "Rivie\u0300re Blanche", "水面.v2.tif", "tile_1", "tile_10", "a'b"]
    good = pairs(len(names))
    files = {}
    for number, name in enumerate(names):
        files[f"images ü/{name}_merged.tif"] = good[f"images/tile_{number}_merged.tif"]
        files[f"labels ü/{name}_mask.tif"] = good[f"labels/tile_{number}_mask.tif"]
    items = pl.read_parquet(bench.home.upload(bench.prepare("rivers", files)).finished.items)
    assert sorted(items["original_name"]) == sorted(unicodedata.normalize("NFC", name) for name in names)
    assert all(stem.isascii() and stem.isalnum() for stem in items["id"])


def test_of_suffixes_that_overlap_the_longer_one_decides(bench: Bench) -> None:
    files = {name.replace("_merged", ""): content for name, content in pairs(6).items()}
    key = bench.prepare("rivers", files, training_data_suffixes=[".tif"])
    items = pl.read_parquet(bench.home.upload(key).finished.items)
    assert sorted(items["original_name"]) == [f"tile_{number}" for number in range(6)]


@pytest.mark.parametrize("purpose", ["Regression", "Classification", "Generic"])
def test_other_purposes_need_no_categories(bench: Bench, purpose: str) -> None:
    key = bench.prepare("rivers", purpose=purpose, label_categories=[])
    files = bench.home.upload(key).finished
    assert files.terratorch.exists() == (purpose == "Regression")
    assert "factory finetune rivers" in files.page.read_text() or purpose != "Regression"


def test_a_category_of_a_regression_names_what_is_measured(bench: Bench) -> None:
    category = {"id": 1, "name": "Biomass", "color": "green"}
    key = bench.prepare("rivers", purpose="Regression", label_categories=[category])
    assert bench.home.upload(key).finished.terratorch.exists(), "though the labels hold other values than 1"


def test_several_modalities_each_have_their_folder(bench: Bench) -> None:
    files = {}
    for number in range(6):
        radar = np.random.default_rng(number).normal(-10, 3, (1, 8, 8)).astype(np.float32)
        files[f"tile_{number}_s1.tif"] = geotiff(radar, ("VV",))
        files[f"tile_{number}_s2.tif"] = pairs(6)[f"images/tile_{number}_merged.tif"]
        files[f"tile_{number}_mask.tif"] = mask(0, 1)
    sources = [
        {"modality_tag": "S2", "file_suffix": "_s2.tif"},
        {"modality_tag": "S1", "file_suffix": "_s1.tif"},
    ]
    key = bench.prepare("both", files, training_data_suffixes=["_s1.tif", "_s2.tif"], data_sources=sources)
    root = bench.home.upload(key).finished.root
    data = yaml.safe_load((root / "terratorch.yaml").read_text())["data"]["init_args"]
    for tag, names in data["dataset_bands"].items():
        assert len(list((root / data["train_data_root"][tag]).glob(data["image_grep"][tag]))) == 6
        assert len(data["means"][tag]) == len(names)
    assert {path.name for path in (root / "training_data").iterdir()} == {"S1", "S2"}
    parameters = TrainingParameters.read(root / "training_params.json")
    assert [(band.modality, band.band) for band in parameters.bands] == [
        ("S2", "Blue"),
        ("S2", "Red"),
        ("S1", "VV"),
    ]
