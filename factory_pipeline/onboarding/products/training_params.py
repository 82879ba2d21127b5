"""Training parameters: statistics that normalise bands and balance classes, from the training images only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.band_statistics import (
    BandStatistics,
    EmptyBand,
    TallyOf,
    band_statistics,
    map_in_threads,
)
from factory_pipeline.imagery.known_tiffs import quick_strips
from factory_pipeline.onboarding.manifest.model import Purpose
from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline.onboarding.products.class_weights import ClassStatistics, MaskCounter, Weighting
from factory_pipeline.splits.names import TRAIN
from factory_pipeline.storage.atomic import write_text


@dataclass(frozen=True)
class TrainingParameters:
    """The properties of the data that a training configuration needs."""

    images: int
    """Training images."""
    bands: tuple[BandStatistics, ...]
    """Statistics of the bands, by modality, then in the order of the file."""
    empty_bands: tuple[EmptyBand, ...]
    weighting: Weighting
    classes: tuple[ClassStatistics, ...]
    """By id; empty unless the purpose is Segmentation."""
    unknown_values: dict[int, int]
    """Training pixels by mask value, for values without a category."""
    label: BandStatistics | None
    """Statistics of the label of a regression."""

    def of(self, modality: str) -> tuple[BandStatistics, ...]:
        """Return the bands of one modality."""
        return tuple(band for band in self.bands if band.modality == modality)

    def write(self, path: Path) -> None:
        """Write `training_params.json`."""
        write_text(path, _ADAPTER.dump_json(self, indent=2).decode() + "\n")

    @classmethod
    def read(cls, path: Path) -> "TrainingParameters":
        """Read what `write` wrote."""
        return _ADAPTER.validate_json(path.read_bytes())


_ADAPTER = TypeAdapter(TrainingParameters)


def training_parameters(
    items: pl.DataFrame,
    split: pl.DataFrame,
    band_names: Mapping[str, Sequence[str]],
    purpose: Purpose,
    categories: Sequence[LabelCategory] = (),
    root: Path = Path(),
    weighting: Weighting = "inverse",
    workers: int = 4,
    tally_of: TallyOf = lambda _path, _dtype: None,
) -> TrainingParameters:
    """Compute the training parameters.

    Args:
        items: `stem`, `images` (list of modality_tag and path), `label` (path or null).
        split: `stem`, `split`; only the training images are read.
        band_names: the bands of each modality in the order of the file.
        purpose: defines what is computed from the labels: classes, their value, or nothing.
        categories: of a segmentation.
        root: folder that relative paths start from.
        weighting: how class weights are computed if a category has none.
        workers: number of files that are read concurrently.
        tally_of: the tallies of a file by its path in `items`, if they are known: it is not read then.

    Raises:
        OnboardingError: SPLIT_INVALID, no image is in the training split; CHECK_FAILED, a file can't be read
            or doesn't fit the others.
    """
    train = items.join(split.filter(pl.col("split") == TRAIN), on="stem", how="semi").sort("stem")
    if not train.height:
        raise OnboardingError("SPLIT_INVALID", "No image is in the training split.")
    files = train.select("images").explode("images").unnest("images")
    bands: list[BandStatistics] = []
    empty: list[EmptyBand] = []
    for modality, names in band_names.items():
        paths = files.filter(pl.col("modality_tag") == modality)["path"].to_list()
        found, without = band_statistics(paths, modality, names, workers, root, tally_of)
        bands += found
        empty += without
    labels = train["label"].drop_nulls().to_list()
    tally = MaskCounter(categories)
    label = None
    if purpose is Purpose.SEGMENTATION:

        def values_of(path: str) -> dict[int, int]:
            known = tally_of(path, None)
            return _mask_values(root / path) if known is None else known[0].counts.by_value

        for mask in map_in_threads(values_of, labels, workers):
            tally.add(mask)
    elif purpose is Purpose.REGRESSION and labels:
        (label,), without = band_statistics(labels, "label", ("label",), workers, root, tally_of)
        empty += without
    classes = tally.statistics(weighting) if purpose is Purpose.SEGMENTATION else ()
    return TrainingParameters(
        train.height, tuple(bands), tuple(empty), weighting, classes, tally.unknown, label
    )


def _mask_values(path: Path) -> dict[int, int]:
    """Count the pixels by value of the first band of a mask.

    Raises:
        OnboardingError: CHECK_FAILED, a value is not an integer.
    """
    pixels: dict[int, int] = {}
    for values, valid in quick_strips(path):
        found, counts = np.unique(values[0][valid[0]], return_counts=True)
        if (found != np.floor(found)).any():
            raise OnboardingError(
                "CHECK_FAILED", f"The mask {path.name} contains values that are not integers."
            )
        for value, count in zip(found, counts, strict=True):
            pixels[int(value)] = pixels.get(int(value), 0) + int(count)
    return pixels
