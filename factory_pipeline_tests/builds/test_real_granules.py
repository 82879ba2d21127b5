"""The same job on a beam each of real GEDI granules, with imagery made around their footprints."""

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline_tests.builds.builds import build, shots_in_files_and_ledger

pytestmark = pytest.mark.integration


def test_both_real_granules_become_a_dataset(real_archive: Path, tmp_path: Path):
    granules = real_archive / "granules"
    settings = BuildSettings(
        granules=str(granules),
        output=tmp_path / "out",
        catalog=str(real_archive),
        recipe=Recipe(batch_size=250),
        workers=1,
    )
    summary, _ = build(tmp_path / "home", settings)

    plan = pl.read_parquet(settings.files.batch_plan)
    assert dict(plan.group_by("split").len().iter_rows()) == {"train": 44, "test": 121}
    assert summary.footprints_in == 112 + 121
    real_shots = []
    for path in granules.glob("*.h5"):
        with h5py.File(path) as granule:
            real_shots += [granule[beam]["shot_number"][:] for beam in granule if beam.startswith("BEAM")]
    assert shots_in_files_and_ledger(settings) == sorted(np.concatenate(real_shots).tolist())
    assert min(summary.samples.values()) > 20, summary.samples
