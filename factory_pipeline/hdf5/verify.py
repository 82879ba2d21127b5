"""Checks of a dataset file's content, each of which can be an asset check of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from factory_pipeline.hdf5.opening import fields_of, open_dataset, schema_differences
from factory_pipeline.hdf5.read import LABEL, FusedDataset, Sample
from factory_pipeline.hdf5.schema import (
    DATA,
    LABEL_NODATA,
    PROVENANCE,
    SCL_CLASSES,
    WORLDCOVER_CLASSES,
    WORLDCOVER_NODATA,
)

BLOCK = 512
"""Samples that are looked at together: bounds the memory."""
NAMED_AT_MOST = 5
"""Samples that a finding names; it counts the others."""
BORDER = 1e-6
"""Pixels: a footprint this near to a pixel's border may lie in either pixel."""
ALTITUDE_RANGE = (-500.0, 9000.0)
"""Metres."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    passed: bool
    detail: str
    """One sentence: what was found, and where."""


def check_dataset(path: Path) -> list[Finding]:
    """Every check of a dataset file; only that of the schema, where it fails.

    Raises:
        DatasetFileError: the file is missing, truncated, damaged or no dataset file.
    """
    schema = check_schema(path)
    return [schema, *(check(path) for check in CONTENT_CHECKS)] if schema.passed else [schema]


def check_schema(path: Path) -> Finding:
    """Every dataset is there with its dtype, shape, chunks and bands, and no other is."""
    with open_dataset(path) as file:
        fields = fields_of(file)
        differences = schema_differences(file, fields)
        told = f"{len(fields)} datasets of {len(file[fields[0].path])} samples are as the schema says."
    return Finding("schema", not differences, "; ".join(differences) + "." if differences else told)


def check_unique_shots(path: Path) -> Finding:
    """No shot is there twice."""
    with open_dataset(path) as file:
        shots = file[f"{DATA}/GEDI Shot Number"][:, 0]
    known, counts = np.unique(shots, return_counts=True)
    twice = known[counts > 1]
    return Finding(
        "unique_shots",
        not len(twice),
        f"{len(twice)} shots are there more than once: {_named(twice)}."
        if len(twice)
        else f"All {len(shots)} shot numbers differ.",
    )


def check_footprint_in_window(path: Path) -> Finding:
    """The window's transform puts the footprint's exact position into pixel [h/2, w/2]."""
    with open_dataset(path) as file:
        latitude, longitude = file[f"{PROVENANCE}/Lat Lon"][:].T
        transforms = file[f"{DATA}/Transforms"][:].astype(np.float64)
        codes = file[f"{DATA}/CRS"][:, 0]
        middle = fields_of(file)[0].shape[-1] // 2
    inside = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        of_code = codes == code
        to_window = Transformer.from_crs("EPSG:4326", code.decode(), always_xy=True)
        x, y = to_window.transform(longitude[of_code], latitude[of_code])
        a, b, c, d, e, f = transforms[of_code, :6].T
        determinant = a * e - b * d
        column = (e * (x - c) - b * (y - f)) / determinant - middle
        row = (a * (y - f) - d * (x - c)) / determinant - middle
        inside[of_code] = np.all(
            [(place >= -BORDER) & (place <= 1 + BORDER) for place in (row, column)], axis=0
        )
    return _finding(
        "footprint_in_window",
        ~inside,
        path,
        f"footprints lie outside pixel [{middle}, {middle}] of their window",
    )


def check_scene_classes(path: Path) -> Finding:
    """Every SCL pixel is of a class from 0 to 11."""
    return _check_rasters(
        "scene_classes",
        path,
        ("Sentinel-2 L2A",),
        lambda batch: _anywhere(batch["Sentinel-2 L2A"][:, 0] >= len(SCL_CLASSES)),
        "samples have SCL pixels of no class from 0 to 11",
    )


def check_land_cover(path: Path) -> Finding:
    """Every WorldCover pixel is of a known class or no data."""
    known = [WORLDCOVER_NODATA, *WORLDCOVER_CLASSES]
    return _check_rasters(
        "land_cover",
        path,
        ("WorldCover",),
        lambda batch: _anywhere(~np.isin(batch["WorldCover"], known)),
        f"samples have WorldCover pixels of no class of {', '.join(map(str, known))}",
    )


def check_terrain(path: Path) -> Finding:
    """Altitudes are between -500 and 9000 m; slopes are finite and not negative."""
    low, high = ALTITUDE_RANGE

    def is_wrong(batch: Sample) -> NDArray[np.bool_]:
        altitude, slope = batch["CopDEM"][:, 0], batch["CopDEM"][:, 1]
        # Written so that NaN is wrong.
        right = (altitude >= low) & (altitude <= high) & (slope >= 0) & np.isfinite(slope)
        return _anywhere(~right)

    return _check_rasters(
        "terrain",
        path,
        ("CopDEM",),
        is_wrong,
        f"samples have altitudes outside {low:.0f} to {high:.0f} m or slopes that are negative or not finite",
    )


def check_biomass(path: Path) -> Finding:
    """AGBD is positive and finite, its standard error is finite and not negative."""
    with open_dataset(path) as file:
        agbd = file[f"{DATA}/AGBD Values"][:, 0]
        error = file[f"{DATA}/AGBD Standard Error"][:, 0]
    right = (agbd > 0) & np.isfinite(agbd) & (error >= 0) & np.isfinite(error)
    return _finding("biomass", ~right, path, "samples have an AGBD that is not positive, or no finite error")


def check_label_raster(path: Path) -> Finding:
    """Pixel [h/2, w/2] is labelled, and every labelled pixel has exactly the sample's AGBD."""

    def is_wrong(batch: Sample) -> NDArray[np.bool_]:
        label, agbd = batch["AGBD Raster"][:, 0], batch[LABEL][:, :, None]
        half = label.shape[-1] // 2
        return _anywhere((label != LABEL_NODATA) & (label != agbd)) | (label[:, half, half] == LABEL_NODATA)

    return _check_rasters(
        "label_raster",
        path,
        ("AGBD Raster",),
        is_wrong,
        "samples have a label raster that is empty at the footprint or differs from their AGBD",
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
    name: str,
    path: Path,
    fields: tuple[str, ...],
    is_wrong: Callable[[Sample], NDArray[np.bool_]],
    complaint: str,
) -> Finding:
    """Look at rasters block by block; `is_wrong` gives a flag per sample."""
    flags = [is_wrong(batch) for batch in _blocks(path, fields)]
    return _finding(name, np.concatenate(flags) if flags else np.zeros(0, bool), path, complaint)


def _blocks(path: Path, fields: tuple[str, ...]) -> Iterator[Sample]:
    dataset = FusedDataset(path, fields)
    for start in range(0, len(dataset), BLOCK):
        yield dataset.read_batch(range(start, min(start + BLOCK, len(dataset))))


def _anywhere(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for each sample with a True pixel."""
    return np.any(wrong.reshape(len(wrong), -1), axis=1)


def _finding(name: str, wrong: NDArray[np.bool_], path: Path, complaint: str) -> Finding:
    if not wrong.any():
        return Finding(name, True, f"All {len(wrong)} samples pass.")
    with open_dataset(path) as file:
        shots = file[f"{DATA}/GEDI Shot Number"][:, 0][wrong]
    return Finding(name, False, f"{len(shots)} of {len(wrong)} {complaint}: shots {_named(shots)}.")


def _named(shots: NDArray[np.int64]) -> str:
    named = ", ".join(map(str, shots[:NAMED_AT_MOST].tolist()))
    return named if len(shots) <= NAMED_AT_MOST else f"{named} and {len(shots) - NAMED_AT_MOST} more"
