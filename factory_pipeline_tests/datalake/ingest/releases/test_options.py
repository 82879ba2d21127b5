"""What a user says of a release, as text."""

import pytest

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID, ReleaseOptions
from factory_pipeline.errors import ArgumentError


def test_an_empty_text_says_nothing() -> None:
    assert ReleaseOptions.of("", None, "", skip_invalid=False) == NOTHING_SAID


def test_words_become_what_they_name() -> None:
    ml_type, coordinates = next(iter(MlType)), next(iter(LabelCoordinates))
    said = ReleaseOptions.of("rivers", ml_type.value, coordinates.value, skip_invalid=True)
    assert said == ReleaseOptions("rivers", ml_type, coordinates, skip_invalid=True)


@pytest.mark.parametrize(
    ("argument", "given"), [("mltype", ("fish", None)), ("label_coordinates", (None, "x"))]
)
def test_another_word_is_refused_with_those_that_are_allowed(
    argument: str, given: tuple[str | None, str | None]
) -> None:
    words = MlType if argument == "mltype" else LabelCoordinates
    with pytest.raises(ArgumentError, match=argument) as raised:
        ReleaseOptions.of(None, *given, skip_invalid=False)
    assert all(word.value in str(raised.value) for word in words)
