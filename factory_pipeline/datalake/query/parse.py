"""Parsing a query in any of its forms to CQL2 JSON: the short form, CQL2 text, CQL2 JSON."""

from collections.abc import Mapping
from typing import Any

from factory_pipeline.datalake.query.operands import QueryError
from factory_pipeline.datalake.query.parse_text import TextError, parse_text
from factory_pipeline.datalake.query.validate import normalize_condition
from factory_pipeline.errors import ArgumentError, DocumentError
from factory_pipeline.json_document import parse_json
from factory_pipeline.plain_text import escape_controls, is_utf8

_SHOWN = 120
"""Largest number of characters of a query that a message quotes."""


def parse_query(query: str | Mapping[str, Any]) -> dict[str, Any]:
    """Parse a query to CQL2 JSON; `{}` if it has no condition.

    Args:
        query: text whose conditions are in the short form or in CQL2 (as `parse_text` reads it), or CQL2 JSON
            as text or mapping.

    Raises:
        ArgumentError: the query is not valid or not supported; the message has the position.
    """
    if isinstance(query, Mapping):
        return _parse_json(query, query)
    if not isinstance(query, str):
        raise ArgumentError("query", query, "a query must be text or CQL2 JSON")
    text = query.strip()
    if not is_utf8(text):
        raise ArgumentError("query", _shorten(escape_controls(query)), "a query must be text in UTF-8")
    if not text:
        return {}
    if text.startswith("{"):
        return _parse_json(_decode_json(text), text)
    try:
        return normalize_condition(parse_text(text))
    except TextError as error:
        message = f"{error}; a text with keywords, signs or parentheses in it must be in quotes"
        raise ArgumentError("query", _shorten(text), message) from error
    except QueryError as error:
        raise ArgumentError("query", _shorten(text), error.allowed) from error


def _parse_json(document: Any, query: Any) -> dict[str, Any]:
    if not document:
        return {}
    try:
        return normalize_condition(document)
    except QueryError as error:
        position = f"at {error.path.lstrip('.')}, " if error.path else ""
        part = query if isinstance(query, str) else error.part
        raise ArgumentError("query", _shorten(part), f"{position}{error.allowed}") from error


def _decode_json(text: str) -> Any:
    try:
        return parse_json(text, "the query")
    except DocumentError as error:
        raise ArgumentError("query", _shorten(text), f"it begins as JSON and {error.problem}") from error


def _shorten(part: Any) -> Any:
    shown = part if isinstance(part, str) else repr(part)
    return part if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
