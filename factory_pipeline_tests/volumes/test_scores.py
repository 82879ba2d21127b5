"""How alike the sections of pairs are."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.volumes import scores
from factory_pipeline.volumes.fields.shards import CORRELATION
from factory_pipeline.volumes.scores import mean_correlation, mean_improvement


def test_the_correlation_of_pairs_is_their_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = np.random.default_rng(2).integers(1, 255, (8, 8)).astype(np.uint8)
    path = tmp_path / "pairs.h5"
    with h5py.File(path, "w") as file:
        file["pairs"] = np.stack([[image, image], [image, 255 - image]])
    monkeypatch.setattr(scores, "images_of", lambda file: file["pairs"])
    assert mean_correlation(path) == pytest.approx(0, abs=0.1), "1 and about -1"


def test_an_alignment_has_a_correlation_before_and_after(tmp_path: Path):
    with h5py.File(tmp_path / "fields.h5", "w") as file:
        file[CORRELATION] = np.array([[0.1, 0.5], [0.3, 0.7]], np.float32)
    assert mean_improvement(tmp_path / "fields.h5") == pytest.approx((0.2, 0.6))
