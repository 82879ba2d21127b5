"""Files that fields are made of must fit each other; what decides the fields decides the digest."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.errors import PairFileError
from factory_pipeline.volumes.fields.task import CENTRES, FieldTask, open_pairs, read_centres
from factory_pipeline.volumes.pair_files import pairs_table
from factory_pipeline_tests.volumes.fields.pairs import HERE, task_of, write_dataset, write_pairs

ALIGNER = f"{HERE}:mean_of_source"


def task(images: Path, **options: Any) -> FieldTask:
    return task_of(images, ALIGNER, **options)


def test_a_task_says_what_is_made_of_what(tmp_path: Path) -> None:
    images = write_pairs(tmp_path, 3)
    found = task(images)
    assert (found.pairs, found.shape, found.centres, found.previous_rows) == (3, (12, 20), None, None)
    finer = task(images, src_mip=2, dst_mip=1)
    assert finer.shape == (12, 20), "the middle of fields that are twice as large"


def test_the_digest_is_of_contents_mips_and_shape(tmp_path: Path) -> None:
    images = write_pairs(tmp_path, 3)
    previous = write_dataset(tmp_path / "previous.h5", np.zeros((3, 2, 12, 20)))
    other = write_dataset(tmp_path / "other.h5", np.ones((3, 2, 12, 20)))
    (tmp_path / "copy").mkdir()
    copy = write_pairs(tmp_path / "copy", 3)
    digests = [
        found.digest
        for found in (
            task(images),
            task(images, src_mip=1),
            task(images, src_mip=1, dst_mip=1),
            task(images, shape=(10, 20)),
            task(images, previous=previous),
            task(images, previous=other),
            task_of(images, f"{HERE}:killed_once"),
        )
    ]
    assert len(set(digests)) == len(digests)
    assert task(copy).digest == digests[0], "no path decides it"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"src_mip": 0, "dst_mip": 1}, "--dst_mip 1 must be at most --src_mip 0"),
        ({"shape": (14, 20)}, "can't be 14 pixels long in x: .* at most that and even"),
        ({"shape": (12, 19)}, "can't be 19 pixels long in y"),
    ],
)
def test_fields_that_are_finer_or_larger_than_possible_are_refused(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(PairFileError, match=told):
        task(write_pairs(tmp_path, 2), **options)


def test_previous_fields_of_another_shape_are_refused(tmp_path: Path) -> None:
    images = write_pairs(tmp_path, 3)
    previous = write_dataset(tmp_path / "previous.h5", np.zeros((2, 2, 12, 20)))
    with pytest.raises(PairFileError, match=r"have the shape \(2, 2, 12, 20\); .* needed, \(3, 2, 12, 20\)"):
        task(images, previous=previous)


def table_of(images: Path, rows: list[int]) -> None:
    """The table beside a file of images; the pair of row n lies at 10 n."""
    columns = {f"{side}_{axis}": [10 * row for row in rows] for side in ("src", "tgt") for axis in "xyz"}
    pl.DataFrame({"row": rows, **columns}).write_parquet(pairs_table(images))


def test_previous_fields_are_found_by_their_centres(tmp_path: Path) -> None:
    images = write_pairs(tmp_path, 3)
    table_of(images, [0, 1, 2])
    centres = read_centres(images, 0)
    assert centres is not None
    assert centres[1] == (2 * 10 + 12, 2 * 10 + 20, 10) * 2
    previous = write_dataset(tmp_path / "previous.h5", np.zeros((3, 2, 12, 20)))
    with h5py.File(previous, "a") as file:
        file[CENTRES] = np.array(centres)[[2, 0, 1]]
    assert task(images, previous=previous).previous_rows == (1, 2, 0)
    with h5py.File(previous, "a") as file:
        file[CENTRES][0] = 7
    with pytest.raises(PairFileError, match=r"has no field of 1 pair of .*, such as pair 2, whose src has"):
        task(images, previous=previous)


def test_a_table_of_other_pairs_is_refused(tmp_path: Path) -> None:
    images = write_pairs(tmp_path, 3)
    table_of(images, [0, 1])
    with pytest.raises(PairFileError, match="it has other pairs"):
        read_centres(images, 0)


def test_files_that_can_not_be_opened_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("no")
    for name, told in (("none.h5", "There is no file"), ("a.h5", "is not an HDF5 file, or is damaged")):
        with pytest.raises(PairFileError, match=told), open_pairs(tmp_path / name):
            pass
