"""What a leaking split does to a score: the same model on the same samples, split at random and by groups.

    python -m benchmarks.leaking_score demo/output

The model predicts the biomass of a window from its bands' means, as the mean of the three training windows
that are most alike. A window that overlaps a training window finds itself.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.builds.gedi_splits import samples_of
from factory_pipeline.splits.assign import random_split
from factory_pipeline.splits.groups import IDENTICAL, OVERLAPPING
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.storage.build_files import BuildFiles

SHARES = {"train": 70.0, "test": 30.0}
SEEDS = range(10)
NEIGHBOURS = 3


def main() -> None:
    """Print the scores on both kinds of splits, the mean of several draws."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaking_score", description=__doc__)
    parser.add_argument("output", type=Path, help="the folder of a GEDI build, such as demo/output")
    files = BuildFiles(parser.parse_args().output)
    items = samples_of(files).drop("split").with_columns(original_name="stem")
    features, biomass = _read(files)
    for name, together in (("at random", IDENTICAL), ("by groups", OVERLAPPING)):
        scores, leaking = [], []
        for seed in SEEDS:
            split = random_split(items, SHARES, seed, together=together)
            trains = (split["split"] == "train").to_numpy()
            scores.append(_score(features, biomass, trains))
            leaking.append(leak_report(items, split).leaking_share)
        print(f"{name}: R2 {np.mean(scores):.2f}, {np.mean(leaking):.0%} of the test windows leak")


def _read(files: BuildFiles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (samples, bands) means of the reflectance bands, and (samples,) biomass in Mg/ha."""
    features, biomass = [], []
    for split in ("train", "test"):
        with h5py.File(files.fused(split)) as file:
            data = file["data"]
            # The first band holds scene classes.
            features.append(data["Sentinel-2 L2A"][:, 1:].mean(axis=(2, 3), dtype=np.float64))
            biomass.append(data["AGBD Values"][:, 0].astype(np.float64))
    return np.concatenate(features), np.concatenate(biomass)


def _score(features: NDArray[np.float64], biomass: NDArray[np.float64], trains: NDArray[np.bool_]) -> float:
    """Return the coefficient of determination of the predictions for all samples that don't train."""
    standard = (features - features[trains].mean(axis=0)) / features[trains].std(axis=0)
    distance = ((standard[~trains][:, None] - standard[trains][None]) ** 2).sum(axis=2)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    predicted, measured = biomass[trains][nearest].mean(axis=1), biomass[~trains]
    return 1 - float(((measured - predicted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())


if __name__ == "__main__":
    main()
