"""The role and the stem of each file."""

import pytest

from factory_pipeline.onboarding.checks.file_roles import (
    Suffixes,
    canonical_suffix,
    common_endings,
    last_position,
)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("*_image.tif", "_image.tif"),
        (" ./images/**/*.tif ", "images/*.tif"),
        ("images/.tif", "images/.tif"),
        ("_e\u0301.tif", "_\u00e9.tif"),
    ],
)
def test_suffixes_are_stored_in_one_form(written: str, stored: str):
    assert canonical_suffix(written) == stored


def test_the_longest_ending_wins():
    suffixes = Suffixes((".tif",), "_mask.tif")
    image, label = suffixes.role_of("a/7.tif"), suffixes.role_of("a/7_mask.tif")
    assert image is not None
    assert label is not None
    assert (image.role, label.role) == ("image", "label")
    assert image.stem == label.stem == "7"
    assert suffixes.role_of("readme.txt") is None
    assert suffixes.overlapping() == (("_mask.tif", ".tif"),)


def test_folders_tell_images_from_labels():
    suffixes = Suffixes(("images/*.tif",), "labels/*.tif")
    stems = {
        name: suffixes.role_of(name) for name in ("north/images/1.tif", "north/labels/1.tif", "images/1.tif")
    }
    found = {name: (role.role, role.stem) for name, role in stems.items() if role is not None}
    assert found == {
        "north/images/1.tif": ("image", "north/1"),
        "north/labels/1.tif": ("label", "north/1"),
        "images/1.tif": ("image", "1"),
    }


def test_the_last_of_equal_folders_counts():
    assert last_position(["a", "b", "a"], ["a"]) == 2
    assert last_position(["a", "b"], ["b", "a"]) is None
    assert last_position(["a"], []) == 1


def test_endings_are_counted_for_a_hint():
    assert common_endings(["a.TIF", "b.TIF", "c.xml", "d"]) == ".TIF (2), .xml (1), no ending (1)"
    assert common_endings([]) == "none"
