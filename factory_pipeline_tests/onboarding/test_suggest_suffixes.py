"""Suffixes that the endings of an archive suggest."""

import zipfile
from pathlib import Path

import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.onboarding.suggest_suffixes import file_endings, suggested_suffixes


def endings(folder: Path, *names: str) -> dict[str, int]:
    """The endings of an archive with these files."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file_endings(str(folder / "a.zip"), IntakePolicy(folders=(folder,)))


def test_last_words_without_digits_belong_to_an_ending(tmp_path: Path):
    found = endings(tmp_path, "a/tile_01.tif", "a/tile_02.tif", "tile_01_mask.tif", "readme.txt")
    assert found == {".tif": 2, "_mask.tif": 1, ".txt": 1}
    assert suggested_suffixes(found) == (".tif", "_mask.tif")


def test_few_words_with_digits_are_modalities(tmp_path: Path):
    found = endings(tmp_path, "x1_s1.tif", "x1_s2.tif", "x2_s1.tif", "x2_s2.tif")
    assert found == {"_s1.tif": 2, "_s2.tif": 2}


@pytest.mark.parametrize(
    ("found", "suggested"),
    [
        ({".tif": 9, "_gt.tif": 9}, (".tif", "_gt.tif")),
        ({"_img.tif": 9, "_lab.tif": 9}, ("_img.tif", "_lab.tif")),
        ({"_seg.png": 9, ".png": 9}, (".png", "_seg.png")),
        ({"_lablab.tif": 9, "_collab.tif": 9}, ("", "")),
        ({".tif": 9, ".png": 9}, ("", "")),
        ({"_label.tif": 1, "_mask.tif": 1, ".jpg": 2}, (".jpg", "")),
        ({".csv": 3}, ("", "")),
    ],
)
def test_what_is_not_clear_is_not_suggested(found: dict[str, int], suggested: tuple[str, str]):
    assert suggested_suffixes(found) == suggested
