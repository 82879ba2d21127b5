"""A GEDI build as a collection: a version by biomass, date and place, for regression and for land cover."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
import yaml
from datumaro import AnnotationType, Dataset

from factory_pipeline import DatasetClient
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest.from_build import collect_build
from factory_pipeline.errors import FactoryError
from factory_pipeline.hdf5.schema import WORLDCOVER_CLASSES
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datasets.exports.test_terratorch import found
from factory_pipeline_tests.hdf5.factories import made_samples

SMALL = Recipe(name="Biomass", window_size=16)
SPLIT = {"train": 60, "test": 20, "validation": 20}
PARTS = {"train": "train", "val": "validation", "test": "test"}
FEWEST = 10
"""Of the 24 shots at least so many are chosen, so that each split has some."""


@dataclass(frozen=True)
class Built:
    """A collection and the fused file that it was made of."""

    client: DatasetClient
    collection_id: str
    file: Path

    def rows(self) -> dict[str, int]:
        """Where each shot with more than 100 Mg/ha lies in the file."""
        with h5py.File(self.file) as file:
            shots, biomass = file["data/GEDI Shot Number"][:, 0], file["data/AGBD Values"][:, 0]
        return {str(shot): row for row, shot in enumerate(shots) if biomass[row] > 100}

    def read(self, member: str, row: int) -> np.ndarray:
        with h5py.File(self.file) as file:
            return np.asarray(file[member][row])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = FactoryHome(tmp_path_factory.mktemp("gedi") / "home")
    path = home.default_output / "train_dataset.h5"
    write_dataset(path, made_samples(24, "train-0", 1, SMALL), SMALL, "train")
    with closing(FactoryResource(home=str(home.root)).registry()) as registry:
        collection = collect_build(registry, home, [path])
    return Built(DatasetClient(home=home.root, on_progress=lambda *_: None), collection.id, path)


def test_biomass_is_learnt_from_what_was_measured(built: Built, tmp_path: Path) -> None:
    made = built.client.create_dataset_from_collection(
        "Dense", built.collection_id, SPLIT, ["AGBD"], query="metadata.agbd > 100"
    )
    rows = built.rows()
    assert len(rows) >= FEWEST
    assert built.client.describe_version(made.version_id).items == len(rows)
    folder = built.client.download_dataset(made.version_id, "TerraTorch", tmp_path / "out")
    config = yaml.safe_load((folder / "terratorch.yaml").read_text())
    data = config["data"]["init_args"]
    assert config["model"]["class_path"] == "terratorch.tasks.PixelwiseRegressionTask"
    reflectance = list(SMALL.sentinel2.bands)
    # Neither the scene classes of Sentinel-2 nor the land cover are numbers to learn from.
    assert data["modalities"] == ["S2", "CopDEM"]
    assert [len(data[name]["S2"]) for name in ("means", "stds", "dataset_bands")] == [len(reflectance)] * 3
    names = dict(pl.read_csv(folder / "index.csv", infer_schema=False).select("stem", "name").iter_rows())
    assert set(names.values()) == set(rows)
    stacks = []
    for part, split_file in ((part, data[f"{part}_split"]) for part in PARTS):
        for tag, member, bands in (
            ("S2", "Sentinel-2 L2A", slice(1, None)),
            ("CopDEM", "CopDEM", slice(None)),
        ):
            images = found(folder, data[f"{part}_data_root"][tag], data["image_grep"][tag], split_file)
            for image in images:
                row = rows[names[image.name.partition("_")[0]]]
                with rasterio.open(image) as read:
                    np.testing.assert_array_equal(read.read(), built.read(f"data/{member}", row)[bands])
                    if tag == "S2":
                        assert list(read.descriptions) == reflectance
                        if part == "train":
                            stacks.append(read.read().reshape(len(reflectance), -1).astype(float))
        for label in found(folder, data[f"{part}_label_data_root"], data["label_grep"], split_file):
            row = rows[names[label.name.partition("_")[0]]]
            with rasterio.open(label) as read:
                np.testing.assert_array_equal(read.read(), built.read("data/AGBD Raster", row))
                assert read.nodata == -9999
    np.testing.assert_allclose(data["means"]["S2"], np.concatenate(stacks, 1).mean(1), rtol=1e-6)
    places = data["rgb_indices"]["S2"]
    assert [reflectance[place] for place in places] == ["B04", "B03", "B02"]


def test_land_cover_is_a_mask_with_the_values_of_worldcover(built: Built, tmp_path: Path) -> None:
    (collection,) = built.client.list_collections()
    land_cover = next(each for each in collection.operations if "AGBD" not in each.labels)
    labels = [name for name in WORLDCOVER_CLASSES.values() if name in land_cover.labels]
    made = built.client.create_dataset_from_datalake(
        "Land cover", SPLIT, labels, ["Semantic Segmentation"], query="metadata.agbd > 100"
    )
    folder = built.client.download_dataset(made.version_id, "Semantic Segmentation", tmp_path / "out")
    read = Dataset.import_from(str(folder), "common_semantic_segmentation_with_subset_dirs")
    known = {label.name for label in read.categories()[AnnotationType.label]}
    assert known == {*labels, "background"}
    rows = built.rows()
    assert {item.id for item in read} == set(rows)
    for item in read:
        with rasterio.open(folder / item.subset / "index_masks" / f"{item.id}.tif") as stored:
            np.testing.assert_array_equal(stored.read(), built.read("data/WorldCover", rows[item.id]))
            assert list(stored.transform) == built.read("data/Transforms", rows[item.id]).ravel().tolist()
            assert stored.crs == rasterio.CRS.from_epsg(32640)
        with rasterio.open(item.media.path) as image:
            assert image.descriptions[0] == "SCL"
            assert image.transform == stored.transform
    folder = built.client.download_dataset(made.version_id, "TerraTorch", tmp_path / "terratorch")
    config = yaml.safe_load((folder / "terratorch.yaml").read_text())
    # Not the land cover itself, which is what the model is to find.
    assert config["data"]["init_args"]["modalities"] == ["S2", "CopDEM"]
    named = dict(enumerate(config["model"]["init_args"]["class_names"]))
    assert {value: named[value] for value in WORLDCOVER_CLASSES if named[value] in labels} == {
        value: name for value, name in WORLDCOVER_CLASSES.items() if name in labels
    }


def test_shots_are_chosen_by_date_and_place(built: Built) -> None:
    (table,) = (built.file.parents[2] / "collections").rglob("items.parquet")
    items = pl.read_parquet(table).unnest("bbox")
    west = items["xmin"].median()
    expected = items.filter(pl.col("xmax") >= west).height
    chosen = {"from_date": "2020-02-01", "to_date": "2020-02-28", "bbox": [west, -90, 180, 90]}
    made = built.client.create_dataset_from_datalake("East", SPLIT, ["AGBD"], filter=chosen)
    assert FEWEST < built.client.describe_version(made.version_id).items == expected < items.height
    with pytest.raises(FactoryError, match="none of 24 items"):
        built.client.create_dataset_from_datalake(
            "Later", SPLIT, ["AGBD"], filter={"from_date": "2021-01-01"}
        )
