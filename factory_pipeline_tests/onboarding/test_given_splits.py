"""Splits that an upload brings along."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.given_splits import stems_in_files, stems_in_folders


def test_stems_are_the_lines_of_a_file(tmp_path: Path):
    (tmp_path / "train.txt").write_bytes("\ufeffa \n\n e\u0301\r\n".encode())
    assert stems_in_files({"train": "train.txt"}, tmp_path) == {"train": ["a", "\u00e9"]}


@pytest.mark.parametrize(("name", "told"), [("../train.txt", "no such file"), ("bad.txt", "not UTF-8")])
def test_files_that_can_not_be_read_are_named(name: str, told: str, tmp_path: Path):
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "train.txt").write_text("a")
    (tmp_path / "unpacked" / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(OnboardingError, match=told) as error:
        stems_in_files({"train": name}, tmp_path / "unpacked")
    assert error.value.code == "SPLIT_INVALID"


CONTENTS = pl.LazyFrame(
    {
        "stem": ["a", "b", "c"],
        "name": ["x/train/a.tif", "x/val/b.tif", "x/val/c.txt"],
        "role": ["image", "image", "label"],
    }
)


def test_images_are_in_the_folders_of_their_split():
    found = stems_in_folders(
        {"train": ["train"], "validation": ["val", "valid"], "test": ["a", "b"]}, CONTENTS
    )
    assert found == {"train": ["a"], "validation": ["b"], "test": []}


def test_a_folder_that_must_have_images_is_named():
    for folders in ({"test": ["test"]}, {"train": ["a", "b"]}):
        with pytest.raises(OnboardingError, match="no image is in one"):
            stems_in_folders(folders, CONTENTS)
