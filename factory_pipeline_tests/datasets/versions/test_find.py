"""What a user types, against names and ids."""

from factory_pipeline.datasets.versions.find import (
    MOST_NAMED,
    SHORTEST_PREFIX,
    by_prefix,
    list_similar,
    listed,
    sort_by_similarity,
)

IDS = ["aaaaaaaa11112222", "aaaaaaaa33334444", "bbbbbbbb55556666"]


def test_the_beginning_of_an_id_must_be_long_enough() -> None:
    assert by_prefix("a" * SHORTEST_PREFIX, IDS) == IDS[:2]
    assert by_prefix("a" * (SHORTEST_PREFIX - 1), IDS) == []
    assert by_prefix("aaaaaaaa3", IDS) == [IDS[1]]


def test_a_name_is_not_the_beginning_of_an_id() -> None:
    assert by_prefix("Aaaaaaaa", IDS) == []
    assert by_prefix("balloons", ["balloons-1"]) == []


def test_the_most_similar_names_come_first_whatever_their_case() -> None:
    names = ["water", "Forest", "grass"]
    assert sort_by_similarity("forst", names) == ["Forest", "water", "grass"]
    assert sort_by_similarity("xyz", names) == names


def test_similar_names_are_described_all_if_none_is_similar() -> None:
    names = {"Forest": "'Forest' (1)", "water": "'water' (2)"}
    assert list_similar("forests", names) == "'Forest' (1)"
    assert list_similar("xyz", names) == "'Forest' (1), 'water' (2)"


def test_of_many_values_the_first_are_listed() -> None:
    assert listed("ab") == "a, b"
    assert listed(map(str, range(MOST_NAMED + 3))).endswith(f"{MOST_NAMED - 1} and 3 more")
