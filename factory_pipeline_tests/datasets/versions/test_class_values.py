"""Which value stands for which label in masks."""

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datasets.versions.class_values import class_values, no_class


def test_values_of_the_sources_are_kept_where_they_agree() -> None:
    assert class_values(["Water", "Land"], {"Water": {1}, "Land": {0}}) == {"Water": 1, "Land": 0}
    assert class_values(["Trees", "Box", "Water"], {"Trees": {10}, "Water": {1}}) == {
        "Trees": 10,
        "Box": 2,
        "Water": 1,
    }


def test_labels_are_numbered_where_the_sources_disagree() -> None:
    numbered = {"Water": 1, "Land": 2}
    assert class_values(["Water", "Land"], {"Water": {1, 5}, "Land": {0}}) == numbered
    assert class_values(["Water", "Land"], {"Water": {1}, "Land": {1}}) == numbered
    assert class_values(["Water", "Land"], {"Water": {-1}}) == numbered
    assert class_values(["Water", "Land"], {"Water": {70_000}}) == numbered


@given(values=st.dictionaries(st.text(max_size=3), st.integers(0, 65_535), max_size=5))
def test_no_class_has_the_value_of_what_is_unknown(values: dict[str, int]) -> None:
    nothing, dtype = no_class(values)
    assert nothing not in values.values()
    assert max([nothing, *values.values()]) <= (255 if dtype == "uint8" else 65_535)


def test_what_is_unknown_is_0_where_no_class_is() -> None:
    assert no_class({"Water": 1}) == (0, "uint8")
    assert no_class({"Land": 0, "Water": 1}) == (255, "uint8")
    assert no_class({"Land": 0, "Snow": 255}) == (65_535, "uint16")
    assert no_class({"Land": 300}) == (0, "uint16")
    assert no_class({"Land": 0, "Snow": 65_535, "Sea": 1}) == (2, "uint16")
