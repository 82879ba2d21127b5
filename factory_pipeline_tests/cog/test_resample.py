"""The bilinear kernel: equal to the products of matrices that define it, and without threads of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from factory_pipeline.cog.alignment import align
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import Resampling
from factory_pipeline.cog.resample import Sampling
from factory_pipeline.processors import processor_count

SOURCE = Grid(32633, 500_000, 5_400_000, 20, 20, 600, 600)

FOREIGN_CPU = """
import threading, time
import numpy as np
from factory_pipeline_tests.cog.test_resample import sampling_of
sampling, values = sampling_of(256, 8, 3.3)
sampling.apply(values.copy(), None)
own, all_of_them = time.thread_time(), time.process_time()
for _ in range(5):
    sampling_of(256, 8, 3.3)[0].apply(values.copy(), None)
own, all_of_them = time.thread_time() - own, time.process_time() - all_of_them
assert own > 0.01, own
print((all_of_them - own) / own)
"""


def sampling_of(size: int, windows: int, shift: float) -> tuple[Sampling, np.ndarray]:
    """Windows of 10 m on a source of 20 m, and the pixels of their parts."""
    rng = np.random.default_rng(size)
    left = 500_200 + 10.0 * rng.integers(0, 500, windows) + shift
    top = 5_399_800 - 10.0 * rng.integers(0, 500, windows)
    grids = [Grid(32633, x, y, 10, 10, size, size) for x, y in zip(left, top, strict=True)]
    alignment = align(GridStack.of(grids), SOURCE)
    count = size // 2 + 2
    rows, columns = (np.floor(axis[:, 0] - 0.5) for axis in (alignment.rows, alignment.columns))
    parts = np.stack([rows, columns, *np.full((2, windows), count)], axis=1).astype(np.intp)
    values = rng.integers(0, 10_000, (windows, count, count)).astype(np.uint16)
    return Sampling(alignment, SOURCE.shape, (size, size), Resampling.BILINEAR, parts), values


def hats(positions: np.ndarray, first: int, count: int) -> np.ndarray:
    """(positions, count): weight of each pixel of a part, a hat around its centre."""
    centres = first + np.arange(count) + 0.5
    return np.maximum(1 - np.abs(positions[:, None] - centres), 0)


@pytest.mark.integration
@pytest.mark.parametrize("with_holes", [False, True])
@pytest.mark.parametrize(("size", "windows"), [(32, 70), (128, 6), (256, 3)])
@pytest.mark.parametrize("shift", [0.0, 3.3])
def test_windows_equal_the_products_of_weights_and_pixels(
    size: int, windows: int, shift: float, with_holes: bool
):
    sampling, values = sampling_of(size, windows, shift)
    holds = (
        np.random.default_rng(1).random(values.shape) > 0.05 if with_holes else np.ones(values.shape, bool)
    )
    made, valid = sampling.apply(values.copy(), holds if with_holes else None)
    for window in range(windows):
        row, column, count, _ = sampling.parts[window].tolist()
        down = hats(sampling.alignment.rows[window], row, count)
        across = hats(sampling.alignment.columns[window], column, count)
        total = down @ np.where(holds[window], values[window], 0).astype(float) @ across.T
        weight = down @ holds[window].astype(float) @ across.T
        has = valid[window]
        right = np.floor(total[has] / weight[has] + 0.5)
        assert np.array_equal(made[window][has], right)
        assert has.all() or with_holes


@pytest.mark.integration
@pytest.mark.skipif(processor_count() < 2, reason="needs two cores to see a second thread at work")
def test_resampling_large_windows_uses_no_thread_but_its_own():
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN_CPU],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 0.05
