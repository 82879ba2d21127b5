"""Labels of points as rasters with one labelled pixel."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.datalake.ingest.point_labels import write_point_labels
from factory_pipeline.hdf5.recipe_fields import LABEL, label_nodata


def recipe(target: dict[str, Any]) -> DatasetRecipe:
    return DatasetRecipe.parse(
        {
            "name": "crops",
            "labels": {"kind": "points", "path": "fields.csv", "target": target},
            "window": {"size": 5, "pixel_size": 10},
            "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
        },
        "r",
    )


@pytest.mark.parametrize(
    ("target", "values"),
    [
        ({"column": "crop", "classes": {1: "Maize", 2: "Wheat"}}, [2, 1]),
        ({"column": "height", "unit": "m"}, [1.5, -3.25]),
    ],
)
def test_the_label_is_in_the_middle_pixel_alone(
    tmp_path: Path, target: dict[str, Any], values: list[float]
) -> None:
    made = recipe(target)
    hashes = write_point_labels(tmp_path / "labels.h5", made, np.array(values))
    with h5py.File(tmp_path / "labels.h5") as file:
        rasters = file[LABEL][:]
        assert rasters.shape == (2, 1, 5, 5)
        assert rasters[:, 0, 2, 2].tolist() == values
        rasters[:, 0, 2, 2] = label_nodata(made)
        assert np.array_equal(
            rasters, np.full_like(rasters, label_nodata(made)), equal_nan=rasters.dtype.kind == "f"
        )
        stored = [file[LABEL].id.read_direct_chunk((row, 0, 0, 0))[1] for row in range(2)]
    assert [row.tobytes() for row in hashes] == [sha256(chunk).digest() for chunk in stored]
    assert stored[0] != stored[1]
