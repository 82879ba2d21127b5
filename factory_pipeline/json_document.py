"""Read JSON that others wrote: each document is either plain data of few levels or one clear error."""

import json
import re
from pathlib import Path
from typing import Any

from factory_pipeline.errors import DocumentError
from factory_pipeline.text_document import decode_document, read_document

MOST_BYTES = 1 << 30
MOST_DIGITS = 100
"""Of an integer: any that is longer fits no type of number here, not even that of floating-point numbers."""
MOST_LEVELS = 100
"""Lists and objects inside one another: far from where functions that call themselves for each level fail."""

_LONG_NUMBER = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escaped half of a character outside the basic plane, which may stand alone."""


def read_json(path: Path, what: str, allow_nan: bool = True) -> Any:
    """Read a file of JSON.

    Args:
        path: of the file.
        what: begins the sentence of an error, such as `The file a.geojson`.
        allow_nan: as of `parse_json`.

    Returns:
        Plain data.

    Raises:
        DocumentError: the file can't be read, or is not what `parse_json` reads.
    """
    return parse_json(read_document(path, what, MOST_BYTES), what, allow_nan)


def parse_json(text: str | bytes, what: str, allow_nan: bool = True) -> Any:
    """Read a document of JSON.

    Args:
        text: the document; bytes are UTF-8, with or without a byte order mark.
        what: begins the sentence of an error, such as `The file a.geojson`.
        allow_nan: accept NaN and Infinity as numbers, as Python writes them and JSON has them not.

    Returns:
        Plain data.

    Raises:
        DocumentError: it is not UTF-8 or not JSON, has more bytes or levels than are allowed, or a text that
            can't be written as UTF-8.
    """
    decoded = decode_document(text, what, MOST_BYTES, "JSON")
    try:
        document = json.loads(
            decoded,
            parse_constant=None if allow_nan else _refuse_constant,
            # Asked for each integer, which takes time, only where one may be so long.
            parse_int=_parse_integer if _LONG_NUMBER.search(decoded) else None,
        )
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise DocumentError(what, f"is not JSON: {error}") from error
    _check_levels(document, what)
    if _HALF.search(decoded):
        _check_texts(document, what)
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON")


def _parse_integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits, and {MOST_DIGITS} are allowed")
    return int(text)


def _check_levels(document: Any, what: str) -> None:
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep(what)


def _check_texts(document: Any, what: str) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DocumentError(what, "has a text with half a character, which is not Unicode") from error


def _too_deep(what: str) -> DocumentError:
    return DocumentError(what, f"is nested more deeply than the {MOST_LEVELS} levels that are allowed")
