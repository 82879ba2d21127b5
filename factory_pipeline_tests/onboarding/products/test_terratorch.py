"""The training configuration, read as TerraTorch 1.2 reads it."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline.onboarding.products.terratorch import terratorch_config, write_terratorch
from factory_pipeline.onboarding.products.terratorch_bands import hls_names, rgb_indices
from factory_pipeline.onboarding.products.terratorch_tuning import write_resolved
from factory_pipeline.onboarding.products.training_params import training_parameters
from factory_pipeline.splits.assign import random_split, write_split_files
from factory_pipeline_tests.onboarding.curated import Curated, onboarded

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def _written(
    curated: Curated, shares: dict[str, float] = SHARES, **options: Any
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Write split files and configuration; give what a YAML reader finds."""
    split = random_split(curated.items, shares, 0)
    write_split_files(curated.root / "split_files", split)
    manifest = curated.manifest
    parameters = training_parameters(
        curated.items, split, curated.band_names, manifest.purpose, manifest.label_categories, curated.root
    )
    path = curated.root / "terratorch.yaml"
    write_terratorch(path, terratorch_config(manifest, parameters, split, curated.root, **options))
    return yaml.safe_load(path.read_text()), split


def _files(root: str, grep: str, split_file: str) -> list[str]:
    """The files of a part: a glob, of which those stay whose name holds a line of the split file."""
    lines = [line.strip() for line in Path(split_file).read_text().splitlines()]
    return sorted(
        str(file)
        for file in Path(root).glob(grep)
        if any(line in file.name.rsplit(".", 1)[0] for line in lines)
    )


@pytest.mark.parametrize("purpose", ["Segmentation", "Regression"])
@pytest.mark.parametrize(
    ("part", "split_name"), [("train", "train"), ("val", "validation"), ("test", "test")]
)
def test_each_part_finds_its_pairs(tmp_path: Path, purpose: str, part: str, split_name: str) -> None:
    config, split = _written(onboarded(tmp_path, 12, purpose))
    data = config["data"]["init_args"]
    images = _files(data[f"{part}_data_root"], data["img_grep"], data[f"{part}_split"])
    labels = _files(data[f"{part}_label_data_root"], data["label_grep"], data[f"{part}_split"])
    stems = sorted(split.filter(pl.col("split") == split_name)["stem"])
    assert [Path(image).name for image in images] == [f"{stem}_s2.tif" for stem in stems]
    assert [Path(label).name for label in labels] == [f"{stem}_mask.tif" for stem in stems]


def test_a_segmentation_is_standardised_and_masked_as_terratorch_does(tmp_path: Path) -> None:
    config, _ = _written(onboarded(tmp_path, 12))
    data, task = config["data"]["init_args"], config["model"]["init_args"]
    assert config["data"]["class_path"] == "terratorch.datamodules.GenericNonGeoSegmentationDataModule"
    assert config["model"]["class_path"] == "terratorch.tasks.SemanticSegmentationTask"
    pixels, masks = [], []
    for image in _files(data["train_data_root"], data["img_grep"], data["train_split"]):
        with rasterio.open(image) as source:
            assert source.count == len(data["dataset_bands"]) == len(data["means"]) == len(data["stds"])
            pixels.append(source.read(masked=True).astype(np.float64).filled(np.nan))
    for label in _files(data["train_label_data_root"], data["label_grep"], data["train_split"]):
        with rasterio.open(label) as source:
            masks.append(source.read(1, masked=True).filled(255).astype(int))
    stack = np.concatenate(pixels, axis=1)
    means, stds = (np.array(data[name])[:, None, None] for name in ("means", "stds"))
    standard = (stack - means) / stds
    np.testing.assert_allclose(np.nanmean(standard, axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(standard, axis=(1, 2)), 1, atol=1e-6)

    found = np.where(np.stack(masks) == 255, data["no_label_replace"], np.stack(masks))
    assert set(np.unique(found)) <= {*range(data["num_classes"]), task["ignore_index"]}
    assert task["model_args"]["num_classes"] == len(task["class_weights"]) == len(task["class_names"]) == 3
    assert task["class_weights"][2] == 0.5
    assert data["no_data_replace"] == 0
    assert data["rgb_indices"] == [2, 1, 0]
    assert task["model_args"]["backbone_bands"] == ["BLUE", "GREEN", "RED", "NIR_NARROW"]


def test_a_regression_ignores_its_no_data(tmp_path: Path) -> None:
    config, _ = _written(onboarded(tmp_path, 6, "Regression"))
    data, task = config["data"]["init_args"], config["model"]["init_args"]
    assert config["data"]["class_path"] == "terratorch.datamodules.GenericNonGeoPixelwiseRegressionDataModule"
    assert config["model"]["class_path"] == "terratorch.tasks.PixelwiseRegressionTask"
    assert data["no_label_replace"] == task["ignore_index"] == -9999
    assert "num_classes" not in data
    assert not {"class_weights", "class_names"} & set(task)


def test_several_modalities_go_into_one_stack_of_bands(tmp_path: Path) -> None:
    config, split = _written(onboarded(tmp_path, 8, modalities=("S2", "S1")))
    data = config["data"]["init_args"]
    assert config["data"]["class_path"] == "terratorch.datamodules.GenericMultiModalDataModule"
    assert (data["task"], data["modalities"], data["concat_bands"]) == ("segmentation", ["S2", "S1"], True)
    for tag in data["modalities"]:
        # Exact names here: the stem and the pattern without its star.
        for stem in Path(data["train_split"]).read_text().split():
            assert (
                Path(data["train_data_root"][tag]) / (stem + data["image_grep"][tag].strip("*"))
            ).is_file()
        assert len(data["means"][tag]) == len(data["stds"][tag]) == len(data["dataset_bands"][tag])
    assert config["model"]["init_args"]["model_args"]["backbone_bands"] == [
        "BLUE", "GREEN", "RED", "NIR_NARROW", "VV", "VH",
    ]  # fmt: skip
    assert data["rgb_indices"] == {"S2": [2, 1, 0]}
    assert split.height == 8


def test_without_optical_bands_a_resnet_takes_them_all(tmp_path: Path) -> None:
    config, _ = _written(onboarded(tmp_path, 6, modalities=("S1",)))
    model = config["model"]["init_args"]["model_args"]
    assert (model["backbone"], model["backbone_in_chans"]) == ("timm_resnet50", 2)
    assert config["data"]["init_args"]["rgb_indices"] == [0, 1, 1]


def test_gaps_between_ids_are_classes_of_their_own(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 6)
    document = curated.manifest.model_dump(mode="json", by_alias=True)
    document["label_categories"][2]["id"] = 5
    manifest = UploadManifest.parse(document, "example.yaml")
    config, _ = _written(Curated(curated.root, manifest, curated.items))
    task = config["model"]["init_args"]
    assert config["data"]["init_args"]["num_classes"] == 6
    assert task["class_names"] == ["Land", "Water", "unused 2", "unused 3", "unused 4", "Cloud"]
    assert task["class_weights"][2:] == [1.0, 1.0, 1.0, 0.5]


def test_a_batch_is_never_larger_than_the_training_split(tmp_path: Path) -> None:
    config, _ = _written(onboarded(tmp_path, 5), batch_size=16)
    assert config["data"]["init_args"]["batch_size"] == 3


def test_an_empty_part_borrows_another(tmp_path: Path) -> None:
    config, _ = _written(onboarded(tmp_path, 6), {"train": 70, "test": 30})
    data = config["data"]["init_args"]
    assert Path(data["val_split"]).name == Path(data["test_split"]).name == "test_data.txt"


def test_the_file_is_the_same_each_time_and_has_no_aliases(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 6, modalities=("S2", "S1"))
    _written(curated)
    first = (tmp_path / "terratorch.yaml").read_text()
    _written(curated)
    assert (tmp_path / "terratorch.yaml").read_text() == first
    assert "&id" not in first


@pytest.mark.parametrize(
    ("collection", "names", "expected"),
    [
        ("sentinel-2-l2a", ["B02", "B8A", "B11"], ["BLUE", "NIR_NARROW", "SWIR_1"]),
        ("landsat-c2-l2", ["B2", "nir08", "swir16"], ["B2", "NIR_NARROW", "SWIR_1"]),
        ("", ["Red", "red", "Water depth"], ["RED", "red", "Water depth"]),
    ],
)
def test_bands_are_named_as_terratorch_names_them(
    collection: str, names: list[str], expected: list[str]
) -> None:
    source = DataSource.model_validate({"collection": collection, "bands": names})
    assert hls_names(source) == expected
    assert rgb_indices(source) == [0, 1, 2]


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5)
    document = curated.manifest.model_dump(mode="json", by_alias=True)
    without_bands = [document["data_sources"][0] | {"bands": []}]
    for change, message in [
        ({"purpose": "Classification"}, "Segmentation and Regression, not for Classification"),
        ({"data_sources": without_bands}, "bands of S2 must be known"),
    ]:
        manifest = UploadManifest.parse(document | change, "example.yaml")
        split = random_split(curated.items, SHARES, 0)
        parameters = training_parameters(
            curated.items, split, curated.band_names, manifest.purpose, manifest.label_categories, tmp_path
        )
        with pytest.raises(OnboardingError, match=message):
            terratorch_config(manifest, parameters, split, tmp_path)


@pytest.mark.parametrize("was_absolute", [False, True])
@pytest.mark.parametrize("modalities", [("S2",), ("S2", "S1")])
def test_a_configuration_is_found_its_files_wherever_its_dataset_is_moved(
    tmp_path: Path, was_absolute: bool, modalities: tuple[str, ...]
) -> None:
    root = tmp_path / "home" / "datasets" / "rivers" / "1f2e3d4c"
    curated = onboarded(root, 6, modalities=modalities, size=8)
    split = random_split(curated.items, SHARES, 0)
    write_split_files(root / "split_files", split)
    manifest = curated.manifest
    parameters = training_parameters(
        curated.items, split, curated.band_names, manifest.purpose, manifest.label_categories, root
    )
    config = terratorch_config(manifest, parameters, split, root if was_absolute else Path())
    write_terratorch(root / "terratorch.yaml", config)
    if not was_absolute:
        assert str(tmp_path) not in (root / "terratorch.yaml").read_text()
    moved = (tmp_path / "home").rename(tmp_path / "moved") / root.relative_to(tmp_path / "home")
    write_resolved(moved / "terratorch.yaml", tmp_path / "resolved.yaml")
    data = yaml.safe_load((tmp_path / "resolved.yaml").read_text())["data"]["init_args"]
    paths = [value for key, value in data.items() if key.endswith(("_data_root", "_split"))]
    found = [one for value in paths for one in (value.values() if isinstance(value, dict) else [value])]
    assert len(found) == 9 + 3 * (len(modalities) - 1)
    assert all(Path(one).exists() and Path(one).is_relative_to(moved) for one in found)
