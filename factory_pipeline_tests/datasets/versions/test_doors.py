"""Versions of what really comes in by the doors."""

from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest.from_build import collect_build
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.hdf5.read import FusedDataset
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.versions.factories import MadeLake, request
from factory_pipeline_tests.hdf5.factories import made_samples

FIELDS = ("Sentinel-2 L2A", "WorldCover", "CopDEM", "AGBD Raster", "GEDI Shot Number")


@pytest.mark.integration  # takes seconds
def test_a_version_of_a_build_gives_its_samples_to_the_pixel(lake: MadeLake, tmp_path: Path) -> None:
    recipe = Recipe(name="Biomass of the North", window_size=8)
    paths = [tmp_path / f"{split}_dataset.h5" for split in ("train", "test")]
    write_dataset(paths[0], made_samples(5, "train-0", 0, recipe), recipe, "train")
    write_dataset(paths[1], made_samples(3, "test-0", 1, recipe), recipe, "test")
    collection = collect_build(lake.registry, lake.home, paths)
    labels = ("Cropland", "Built-up", "AGBD")
    asked = request(
        collection_id=collection.id,
        labels=labels,
        split_info={"train": 50, "test": 25, "validation": 25},
        query={"op": ">=", "args": [{"property": "metadata.agbd"}, 0]},
    )
    version = create_version(lake.registry, lake.home, asked)
    expected = {}
    for path in paths:
        dataset = FusedDataset(path, FIELDS)
        expected |= {str(sample["GEDI Shot Number"][0]): sample for sample in dataset}
    with open_content(lake.registry, lake.home, version.id) as content:
        assert content.counts == {"train": 4, "test": 2, "validation": 2}
        assert list(content.modalities) == ["S2", "WorldCover", "CopDEM"]
        assert {content.values["Cropland"], content.values["Built-up"]} == {40, 50}
        samples = [sample for split in SPLITS for sample in content.samples(split)]
    assert {sample.name for sample in samples} == set(expected)
    for sample in samples:
        stored = expected[sample.name]
        for modality, field in zip(("S2", "WorldCover", "CopDEM"), FIELDS, strict=False):
            np.testing.assert_array_equal(sample.images[modality].values, stored[field])
        assert sample.target is not None
        np.testing.assert_array_equal(sample.target.values, stored["AGBD Raster"])
        classes = stored["WorldCover"]
        composed = np.zeros_like(classes) if sample.mask is None else sample.mask.values
        np.testing.assert_array_equal(composed, np.where(np.isin(classes, (40, 50)), classes, 0))
