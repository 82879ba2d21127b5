"""Verifying the output of a build: samples at random against the original rasters and the batch plan."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from factory_pipeline.builds.gedi.batches import BatchPlan
from factory_pipeline.builds.verification.originals import Originals
from factory_pipeline.builds.verification.report import VerificationReport, VerifiedSubject
from factory_pipeline.builds.verification.samples import Sources, StoredSample, compare_sample
from factory_pipeline.config.recipe import LAYERS, Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.describe_recipe import is_recipe_file
from factory_pipeline.hdf5.opening import open_dataset, own_recipe
from factory_pipeline.hdf5.verify_recipe import check_recipe_file
from factory_pipeline.stac.items import Product, RasterTile, parse_products, parse_tiles
from factory_pipeline.stac.signing import sign_for_planetary_computer
from factory_pipeline.storage.build_files import BuildFiles

Places = list[tuple[Path, int]]
"""Samples: the file, and the index in it."""


def is_build_output(folder: Path) -> bool:
    """Return whether a folder is the output of a build."""
    return BuildFiles(folder).batch_plan.is_file()


def verify_build(folder: Path, samples: int, seed: int) -> VerificationReport:
    """Compare samples of a build's dataset files, drawn at random, with what they were made of.

    The original rasters are read again by rasterio, not by the engine that made the samples. Compared are
    the choice of the product, the window, every layer, the label and all that is told of the sample. Of the
    dataset of a recipe every file is compared with what its recipe says.

    Args:
        folder: the output of a build; its fused files, or the batch files where nothing is fused yet.
        samples: how many are drawn; all, where there are fewer.
        seed: decides which.

    Raises:
        DatasetFileError: there is no dataset file, or one that can't be read.
    """
    files = BuildFiles(folder)
    if any(is_recipe_file(path) for path in _dataset_files(files)):
        return _verify_recipe_files(files)
    places, recipe = _samples_of(_dataset_files(files))
    drawn = places
    if len(places) > samples:
        drawn = sorted(random.Random(seed).sample(places, samples))
    sources = _load_sources(files, recipe, [path for path, _ in drawn])
    results = tuple(_verify_sample(path, index, sources[path]) for path, index in drawn)
    return VerificationReport(str(folder), "build", "samples", len(places), results)


def _verify_recipe_files(files: BuildFiles) -> VerificationReport:
    paths = _dataset_files(files)
    results = tuple(
        VerifiedSubject(
            path.name, tuple(finding.detail for finding in check_recipe_file(path) if not finding.passed)
        )
        for path in paths
    )
    note = "Files of recipes are compared with their recipes: names, types, values, masks, labels, places."
    return VerificationReport(str(files.root), "build", "files", len(paths), results, (note,))


def _dataset_files(files: BuildFiles) -> list[Path]:
    fused = sorted(files.root.glob("*_dataset.h5"))
    found = fused or sorted(files.batches.glob("[!.]*.h5"))
    if not found:
        raise DatasetFileError(f"There are no dataset files in {files.root}; build the dataset first.")
    return found


def _samples_of(paths: list[Path]) -> tuple[Places, dict[Path, Recipe]]:
    """Return every sample of the files, and the recipe that stands in each file."""
    places: Places = []
    recipes = {}
    for path in paths:
        with open_dataset(path) as file:
            recipes[path] = own_recipe(file)
            places += [(path, index) for index in range(len(file["data/GEDI Shot Number"]))]
    return places, recipes


def _load_sources(
    files: BuildFiles, recipes: Mapping[Path, Recipe], paths: list[Path]
) -> dict[Path, Sources]:
    """Return what the samples of each file were made of.

    The searches' answers are those that the build kept.
    """
    items = _kept_items(files)
    tiles: dict[str, dict[str, RasterTile]] = {
        layer: {tile.id: tile for tile in parse_tiles(items[layer])[0]} for layer in ("copdem", "worldcover")
    }
    footprints: dict[int, Mapping[str, Any]] = {
        row["shot_number"]: row for row in BatchPlan.load(files.batch_plan).table.iter_rows(named=True)
    }
    originals = Originals(sign_for_planetary_computer)
    sources = {}
    for path in dict.fromkeys(paths):
        found = parse_products(items["sentinel2"], recipes[path].sentinel2.bands)
        products: dict[str, Product] = {product.id: product for product in found.products}
        sources[path] = Sources(
            recipes[path], products, tiles["copdem"], tiles["worldcover"], footprints, originals
        )
    return sources


def _kept_items(files: BuildFiles) -> dict[str, list[dict[str, Any]]]:
    """Return the items of every search of the build, by layer."""
    items: dict[str, list[dict[str, Any]]] = {layer: [] for layer in LAYERS}
    for path in sorted(files.items.rglob("*.json")):
        layer = path.name.partition("_")[0]
        if layer in items:
            items[layer] += json.loads(path.read_text(encoding="utf-8"))["items"]
    return items


def _verify_sample(path: Path, index: int, sources: Sources) -> VerifiedSubject:
    with h5py.File(path) as file:
        sample = StoredSample.read(file, index)
    name = f"{path.name} sample {index} (shot {sample.shot_number})"
    differences, unreadable = compare_sample(sample, sources)
    return VerifiedSubject(name, tuple(differences), tuple(unreadable))
