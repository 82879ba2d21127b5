"""The output folder of a build: whose dataset it has, which files it must have, which are removed."""

from pathlib import Path

import h5py
import polars as pl
import pytest

from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.output_folder import (
    NAMED_AT_MOST,
    check_complete,
    check_is_own,
    remove_former_splits,
)
from factory_pipeline.errors import BuildError, IncompleteBuildError
from factory_pipeline.hdf5.layout import FILE_ATTRIBUTES
from factory_pipeline.hdf5.opening import SENTINEL2
from factory_pipeline.storage.build_files import BuildFiles


@pytest.mark.parametrize(("there", "here"), [("forests", "crops"), ("forests", None), (None, "crops")])
def test_the_folder_of_another_dataset_is_refused(tmp_path: Path, there: str | None, here: str | None):
    files = BuildFiles(tmp_path)
    check_is_own(files, here)
    files.summary.write_text("{}" if there is None else '{"name": "forests"}')
    check_is_own(files, there)
    with pytest.raises(BuildError, match=r"has the dataset of the .*; name another one for the "):
        check_is_own(files, here)


def test_batches_without_a_file_or_a_ledger_are_missing(tmp_path: Path):
    files = BuildFiles(tmp_path)
    keys = [f"train-{number:05d}-aaaaaaaa" for number in range(NAMED_AT_MOST + 4)]
    plan = BatchPlan(PlanFacts(("train",)), pl.DataFrame({"batch": keys}))
    for path in (files.batch(keys[0]), files.batch_rejects(keys[0]), files.batch(keys[1])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(IncompleteBuildError) as refused:
        check_complete(plan, files)
    named = ", ".join(keys[1 : NAMED_AT_MOST + 1])
    assert str(refused.value) == (
        f"{len(keys) - 1} of {len(keys)} batches are missing: {named} and 3 more; extract them, then fuse."
    )
    for key in keys:
        files.batch(key).touch()
        files.batch_rejects(key).touch()
    check_complete(plan, files)


def test_datasets_of_splits_that_are_gone_are_removed(tmp_path: Path):
    files = BuildFiles(tmp_path)
    for name, split in (("train", "train"), ("validation", "validation"), ("copy", "validation")):
        with h5py.File(files.fused(name), "w") as file:
            file.create_dataset(SENTINEL2, (0, 1, 1, 1))
            file.attrs.update(dict.fromkeys(FILE_ATTRIBUTES, split))
    (tmp_path / "notes_dataset.h5").write_text("no dataset")
    remove_former_splits(files, ["train", "test"])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["copy_dataset.h5", "notes_dataset.h5", "train_dataset.h5"]
