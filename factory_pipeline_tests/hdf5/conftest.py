"""A dataset file that tests read, written once."""

from pathlib import Path

import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.schema import Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

BATCH = "train-00000-0a1b2c3d"


@pytest.fixture(scope="session")
def samples() -> Samples:
    return made_samples(12, BATCH)


@pytest.fixture(scope="session")
def written(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / f"{BATCH}.h5"
    write_dataset(path, samples, Recipe(), "train")
    return path
