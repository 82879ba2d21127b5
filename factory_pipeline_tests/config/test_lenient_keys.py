import pytest
from pydantic import ValidationError

from factory_pipeline.config.lenient_keys import (
    ManifestSection,
    as_list,
    fold,
    normalize_accents,
    strip_blanks,
)


class Section(ManifestSection):
    other_spellings = {"suffix": "data_suffixes"}  # noqa: RUF012

    data_suffixes: str = ""
    R_and_D: str = ""


@pytest.mark.parametrize("key", ["data_suffixes", "Data Suffixes", "data-suffixes", "Suffix"])
def test_keys_may_be_typed_in_several_ways(key: str) -> None:
    assert Section.model_validate({key: "x"}).data_suffixes == "x"


def test_a_key_in_two_spellings_is_refused() -> None:
    with pytest.raises(ValidationError, match="data_suffixes is given twice"):
        Section.model_validate({"suffix": "a", "data-suffixes": "b"})
    with pytest.raises(ValidationError, match="sufix"):
        Section.model_validate({"sufix": "a"})


def test_words_are_compared_without_blanks_and_capitals() -> None:
    assert fold(" Training-data  Suffixes ") == "training_data_suffixes"
    assert fold("R&D") == "r_and_d"


def test_accents_are_coded_alike_at_any_depth() -> None:
    assert normalize_accents({"e\u0301": ["e\u0301", 1, ("e\u0301",)]}) == {"é": ["é", 1, ["é"]]}


def test_texts_and_lists() -> None:
    assert strip_blanks("  a ") == "a"
    assert strip_blanks("  ") is None
    assert strip_blanks(3) == 3
    assert as_list("a, b ,,c") == ["a", "b", "c"]
    assert as_list(["a, b"]) == ["a, b"]
