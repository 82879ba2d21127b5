"""Builds of the samples' own recipes over HTTP, and what their files hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.hdf5.verify_recipe import check_recipe_file
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.synthetic.samples.make import make_dataset_sample
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.builds.recipes.archives import build


@dataclass(frozen=True)
class Sample:
    """One sample of a dataset file."""

    id: str
    window: Grid
    arrays: dict[str, np.ndarray]
    items: dict[str, list[list[str]]]
    """By source, for each step the ids of its STAC items."""


@dataclass(frozen=True)
class SampleBuild:
    """An archive with a recipe, and what was built of it."""

    archive: Path
    output: Path
    requests: dict[str, int]
    """Requests by path of the archive's server."""

    def samples(self, *names: str) -> list[Sample]:
        """The samples of all splits, with some of their datasets."""
        return [
            sample
            for path in sorted(self.output.glob("*_dataset.h5"))
            for sample in read_samples(path, names)
        ]

    def faults(self) -> list[str]:
        """What the checks of the files find, and windows of different splits that overlap."""
        found = [
            finding.detail
            for path in sorted(self.output.glob("*_dataset.h5"))
            for finding in check_recipe_file(path)
            if not finding.passed
        ]
        record = read_record(self.output / "splits.json")
        return found + [record["sentences"][0]] * bool(record["crossing_pairs"])

    def raster(self, collection: str, scene: str, asset: str) -> str:
        return str(self.archive / "rasters" / collection / scene / f"{asset}.tif")


def build_sample(dataset: str, folder: Path, labels: Sequence[int] | None = None) -> SampleBuild:
    """Make a sample and build its recipe from a server on loopback.

    Args:
        dataset: of DATASETS.
        folder: an empty one.
        labels: rows of the CSV that are kept; None keeps all.
    """
    sample = make_dataset_sample(dataset, folder / "archive")
    if labels is not None:
        head, *rows = sample.labels.read_text().splitlines()
        sample.labels.write_text("\n".join([head, *(rows[row] for row in labels)]) + "\n")
    with SampleServer(sample.root) as server:
        build(DatasetRecipe.load(sample.recipe), folder / "out", server.stac_url)
        counts = {path: count.requests for path, count in server.counts().items()}
    return SampleBuild(sample.root, folder / "out", counts)


def read_samples(path: Path, names: Sequence[str]) -> list[Sample]:
    """The samples of a file."""
    found = []
    with h5py.File(path) as file:
        sources = [name.removesuffix("_mask") for name in file["data"] if name.endswith("_mask")]
        codes, ids = file["data/CRS"].asstr()[:, 0], file["provenance/Id"].asstr()[:, 0]
        items = {source: file[f"provenance/{source} Items"].asstr()[:] for source in sources}
        size = next(
            file["data"][name].shape[-1] for name in ("label", *sources) if file["data"][name].ndim > 2
        )
        for number, transform in enumerate(file["data/Transforms"][:]):
            epsg = int(codes[number].removeprefix("EPSG:"))
            window = Grid(epsg, transform[2], transform[5], transform[0], transform[0], size, size)
            arrays = {name: file[f"data/{name}"][number] for name in names}
            of_sample = {
                source: [step.split(";") if step else [] for step in texts[number]]
                for source, texts in items.items()
            }
            found.append(Sample(str(ids[number]), window, arrays, of_sample))
    return found
