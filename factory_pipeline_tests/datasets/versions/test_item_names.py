"""What the files of exports are called."""

import random
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datasets.versions.item_names import MOST_BYTES, safe_name, unique_names

ALPHABET = st.text(alphabet=st.sampled_from("aAäÄ\u0308ßs/\\.:?- \x00I\u0131\ud800"), max_size=4)


@pytest.mark.parametrize(
    ("item_id", "name"),
    [
        ("Spain_7370579_S2Hand", "Spain_7370579_S2Hand"),
        ("tiles/12/7.tif", "tiles_12_7.tif"),
        ("..\\secret", "_._secret"),
        (".hidden", "_hidden"),
        ("ends.", "ends_"),
        ("", "_"),
        ("con", "_con"),
        ("Lpt1.tif", "_Lpt1.tif"),
        ("contour", "contour"),
        ("U\u0308ber", "Über"),
        ('a:b*c?"<d>|\n', "a_b_c__" + "_d___"),
    ],
)
def test_a_name_is_the_stem_of_a_file_on_every_system(item_id: str, name: str) -> None:
    assert safe_name(item_id) == name


@given(st.text(max_size=300))
def test_no_id_leads_out_of_a_folder_or_hides_a_file(item_id: str) -> None:
    name = safe_name(item_id)
    assert PurePosixPath(name).name == PureWindowsPath(name).name == name
    assert not name.startswith((".", " "))
    assert unicodedata.is_normalized("NFC", name)
    assert 1 <= len(name.encode()) <= MOST_BYTES + 1


@given(ids=st.lists(ALPHABET, max_size=8), seed=st.integers())
def test_names_differ_in_more_than_case_and_do_not_depend_on_order(ids: list[str], seed: int) -> None:
    contents = [f"c{number}" for number in range(len(ids))]
    names = unique_names(ids, contents, [None] * len(ids), ["-flip"])
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in names}) == len(ids)
    places = random.Random(seed).sample(range(len(ids)), len(ids))
    again = unique_names(
        [ids[p] for p in places], [contents[p] for p in places], [None] * len(ids), ["-flip"]
    )
    assert again == [names[place] for place in places]


def test_only_what_clashes_is_told_apart_by_its_hash() -> None:
    names = unique_names(["a/1", "a_1", "b"], ["x", "y", "z"], [None] * 3)
    assert names[2] == "b"
    assert all(name.startswith("a_1-") and len(name) == 12 for name in names[:2])


def test_an_item_keeps_the_name_that_it_had() -> None:
    names = unique_names(["a", "a", "a"], ["x", "y", "z"], [None, "a", None])
    assert names[1] == "a"
    assert len(set(names)) == 3


def test_no_item_looks_like_an_augmented_copy_of_another() -> None:
    names = unique_names(["a", "a-flip", "b-Flip"], ["x", "y", "z"], [None, "a-flip", None], ["-flip"])
    assert names[0] == "a"
    assert not any(name.casefold().endswith("-flip") for name in names)


def test_a_long_id_is_cut_and_told_by_its_hash() -> None:
    names = unique_names(["ä" * 200, "ä" * 201], ["x", "y"], [None, None])
    assert len(set(names)) == 2
    assert all(len(name.encode()) == MOST_BYTES + 9 for name in names)
