"""File names that are derived from names."""

import hashlib
import re
import unicodedata

LONGEST_SLUG = 60


SLUG_DIGITS = 8
"""Hexadecimal digits of the digest in the slug of a name that can't be kept as it is."""


def slug(name: str) -> str:
    """Return a name as it may occur in a path or an address: lower-case letters, digits and hyphens.

    Names that differ in more than capitals, blanks and punctuation have different slugs: if letters or signs
    can't be kept (accents, Chinese, emoji, more than 60 letters), a digest of the name is appended.
    """
    words = "".join(
        "-" if _is_separator(letter) else letter for letter in unicodedata.normalize("NFC", name).lower()
    )
    words = re.sub("-+", "-", words).strip("-")
    if words.isascii() and 0 < len(words) <= LONGEST_SLUG:
        return words
    if not words:
        # Only punctuation distinguishes the name then.
        words = unicodedata.normalize("NFC", name)
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:SLUG_DIGITS]
    letters = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[: LONGEST_SLUG - SLUG_DIGITS - 1].rstrip("-")
    return f"{kept or 'dataset'}-{digest}"


def _is_separator(letter: str) -> bool:
    """Return whether a character only separates words."""
    return not letter.isalnum() if letter.isascii() else unicodedata.category(letter)[0] in "PZ"
