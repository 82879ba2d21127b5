"""The same job on real GEDI granules, with imagery made around their footprints."""

import os
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.synthetic.archive import make_archive
from factory_pipeline_tests.builds.builds import build, shots_in_files_and_ledger

REALDATA = os.environ.get("FACTORY_REALDATA")
needs_realdata = pytest.mark.skipif(not REALDATA, reason="FACTORY_REALDATA names no folder of real granules")


@needs_realdata
def test_both_real_granules_become_a_dataset(tmp_path: Path):
    granules = Path(REALDATA or "") / "gedi_l4a"
    make_archive(tmp_path / "archive", granules=granules)
    settings = BuildSettings(
        granules=str(granules),
        output=tmp_path / "out",
        catalog=str(tmp_path / "archive"),
        recipe=Recipe(batch_size=250),
    )
    summary, _ = build(tmp_path / "home", settings)

    plan = pl.read_parquet(settings.files.batch_plan)
    assert dict(plan.group_by("split").len().iter_rows()) == {"train": 225, "test": 708}
    assert summary.footprints_in == 461 + 966
    real_shots = []
    for path in granules.glob("*.h5"):
        with h5py.File(path) as granule:
            real_shots += [granule[beam]["shot_number"][:] for beam in granule if beam.startswith("BEAM")]
    assert shots_in_files_and_ledger(settings) == sorted(np.concatenate(real_shots).tolist())
    assert min(summary.samples.values()) > 100
