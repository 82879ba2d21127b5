"""Files of the GEDI dataset stay what they were before datasets were described by recipes of any kind.

The digests were taken from files that version 0.2.0 built, before labels and sources became data. They change
only with a release that says so: whoever goes on with a dataset must get the same bytes.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds import footprint_stages
from factory_pipeline.builds.extraction import BatchExtraction
from factory_pipeline.builds.gedi.batches import CatalogKey
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.stac.providers import EARTH_SEARCH, PLANETARY_COMPUTER, open_catalog
from factory_pipeline.version import __version__
from factory_pipeline_tests.hdf5.factories import made_samples

WRITERS = {"h5py": "3.16.0", "imagecodecs": "2026.3.6"}
"""The libraries that the bytes of a file depend on, in the versions that wrote the digested files."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; its version of the software, which is an attribute, aside."""
    content = path.read_bytes().replace(__version__.encode(), b"<version>")
    return hashlib.sha256(content).hexdigest()


def content_digest(path: Path) -> str:
    """SHA-256 of all that can be read of a file: attributes, datasets, their storage and their values."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:
        attributes = {name: value for name, value in file.attrs.items() if name != "software_version"}
        digest.update(repr(sorted(attributes.items())).encode())
        datasets: list[h5py.Dataset] = []
        file.visititems(lambda _, node: datasets.append(node) if isinstance(node, h5py.Dataset) else None)
        for dataset in datasets:
            attributes = {name: np.asarray(value).tolist() for name, value in dataset.attrs.items()}
            shown = dataset.name, dataset.dtype.str, dataset.shape, dataset.chunks, sorted(attributes.items())
            digest.update(repr(shown).encode())
            digest.update(dataset[()].tobytes())
    return digest.hexdigest()


def was_written_by_the_same_libraries() -> bool:
    return all(version(name) == then for name, then in WRITERS.items())


def test_the_recipe_has_the_same_digests() -> None:
    assert (Recipe().digest(), Recipe().extraction_digest()) == (
        "697aa2ca7cad568f034cbd3cf740210c5f18c7eb6847db62d64b29257b94315d",
        "9b8bd986f5abef4d5175754d969ec9085859769ae39454c26f186d0e525a1920",
    )


def test_the_providers_have_the_same_digests() -> None:
    assert {provider.name: provider.digest() for provider in (PLANETARY_COMPUTER, EARTH_SEARCH)} == {
        "planetary-computer": "b21cca1dea7b40ad6886baa4671f314c55ce374aa6f6206bbfc1f99e32072122",
        "earth-search": "869861d4d3235ba859a4bbcabd66d1e59f15cac07d7b6251ec846c1a44e9ed78",
    }


@pytest.mark.integration
def test_batch_and_fused_files_have_the_same_bytes(tmp_path: Path) -> None:
    recipe = Recipe()
    paths = [tmp_path / f"train-0000{number}-0a1b2c3d.h5" for number in range(2)]
    for number, path in enumerate(paths):
        write_dataset(path, made_samples(3 + number, path.stem, number), recipe, "train")
    fused = tmp_path / "train_dataset.h5"
    fuse_datasets(paths, fused, recipe, "train", [3, 4])

    assert [content_digest(path) for path in (*paths, fused)] == [
        "67e66ec2a43d2c5e97ec9394925d98b7070ecc82f23bffb06395e8cb2de5b90e",
        "492c2e02d757fbd7b04f239dd4c6c2c5e7e953c216c04721a728a40d7f95f0bb",
        "b7cf9a3c7e050b340226e50b57defe6e2dbaecdfe33db4df19bbf8a98811a88b",
    ]
    if was_written_by_the_same_libraries():
        assert [file_digest(path) for path in (*paths, fused)] == [
            "8193908885bb9a1520549b39ab834e877aa2bf6889c05e00b3d84288f68dbd47",
            "53e7131b68c578af422b8ef6ab56769891fc2b4bd792ac44584a540ca8f09a5d",
            "fb3cffdd8f1e09c47ebabfdd6c3430516546f92c3a56cf1b9bd2df7963db2065",
        ]


def test_batches_of_an_archive_hold_the_same_content(small_archive: Path, tmp_path: Path) -> None:
    settings = BuildSettings(
        granules=str(small_archive / "granules"),
        output=tmp_path / "output",
        catalog=str(small_archive / "stac"),
        workers=1,
    )
    footprint_stages.aggregate(settings, lambda _: None)
    footprint_stages.filter_by_quality(settings)
    catalog = open_catalog(settings.catalog).provider
    plan = footprint_stages.plan_subset(settings, CatalogKey(catalog.name, "of the test"))
    extraction = BatchExtraction(settings)
    for batch in plan.keys:
        for stage in (extraction.sentinel2, extraction.copdem, extraction.worldcover, extraction.dataset):
            stage(batch)
    ledgers = [pl.read_parquet(settings.files.batch_rejects(batch)) for batch in plan.keys]

    assert {
        batch: (
            content_digest(settings.files.batch(batch)),
            hashlib.sha256(ledger.write_csv().encode()).hexdigest(),
        )
        for batch, ledger in zip(plan.keys, ledgers, strict=True)
    } == {
        "test-00000-a24b98ca": (
            "3fd65e3a7f271dd4d37c586e6b17cb7990ac8b6f496c266e65f16d2c4b2b6e65",
            "30a93f76e64e6775e2b3254f606e71413419ff83fa3294302e238299a2b11e03",
        ),
        "train-00000-b359eb4c": (
            "f41f0b2016d03930cf66bc727979a8b8302a55e28b3f1acbdbe1b887a1bcdc77",
            "30a93f76e64e6775e2b3254f606e71413419ff83fa3294302e238299a2b11e03",
        ),
    }
