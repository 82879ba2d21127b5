"""Checks of a dataset file's content, each of which can be an asset check of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.hdf5.fields import DATA, PROVENANCE
from factory_pipeline.hdf5.opening import fields_of, open_dataset, schema_differences
from factory_pipeline.hdf5.read import LABEL, FusedDataset, Sample
from factory_pipeline.hdf5.sample_checks import (
    COMPLAINTS,
    has_impossible_terrain,
    has_no_biomass,
    has_no_scene_class,
    has_unknown_cover,
    has_wrong_label,
    is_outside_middle,
)
from factory_pipeline.plain_text import count_noun

BLOCK = 512
"""Samples that are looked at together: bounds the memory."""
NAMED_AT_MOST = 5
"""Samples that a finding names; it counts the others."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    passed: bool
    detail: str
    """One sentence: what was found, and where."""


def check_dataset(path: Path) -> list[Finding]:
    """Return every check of a dataset file; only that of the schema, where it fails.

    Raises:
        DatasetFileError: the file is missing, truncated, damaged or no dataset file.
    """
    schema = check_schema(path)
    return [schema, *(check(path) for check in CONTENT_CHECKS)] if schema.passed else [schema]


def check_schema(path: Path) -> Finding:
    """Check that every dataset is there with its dtype, shape, chunks and bands, and no other is."""
    with open_dataset(path) as file:
        fields = fields_of(file)
        differences = schema_differences(file, fields)
        told = f"{len(fields)} datasets of {len(file[fields[0].path])} samples are as the schema says."
    return Finding("schema", not differences, "; ".join(differences) + "." if differences else told)


def check_unique_shots(path: Path) -> Finding:
    """Check that no shot occurs twice."""
    with open_dataset(path) as file:
        shots = file[f"{DATA}/GEDI Shot Number"][:, 0]
    known, counts = np.unique(shots, return_counts=True)
    twice = known[counts > 1]
    return Finding(
        "unique_shots",
        not len(twice),
        f"{count_noun(len(twice), 'shot')} {'occurs' if len(twice) == 1 else 'occur'} more than once:"
        f" {_list_shots(twice)}."
        if len(twice)
        else f"All {len(shots)} shot numbers differ.",
    )


def check_footprint_in_window(path: Path) -> Finding:
    """Check that the window's transform puts the footprint's exact position into pixel [h/2, w/2]."""
    with open_dataset(path) as file:
        latitude, longitude = file[f"{PROVENANCE}/Lat Lon"][:].T
        transforms = file[f"{DATA}/Transforms"][:].astype(np.float64)
        codes = file[f"{DATA}/CRS"].asstr()[:, 0]
        middle = fields_of(file)[0].shape[-1] // 2
    wrong = is_outside_middle(latitude, longitude, transforms, codes, middle)
    return _make_finding("footprint_in_window", wrong, path)


def check_scene_classes(path: Path) -> Finding:
    """Check that every SCL pixel is of a class from 0 to 11."""
    return _check_rasters(
        "scene_classes",
        path,
        ("Sentinel-2 L2A",),
        lambda batch: has_no_scene_class(batch["Sentinel-2 L2A"][:, 0]),
    )


def check_land_cover(path: Path) -> Finding:
    """Check that every WorldCover pixel is of a known class or no data."""
    return _check_rasters(
        "land_cover", path, ("WorldCover",), lambda batch: has_unknown_cover(batch["WorldCover"])
    )


def check_terrain(path: Path) -> Finding:
    """Check that altitudes are between -500 and 9000 m, and slopes finite and not negative."""
    return _check_rasters("terrain", path, ("CopDEM",), lambda batch: has_impossible_terrain(batch["CopDEM"]))


def check_biomass(path: Path) -> Finding:
    """Check that AGBD is positive and finite, its standard error finite and not negative."""
    with open_dataset(path) as file:
        agbd = file[f"{DATA}/AGBD Values"][:, 0]
        error = file[f"{DATA}/AGBD Standard Error"][:, 0]
    return _make_finding("biomass", has_no_biomass(agbd, error), path)


def check_label_raster(path: Path) -> Finding:
    """Check that pixel [h/2, w/2] is labelled, and that every labelled pixel is the sample's AGBD."""
    return _check_rasters(
        "label_raster",
        path,
        ("AGBD Raster",),
        lambda batch: has_wrong_label(batch["AGBD Raster"][:, 0], batch[LABEL][:, 0]),
    )


CONTENT_CHECKS: tuple[Callable[[Path], Finding], ...] = (
    check_unique_shots,
    check_footprint_in_window,
    check_scene_classes,
    check_land_cover,
    check_terrain,
    check_biomass,
    check_label_raster,
)
"""What `check_dataset` runs once the schema is right, in this order."""


def _check_rasters(
    name: str, path: Path, fields: tuple[str, ...], is_wrong: Callable[[Sample], NDArray[np.bool_]]
) -> Finding:
    """Look at rasters block by block; `is_wrong` gives a flag per sample."""
    flags = [is_wrong(batch) for batch in _blocks(path, fields)]
    return _make_finding(name, np.concatenate(flags) if flags else np.zeros(0, bool), path)


def _blocks(path: Path, fields: tuple[str, ...]) -> Iterator[Sample]:
    dataset = FusedDataset(path, fields)
    for start in range(0, len(dataset), BLOCK):
        yield dataset.read_batch(range(start, min(start + BLOCK, len(dataset))))


def _make_finding(name: str, wrong: NDArray[np.bool_], path: Path) -> Finding:
    if not wrong.any():
        return Finding(name, True, f"All {len(wrong)} samples pass.")
    with open_dataset(path) as file:
        shots = file[f"{DATA}/GEDI Shot Number"][:, 0][wrong]
    told = f"{len(shots)} of {len(wrong)} samples have {COMPLAINTS[name]}: shots {_list_shots(shots)}."
    return Finding(name, False, told)


def _list_shots(shots: NDArray[np.int64]) -> str:
    named = ", ".join(map(str, shots[:NAMED_AT_MOST].tolist()))
    return named if len(shots) <= NAMED_AT_MOST else f"{named} and {len(shots) - NAMED_AT_MOST} more"
