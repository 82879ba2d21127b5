"""Files of image pairs and fields for tests, written with h5py alone, and aligners to be named."""

import os
import signal
from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.volumes.aligners.choose import choose_aligner
from factory_pipeline.volumes.fields.task import FieldTask, plan_fields

HERE = __name__
KILLED = "KILL_AT"
"""Environment variable: a file; while it exists, the process that aligns is killed."""


def write_dataset(path: Path, values: np.ndarray, name: str = "main") -> Path:
    """Write one dataset."""
    with h5py.File(path, "w") as file:
        file[name] = values.astype(np.float32)
    return path


def write_pairs(folder: Path, number: int, shape: tuple[int, int] = (12, 20), name: str = "main") -> Path:
    """Pairs of noise; the means of pair n tell it from others."""
    images = np.random.default_rng(5).random((number, 2, *shape)) + np.arange(number)[:, None, None, None]
    return write_dataset(folder / "images.h5", images + 1, name)


def read(path: Path, name: str = "main") -> np.ndarray:
    """Read a dataset with h5py alone."""
    with h5py.File(path, "r") as file:
        return file[name][:]


def task_of(images: Path, aligner: str, **options: object) -> FieldTask:
    """The task of a named aligner, at MIP 0 if not told otherwise."""
    given = {"previous": None, "src_mip": 0, "dst_mip": 0} | options
    source = choose_aligner(aligner, stage=0, checkpoint="test", mip=int(str(given["src_mip"])))
    return plan_fields(images, aligner=source, **given)


def mean_of_source(src, tgt, previous, mip):
    """A constant residual: the source's mean less 1.5 along the last axis, the mip along the first."""
    del tgt
    residual = np.zeros_like(previous)
    residual[0], residual[1] = np.floor(src.mean()), mip
    return residual


def killed_once(src, tgt, previous, mip):
    """The same, but the process is killed at the third pair while a file exists."""
    flag = Path(os.environ[KILLED])
    if flag.exists() and int(src.mean()) == 3:
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return mean_of_source(src, tgt, previous, mip)


def nothing(src, tgt, previous, mip):
    """No residual field."""
    del src, tgt, mip
    return np.zeros_like(previous)


def wrong_shape(src, tgt, previous, mip):
    """Not a field."""
    del tgt, previous, mip
    return src


def not_finite(src, tgt, previous, mip):
    """A field of NaN."""
    del src, tgt, mip
    return np.full_like(previous, np.nan)
