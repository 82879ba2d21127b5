"""A build that is onboarded: from granules to a dataset with train, validation and test, by one command."""

from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
import yaml
from numpy.typing import NDArray

from factory_pipeline import DatasetClient
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import DateRange, Recipe
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.upload_files import DatasetFiles
from factory_pipeline_tests.builds.builds import build, factory, shots_in
from factory_pipeline_tests.onboarding.factory import bytes_below

NO_LABEL = -9999


@dataclass(frozen=True)
class Onboarded:
    """What one command made."""

    home: FactoryHome
    built: BuildFiles
    ended: "CompletedProcess[str]"
    command: tuple[str | Path, ...]

    @property
    def files(self) -> DatasetFiles:
        (folder,) = (self.home.datasets / "gedi-agbd").iterdir()
        return DatasetFiles(folder)

    @property
    def items(self) -> pl.DataFrame:
        return pl.read_parquet(self.files.items)


@pytest.fixture(scope="module")
def onboarded(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Onboarded:
    folder = tmp_path_factory.mktemp("onboarded")
    command = (
        "create-dataset", "--input", small_archive / "granules", "--catalog", small_archive,
        "--output", folder / "out", "--num-processors", "1", "--onboard",
    )  # fmt: skip
    ended = factory(*command, home=folder / "home")
    assert ended.returncode == 0, ended.stderr
    return Onboarded(FactoryHome(folder / "home"), BuildFiles(folder / "out"), ended, command)


def column(path: Path, field: str) -> dict[str, NDArray[np.generic]]:
    """A raster of a fused file by shot."""
    with h5py.File(path) as file:
        return dict(zip(map(str, shots_in(path)), file[f"data/{field}"][:], strict=True))


@pytest.mark.integration
def test_the_test_images_are_the_shots_of_2021_and_a_quarter_of_2020_validates(onboarded: Onboarded) -> None:
    shots = {
        split: {str(shot) for shot in shots_in(onboarded.built.fused(split))} for split in ("train", "test")
    }
    found = {
        split: set(onboarded.items.filter(pl.col("split") == split)["original_name"]) for split in SPLIT_FILES
    }
    assert found["test"] == shots["test"]
    assert found["train"] | found["validation"] == shots["train"]
    assert not found["train"] & found["validation"]
    assert len(found["validation"]) == round(len(shots["train"]) / 4)


@pytest.mark.integration
def test_statistics_are_those_of_numpy_over_the_training_rows_of_the_file(onboarded: Onboarded) -> None:
    parameters = TrainingParameters.read(onboarded.files.training_params)
    train = onboarded.items.filter(pl.col("split") == "train")["original_name"]
    bands, labels = (
        column(onboarded.built.fused("train"), field) for field in ("Sentinel-2 L2A", "AGBD Raster")
    )
    images = np.stack([bands[shot] for shot in train])
    assert [band.band for band in parameters.bands] == list(Recipe().sentinel2.bands)
    # The first band is SCL, of which no model is to know a mean.
    for place, band in enumerate(parameters.bands, 1):
        pixels = images[:, place].astype(np.float64)
        pixels = pixels[pixels != 0]
        assert band.pixels == pixels.size
        assert band.mean == pytest.approx(pixels.mean(), rel=1e-6)
        assert band.std == pytest.approx(pixels.std(), rel=1e-6)
        assert (band.minimum, band.maximum) == (pixels.min(), pixels.max())
    values = np.stack([labels[shot] for shot in train]).astype(np.float64)
    values = values[values != NO_LABEL]
    assert parameters.label is not None
    assert parameters.label.mean == pytest.approx(values.mean(), rel=1e-6)
    assert parameters.label.std == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.integration
def test_images_and_labels_are_the_pixels_of_the_file(onboarded: Onboarded) -> None:
    for split in ("train", "test"):
        bands, labels, transforms = (
            column(onboarded.built.fused(split), field)
            for field in ("Sentinel-2 L2A", "AGBD Raster", "Transforms")
        )
        items = onboarded.items.filter(pl.col("original_name").is_in(list(bands)))
        assert items.height == len(bands)
        for shot, image_path, label_path in items.select(
            "original_name", "image_path_S2", "label_path"
        ).iter_rows():
            for path, expected in ((image_path, bands[shot][1:]), (label_path, labels[shot])):
                with rasterio.open(onboarded.files.root / path) as raster:
                    np.testing.assert_array_equal(raster.read(), expected)
                    assert list(raster.transform) == transforms[shot].tolist()


@pytest.mark.integration
def test_the_training_configuration_finds_its_files_and_takes_these_statistics(onboarded: Onboarded) -> None:
    parameters = TrainingParameters.read(onboarded.files.training_params)
    config = yaml.safe_load(onboarded.files.terratorch.read_text())
    data = config["data"]["init_args"]
    assert config["data"]["class_path"].endswith("GenericNonGeoPixelwiseRegressionDataModule")
    assert config["model"]["init_args"]["ignore_index"] == data["no_label_replace"] == NO_LABEL
    assert data["means"] == [band.mean for band in parameters.bands]
    assert data["stds"] == [band.std for band in parameters.bands]
    assert [data["dataset_bands"][place] for place in data["rgb_indices"]] == ["RED", "GREEN", "BLUE"]
    for part, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        stems = (onboarded.files.root / data[f"{part}_split"]).read_text().split()
        assert stems == sorted(onboarded.items.filter(pl.col("split") == split)["id"])
        for root, grep in (("data_root", "img_grep"), ("label_data_root", "label_grep")):
            there = {path.name for path in (onboarded.files.root / data[f"{part}_{root}"]).glob(data[grep])}
            assert {stem + data[grep].removeprefix("*") for stem in stems} <= there


@pytest.mark.integration
def test_the_command_tells_the_dataset_and_again_does_nothing(onboarded: Onboarded) -> None:
    assert "gedi-agbd@" in onboarded.ended.stdout
    assert "Succeeded" in onboarded.ended.stdout
    inbox = [onboarded.home.dropped_archive("gedi-agbd"), onboarded.home.dropped_manifest("gedi-agbd")]
    before = bytes_below(onboarded.files.root), [path.stat().st_mtime_ns for path in inbox]
    again = factory(*onboarded.command, home=onboarded.home.root)
    assert again.returncode == 0, again.stderr
    assert (bytes_below(onboarded.files.root), [path.stat().st_mtime_ns for path in inbox]) == before


@pytest.mark.integration
def test_the_samples_are_in_the_data_lake_once(onboarded: Onboarded) -> None:
    """As the build's own collection: with a copy, one shot could be drawn for two splits of a dataset."""
    [collection] = DatasetClient(home=onboarded.home.root).list_collections()
    assert (collection.name, collection.source) == ("gedi-agbd", "gedi")
    assert collection.items == onboarded.items.height


@pytest.mark.integration
def test_a_build_that_is_not_to_be_onboarded_leaves_the_inbox_alone(
    onboarded: Onboarded, small_archive: Path, tmp_path: Path
) -> None:
    home = FactoryHome(tmp_path / "home")
    settings = BuildSettings(
        granules=str(small_archive / "granules"),
        output=onboarded.built.root,
        catalog=str(small_archive),
        workers=1,
    )
    build(home.root, settings)
    assert not list(home.upload_inbox.iterdir())


@pytest.mark.integration  # loads Dagster, which starts a process
def test_a_recipe_whose_splits_can_not_be_onboarded_is_told_before_any_work(tmp_path: Path) -> None:
    recipe = Recipe(splits={"near": DateRange(start="2020-01-01", end="2020-12-31")})
    settings = BuildSettings(granules="nowhere", output=tmp_path / "out", recipe=recipe, onboard=True)
    with pytest.raises(OnboardingError, match="has the splits near"):
        build(tmp_path / "home", settings)
    assert not list(tmp_path.rglob("*.h5"))
