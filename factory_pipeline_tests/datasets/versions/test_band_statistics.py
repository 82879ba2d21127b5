"""Mean and deviation of the bands of items are those of their pixels."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.datasets.versions.band_statistics import band_statistics
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.errors import LakeError
from factory_pipeline_tests.datasets.versions.factories import MadeLake


def test_statistics_of_files_are_those_of_the_pixels_in_the_order_of_the_items(lake: MadeLake) -> None:
    collection = lake.add("many", {f"i{number}": number for number in range(70)})
    tables = {collection.id: CollectionTables.of(lake.registry, lake.home, collection)}
    items = tables[collection.id].items.select("id").collect().reverse()
    items = items.with_columns(collection=np.full(items.height, collection.id))
    found = band_statistics(items, tables, "subset.cover[0]")
    for row in (0, 69):
        number = int(items["id"][row][1:])
        pixels = np.random.default_rng(number).integers(0, 4000, (3, 6, 8), dtype=np.uint16)
        expected = np.stack([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))], axis=1).ravel()
        assert found.row(row) == pytest.approx(expected.tolist())


def test_no_data_does_not_count_and_a_band_without_data_has_no_statistics(lake: MadeLake) -> None:
    path = lake.home.root / "values.h5"
    values = np.array([[[[0, 2], [4, np.nan]], [[0, 0], [0, 0]]]], np.float32)
    with h5py.File(path, "w") as file:
        file["values"] = values
    collection = lake.add_row("rows", path, "values", 0, None)
    tables = {collection.id: CollectionTables.of(lake.registry, lake.home, collection)}
    items = tables[collection.id].items.select("id").collect()
    items = items.with_columns(collection=np.full(1, collection.id))
    assert band_statistics(items, tables, "subset.cover[0]").row(0) == (3.0, 1.0, None, None)
    Path(path).unlink()
    with pytest.raises(LakeError, match="missing"):
        band_statistics(items, tables, "subset.cover[0]")
