"""What a user says of a release that is imported."""

from dataclasses import dataclass
from typing import Self, TypeVar

from factory_pipeline.datalake.ingest.releases.form import LabelCoordinates, MlType
from factory_pipeline.errors import ArgumentError

Word = TypeVar("Word", MlType, LabelCoordinates)


@dataclass(frozen=True)
class ReleaseOptions:
    """What a user says of a release that is imported."""

    name: str | None = None
    """Of the collection; None takes that of meta.json, else that of the archive."""
    ml_type: MlType | None = None
    """What labels are for where meta.json does not say."""
    label_coordinates: LabelCoordinates | None = None
    """What the coordinates of labels are; None where that is to be found out."""
    skip_invalid: bool = False
    """Whether to import without the pairs that can't be taken."""

    @classmethod
    def of(
        cls, name: str | None, ml_type: str | None, label_coordinates: str | None, *, skip_invalid: bool
    ) -> Self:
        """Return the options that a user gives as text; None or an empty text says nothing.

        Args:
            name: of the collection.
            ml_type: a value of MlType.
            label_coordinates: a value of LabelCoordinates.
            skip_invalid: leave out invalid samples instead of refusing the release.

        Raises:
            ArgumentError: one is none of the allowed words.
        """
        return cls(
            name or None,
            _choose("mltype", ml_type, MlType),
            _choose("label_coordinates", label_coordinates, LabelCoordinates),
            skip_invalid,
        )


NOTHING_SAID = ReleaseOptions()


def _choose(argument: str, text: str | None, words: type[Word]) -> Word | None:
    if not text:
        return None
    if text not in list(words):
        raise ArgumentError(argument, text, f"it must be {', '.join(words)}, or nothing")
    return words(text)
