"""What the summaries of all builds share."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

from factory_pipeline.builds.stored_summary import (
    StoredSummary,
    check_is_own,
    remove_former_splits,
    unusable_lines,
    written_lines,
)
from factory_pipeline.errors import BuildError
from factory_pipeline.hdf5.layout import FILE_ATTRIBUTES
from factory_pipeline.hdf5.opening import SENTINEL2
from factory_pipeline.storage.build_files import BuildFiles


@dataclass(frozen=True)
class Summary(StoredSummary):
    """A summary of two fields."""

    name: str
    dropped: dict[str, int]


def test_what_is_saved_is_loaded(tmp_path: Path):
    summary = Summary("forests", {"quality: agbd": 2})
    summary.save(tmp_path / "summary.json")
    assert Summary.load(tmp_path / "summary.json") == summary


def test_unusable_items_are_counted_with_their_reasons():
    first, reason = unusable_lines({"copdem: no_grid": 1_234})
    assert first == f"Items of the catalog that can't be used{'1,234':>15}"
    assert reason.split() == ["copdem:", "no_grid", "1,234"]
    assert list(unusable_lines({})) == []


def test_files_are_listed_by_what_they_are():
    assert [line.split() for line in written_lines({"train": "/a.h5"})] == [["Written"], ["train", "/a.h5"]]


@pytest.mark.parametrize(("there", "here"), [("forests", "crops"), ("forests", None), (None, "crops")])
def test_the_folder_of_another_dataset_is_refused(tmp_path: Path, there: str | None, here: str | None):
    files = BuildFiles(tmp_path)
    check_is_own(files, here)
    files.summary.write_text("{}" if there is None else '{"name": "forests"}')
    check_is_own(files, there)
    with pytest.raises(BuildError, match=r"has the dataset of the .*; name another one for the "):
        check_is_own(files, here)


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
