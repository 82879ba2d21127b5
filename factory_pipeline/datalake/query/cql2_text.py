"""Converting a condition in CQL2 text to CQL2 JSON, by the parser of the `cql2` package."""

import re
from typing import Any

import cql2

from factory_pipeline.datalake.query.operands import DEEPEST

MOST_OPERATORS = 1000
"""Largest number of operators in a condition.

The parser recurses over them, and a stack overflow would end the process.
"""
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_POINT = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?(?:\s+[-+]?[\d.]+(?:[eE][-+]?\d+)?){0,3}"
_LISTED = re.compile(rf"\(\s*{_POINT}(?:\s*,\s*{_POINT})*\s*\)")
"""Numbers or points in parentheses, whose signs are not operators."""
_OPERATOR = re.compile(r"\b(?:and|or|not|div)\b|[-+*/%^]", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"(?<![\w.])\d{16,}(?![\w.])")
_PLACE = re.compile(r"--> (\d+):(\d+)")


class Cql2TextError(Exception):
    """The text is not CQL2, or more than its parser can process."""

    def __init__(self, position: int, message: str) -> None:
        """Store the position.

        Args:
            position: in the text, counted from 0.
            message: what is wrong there, as the start of a sentence.
        """
        super().__init__(message)
        self.position = position


def parse_cql2_condition(text: str) -> dict[str, Any] | None:
    """Parse a condition to CQL2 JSON; None if the text is CQL2, but only a property or a value.

    Raises:
        Cql2TextError: the text can't be read.
    """
    _require_readable(text)
    try:
        found = cql2.parse_text(text).to_json()
    except cql2.ParseError as error:
        position = _place(text, str(error))
        near = text[position : position + 20].strip() or "the next word"
        raise Cql2TextError(position, f"CQL2 does not allow `{near}`") from error
    except Exception as error:  # For a geometry, cql2 raises nothing narrower.
        raise Cql2TextError(0, f"CQL2 can't read a part of the condition ({error})") from error
    return found if isinstance(found, dict) and "op" in found else None


def _require_readable(text: str) -> None:
    """Refuse texts that would exhaust the stack of the parser, and numbers that it would round."""
    unquoted = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)
    depth = 0
    for mark in re.finditer(r"[()]", unquoted):
        depth += 1 if mark[0] == "(" else -1
        if depth > DEEPEST:
            raise Cql2TextError(
                mark.start(), f"at most {DEEPEST} levels of nesting are allowed; there are more"
            )
    if len(_OPERATOR.findall(_LISTED.sub("", unquoted))) > MOST_OPERATORS:
        raise Cql2TextError(len(text), f"a condition may have {MOST_OPERATORS} operators; there are more")
    if long := _LONG_NUMBER.search(unquoted):
        raise Cql2TextError(long.start(), f"a number as long as {long[0]} must be in quotes, to be exact,")


def _place(text: str, message: str) -> int:
    found = _PLACE.search(message)
    line, column = (int(found[1]), int(found[2])) if found else (1, 1)
    return sum(len(before) + 1 for before in text.split("\n")[: line - 1]) + column - 1
