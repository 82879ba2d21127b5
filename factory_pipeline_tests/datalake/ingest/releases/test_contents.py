"""The files of a release are known by their names: pairs, documents, and what is passed over."""

from collections.abc import Iterator

import pytest

from factory_pipeline.datalake.ingest.releases.contents import Pair, find_contents, is_release
from factory_pipeline.errors import OnboardingError


@pytest.mark.parametrize("root", ["", "ts_104-1.0.1/", "a/b/c/"])
def test_the_root_folder_may_be_missing_or_deep(root: str) -> None:
    names = ["images/1.tif", "images/2.tif", "labels/1.json", "labels/2.json", "meta.json", "bounds.geojson"]
    found = find_contents([root + name for name in names], "a.tar.gz")
    assert (found.root, found.meta, found.bounds) == (root, "meta.json", "bounds.geojson")
    assert found.pairs == [Pair(stem, f"images/{stem}.tif", f"labels/{stem}.json") for stem in "12"]
    assert (found.problems, found.others) == ([], [])


def test_folders_and_suffixes_are_of_any_case_and_documents_may_be_missing() -> None:
    names = ["Images/a.TIFF", "IMAGES/b.Tif", "Labels/a.JSON", "labels/b.json", "BOUNDS.json", "images/a.txt"]
    found = find_contents(names, "a.zip")
    assert [pair.stem for pair in found.pairs] == ["a", "b"]
    assert (found.meta, found.bounds) == (None, "BOUNDS.json")
    assert found.others == ["images/a.txt"]


def test_what_does_not_match_is_named_with_what_is_missing() -> None:
    names = ["images/a.tif", "labels/a.json", "images/lonely.tif", "labels/alone.json"]
    found = find_contents(names, "a.zip")
    assert [str(problem) for problem in found.problems] == [
        "labels/alone.json has no image: images/alone.tif is missing",
        "images/lonely.tif has no label: labels/lonely.json is missing",
    ]
    assert {problem.code for problem in found.problems} == {"UNPAIRED"}
    assert [pair.stem for pair in found.pairs] == ["a"]


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("images/a.tiff", "images/a.tif has the base name of another file, images/a.tiff"),
        ("images/north/a.tif", "images/a.tif has the base name of another file, images/north/a.tif"),
        ("labels/north/a.json", "labels/a.json has the base name of another file, labels/north/a.json"),
    ],
)
def test_two_files_of_one_base_name_are_no_pair(extra: str, named: str) -> None:
    found = find_contents(["images/a.tif", "labels/a.json", extra], "a.zip")
    assert [str(problem) for problem in found.problems] == [named]
    assert found.pairs == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["images/a.tif"], "has no label (*.json in the folder labels)"),
        (["labels/a.json", "images/a.png"], "has no image (*.tif in the folder images)"),
        (["x/images/a.tif", "y/labels/a.json"], r"2 folders with images or labels of releases ('x/', 'y/')"),
    ],
)
def test_what_is_no_release_is_refused(names: list[str], said: str) -> None:
    assert not is_release(names)
    with pytest.raises(OnboardingError) as raised:
        find_contents(names, "a.zip")
    assert said in str(raised.value)


def test_a_release_is_recognised_by_its_first_image_and_label() -> None:
    def names() -> Iterator[str]:
        yield from ("r/meta.json", "r/images/a.tif", "r/images/b.tif", "r/labels/a.json")
        raise AssertionError("it reads on")

    assert is_release(names())
