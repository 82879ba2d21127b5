"""Augmented copies of samples: random by the version's seed, the same on every run."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from factory_pipeline.datasets.augment import geometric, radiometric
from factory_pipeline.datasets.augment.config import OPERATIONS, SWITCH, Augmentation
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.thread_map import map_in_threads

Drawn = Mapping[str, Any]
"""The parameters of a copy, by property; for a crop also its window."""

SUFFIXES: Mapping[str, str] = {
    "FLIP_HORIZONTAL": "flip_horizontal",
    "FLIP_VERTICAL": "flip_vertical",
    "IMAGE_ROTATION": "rotation",
    "IMAGE_BLUR": "blur",
    "CLOCKWISE": "clockwise",
    "COUNTER_CLOCKWISE": "counter_clockwise",
    "UPSIDE_DOWN": "upside_down",
    "GRAYSCALE": "grayscale",
    "HUE": "hue",
    "SATURATION": "saturation",
    "BRIGHTNESS": "brightness",
    "NOISE": "noise",
    "SHEAR": "shear",
    "CROP": "crop",
}
"""Endings of the names of copies, after a hyphen: by property if that is True, else by operation."""
NEEDS_COLOURS = frozenset({"GRAYSCALE", "HUE", "SATURATION"})
"""Operations on red, green and blue: a sample without known colour bands gets no copy."""

_SWITCHED: Mapping[str, Callable[[Sample], Sample]] = {
    "FLIP_HORIZONTAL": geometric.flip_horizontal,
    "FLIP_VERTICAL": geometric.flip_vertical,
    "CLOCKWISE": geometric.turn_clockwise,
    "COUNTER_CLOCKWISE": geometric.turn_counter_clockwise,
    "UPSIDE_DOWN": geometric.turn_upside_down,
}
_BY_ONE_NUMBER: Mapping[str, Callable[[Sample, float], Sample]] = {
    "IMAGE_ROTATION": geometric.rotate,
    "IMAGE_BLUR": radiometric.blur,
    "GRAYSCALE": radiometric.turn_grey,
    "HUE": radiometric.turn_hue,
    "SATURATION": radiometric.saturate,
    "BRIGHTNESS": radiometric.brighten,
}


@dataclass(frozen=True)
class _Plan:
    """A copy that will be made."""

    sample: Sample
    suffix: str
    operation: str
    drawn: Drawn
    make: Callable[[], Sample]

    def made(self) -> Sample:
        told = {"augmentation": self.operation, "parameters": dict(self.drawn)}
        return replace(
            self.make(),
            name=f"{self.sample.name}-{self.suffix}",
            origin=self.sample.name,
            metadata={**self.sample.metadata, **told},
            files={},
        )


def copies(sample: Sample, augmentations: Sequence[Augmentation], seed: str) -> Iterator[Sample]:
    """Yield the augmented copies of a sample, made one by one.

    Each depends only on the seed, the name of the sample and the id of the operation, so it does not change
    with the other augmentations or samples. All modalities of a sample are changed in the same way.

    Args:
        sample: an original.
        augmentations: in the order of the copies.
        seed: of the version.

    Returns:
        A copy for each property that is True, and one for each augmentation with ranges. Their metadata also
        have `augmentation` (the id) and `parameters` (the random values).
    """
    return (plan.made() for plan in _plans(sample, augmentations, seed))


def with_copies(
    samples: Iterable[Sample], augmentations: Sequence[Augmentation], seed: str, threads: int
) -> Iterator[Sample]:
    """Return samples, each followed by its augmented copies from `copies`, which threads make ahead.

    At most twice as many copies as threads are in memory, and their original samples.

    Args:
        samples: read lazily.
        augmentations: of the version.
        seed: of all random numbers.
        threads: number of threads, at least 1.
    """
    makes = (make for sample in samples for make in _copy_functions(sample, augmentations, seed))
    return map_in_threads(lambda make: make(), makes, threads)


def copies_per_sample(augmentations: Sequence[Augmentation], has_rgb: bool = True) -> int:
    """Return how many copies `copies` makes of a sample.

    Args:
        augmentations: that are applied.
        has_rgb: whether red, green and blue are known in a modality of the sample.
    """
    made = [each for each in augmentations if has_rgb or each.id not in NEEDS_COLOURS]
    return sum(len(each.properties) if _is_switched(each) else 1 for each in made)


def _copy_functions(
    sample: Sample, augmentations: Sequence[Augmentation], seed: str
) -> Iterator[Callable[[], Sample]]:
    """Yield functions that return the sample and each copy of it."""
    yield lambda: sample
    for plan in _plans(sample, augmentations, seed):
        yield plan.made


def _is_switched(augmentation: Augmentation) -> bool:
    return SWITCH in OPERATIONS[augmentation.id].values()


def _plans(sample: Sample, augmentations: Sequence[Augmentation], seed: str) -> Iterator[_Plan]:
    has_rgb = any(raster.rgb is not None for raster in sample.images.values())
    for augmentation in augmentations:
        if _is_switched(augmentation):
            for each in augmentation.properties:
                make = partial(_SWITCHED[each.id], sample)
                yield _Plan(sample, SUFFIXES[each.id], augmentation.id, {each.id: True}, make)
        elif has_rgb or augmentation.id not in NEEDS_COLOURS:
            yield _draw_plan(sample, augmentation, seed)


def _draw_plan(sample: Sample, augmentation: Augmentation, seed: str) -> _Plan:
    operation = augmentation.id
    rng = _generator(seed, sample.name, operation)
    drawn: dict[str, Any] = {}
    for each in augmentation.properties:
        low, high = each.values
        drawn[each.id] = min(low + (high - low) * rng.random(), high)
    match operation:
        case "SHEAR":
            angles = drawn.get("SHEAR_HORIZONTAL", 0.0), drawn.get("SHEAR_VERTICAL", 0.0)
            make = partial(geometric.shear, sample, *angles)
        case "CROP":
            window = _window(sample, drawn["CROP_PERCENTAGE"], rng)
            drawn |= window
            make = partial(geometric.crop, sample, **window)
        case "NOISE":
            make = partial(radiometric.add_noise, sample, drawn["NOISE_PERCENTAGE"], rng)
        case _:
            make = partial(_BY_ONE_NUMBER[operation], sample, *drawn.values())
    return _Plan(sample, SUFFIXES[operation], operation, drawn, make)


def _generator(seed: str, name: str, operation: str) -> np.random.Generator:
    digest = hashlib.sha256(json.dumps([seed, name, operation]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def _window(sample: Sample, percent: float, rng: np.random.Generator) -> dict[str, int]:
    """Return a window whose sides are shorter than the image's by a percentage, at a random position."""
    height, width = (max(1, round(side * (100 - percent) / 100)) for side in sample.size)
    row, column = (
        int(rng.integers(0, side - kept, endpoint=True))
        for side, kept in zip(sample.size, (height, width), strict=True)
    )
    return {"row": row, "column": column, "height": height, "width": width}
