"""A grid of windows over an area, without labels: for pre-training and prediction."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline_tests.builds.recipes.archives import build, grid, make_archive, recipe_of, scene

pytestmark = pytest.mark.integration


def test_a_grid_has_windows_and_no_labels(tmp_path: Path) -> None:
    hls = scene("hls2-s30", "HLS.one", "2021-07-10", grid(6000, 30), only=("B04",))
    archive = make_archive(tmp_path / "archive", [hls])
    west, south = 15.01, 47.82
    recipe = f"""
name: pretraining
labels: {{kind: grid, area: [{west}, {south}, {west + 0.02}, {south + 0.015}]}}
window: {{size: 32, pixel_size: 30}}
sources:
  hls: {{collection: hls2-s30, assets: [B04], time: {{between: [2021-07-01, 2021-07-31]}}}}
splits: {{train: 100}}
"""
    _, summary = build(recipe_of(tmp_path, recipe), tmp_path / "out", str(archive))
    assert summary.samples["train"] == summary.labels > 1
    with h5py.File(tmp_path / "out" / "train_dataset.h5") as file:
        assert (file["data/label"][:] == -1).all()
        assert len(np.unique(file["data/Transforms"][:], axis=0)) == summary.labels
