"""The manifest that the products of an onboarding are made of."""

from typing import Any

import polars as pl

from factory_pipeline.imagery.headers import FILE_SCHEMA
from factory_pipeline.onboarding.checks.prescan import PrescanReport
from factory_pipeline.onboarding.products.write import products_manifest
from factory_pipeline_tests.onboarding.test_file_changes import manifest


def report(suffix: str, **header: Any) -> PrescanReport:
    row = dict.fromkeys(FILE_SCHEMA) | {"name": "a", "role": "image", "suffix": suffix, "stem": "a", **header}
    return PrescanReport(pl.DataFrame([row], schema=FILE_SCHEMA).lazy(), (), (), (), 0, 0)


def test_all_bands_are_filled_in_from_the_files() -> None:
    found = products_manifest(manifest(), report("_merged.tif", bands=2, band_names=["red", "nir"]))
    [source] = found.data_sources
    assert [(band.index, band.band_name) for band in source.bands] == [(0, "red"), (1, "nir")]
    assert source.file_suffix == "_merged.tif"


def test_suffixes_are_those_that_the_files_of_the_dataset_have() -> None:
    given = manifest(training_data_suffixes=["images/*.tif"], label_suffix="labels/*.tif")
    found = products_manifest(given, report("images/*.tif", bands=1, band_names=[None]))
    for suffix in (*found.training_data_suffixes, found.label_suffix, found.data_sources[0].file_suffix):
        assert suffix
        assert not set(suffix) & set("/*")
    assert found.data_sources[0].file_suffix == found.training_data_suffixes[0]
    assert found.dataset_name == given.dataset_name
