"""Text for one line: that of users' files, which acts on no terminal and no other line, and counts."""

import unicodedata

CONTROLLING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that act on what is around them: control, format (such as right-to-left
overrides), lone surrogates, line and paragraph separators."""
JOINERS = "\u200c\u200d"
"""Format characters that Persian, Indian scripts and emoji are written with; they act on their neighbours."""


def escape_controls(text: object) -> str:
    """Return a text as one line in which every character that controls a terminal is escaped."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in CONTROLLING and letter not in JOINERS
        else letter
        for letter in shown
    )


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as `1 pair` or `1,200 pairs`.

    Args:
        number: 0 or more.
        noun: of one.
        plural: of several; None adds an `s`.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def is_utf8(text: str) -> bool:
    """Return whether a text can be written as UTF-8: it has no halves of characters (lone surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
