"""Lenient spelling of a manifest's keys and words, and the base class of its sections."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def fold(text: object) -> str:
    """A key or word as it is compared: `Training-data Suffixes` and `training_data_suffixes` are the same."""
    return re.sub(r"[^a-z0-9]+", "_", str(text).lower().replace("&", " and ")).strip("_")


def normalize_accents(document: Any) -> Any:
    """Plain data whose texts, keys too, have their accents coded as in NFC."""
    if isinstance(document, str):
        return unicodedata.normalize("NFC", document)
    if isinstance(document, Mapping):
        return {normalize_accents(key): normalize_accents(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [normalize_accents(value) for value in document]
    return document


class ManifestSection(BaseModel):
    """A part of a manifest: immutable; keys may be typed with blanks, hyphens and capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    other_spellings: ClassVar[Mapping[str, str]] = {}
    """Folded keys that users type, and the field that is meant."""

    @model_validator(mode="before")
    @classmethod
    def _keys_as_fields(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        named: dict[str, Any] = {}
        for key, value in document.items():
            field = cls.other_spellings.get(fold(key), fold(key))
            if field not in cls.model_fields:
                field = str(key)
            if field in named:
                raise ValueError(f"{field} is given twice")
            named[field] = value
        return named


def strip_blanks(value: Any) -> Any:
    """Text without blanks around it; an empty text counts as not given."""
    if isinstance(value, str):
        return value.strip() or None
    return value


def as_list(value: Any) -> Any:
    """Return one value, or several parted by commas, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(as_list)]
"""Names in a list, or in one text parted by commas."""
