"""Makes the sample of a dataset that is not of GEDI: its archive, its labels and its recipe in one folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.synthetic.archive import DEFAULT_SEED
from factory_pipeline.synthetic.samples import burn_scars, canopy, crops
from factory_pipeline.synthetic.stac import Json, write_catalog


@dataclass(frozen=True)
class DatasetSample:
    """What was made."""

    root: Path
    labels: Path
    """A file, or a folder of rasters."""
    recipe: Path
    items: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"Sample archive in {self.root} ({self.bytes / 1e6:.0f} MB):"
            f" {count_noun(self.items, 'scene')}; labels"
            f" {self.labels.name}, recipe {self.recipe.name}."
        )


@dataclass(frozen=True)
class _Maker:
    write_labels: Callable[[Path, int], Path]
    write_scenes: Callable[[Path, int], list[Json]]
    recipe: str


_MAKERS = {
    "crops": _Maker(crops.write_labels, crops.write_scenes, crops.RECIPE),
    "burn-scars": _Maker(burn_scars.write_labels, burn_scars.write_scenes, burn_scars.RECIPE),
    "canopy": _Maker(canopy.write_labels, canopy.write_scenes, canopy.RECIPE),
}
DATASETS = tuple(_MAKERS)
"""The datasets of which there is a sample."""


def make_dataset_sample(dataset: str, output: Path, seed: int = DEFAULT_SEED) -> DatasetSample:
    """Make labels, `<dataset>.yaml`, `rasters/` and last `stac/catalog.json` under `output`.

    The same seed gives the same bytes.

    Args:
        dataset: one of DATASETS.
        output: the folder; made where it does not exist.
        seed: decides labels and noise.
    """
    maker = _MAKERS[dataset]
    labels = maker.write_labels(output, seed)
    recipe = output / f"{dataset}.yaml"
    write_text(recipe, maker.recipe)
    items = maker.write_scenes(output, seed)
    write_catalog(output / "stac", items)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return DatasetSample(output, labels, recipe, len(items), size)
