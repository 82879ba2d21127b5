"""A query in any of its forms as CQL2 JSON: the short form, CQL2 text, CQL2 JSON."""

import json
from collections.abc import Mapping
from typing import Any

from factory_pipeline.datalake.query.operands import QueryError
from factory_pipeline.datalake.query.parse_text import TextError, parse_text
from factory_pipeline.datalake.query.validate import checked
from factory_pipeline.errors import ArgumentError

_SHOWN = 120
"""Characters of a query that a message quotes."""


def parse_query(query: str | Mapping[str, Any]) -> dict[str, Any]:
    """A query as CQL2 JSON; `{}` where it asks for nothing.

    Args:
        query: text whose conditions are in the short form or in CQL2 (as `text.parse_text` reads it), or CQL2
            JSON as text or mapping.

    Raises:
        ArgumentError: the query can't be read or answered; the message names the place.
    """
    if isinstance(query, Mapping):
        return _from_json(query, query)
    if not isinstance(query, str):
        raise ArgumentError("query", query, "a query is text or CQL2 JSON")
    text = query.strip()
    if not text:
        return {}
    if text.startswith("{"):
        return _from_json(_decoded(text), text)
    try:
        return checked(parse_text(text))
    except TextError as error:
        message = f"{error}; a text with keywords, signs or parentheses in it stands in quotes"
        raise ArgumentError("query", _shown(text), message) from error
    except QueryError as error:
        raise ArgumentError("query", _shown(text), error.allowed) from error


def _from_json(document: Any, query: Any) -> dict[str, Any]:
    if not document:
        return {}
    try:
        return checked(document)
    except QueryError as error:
        place = f"at {error.path.lstrip('.')}, " if error.path else ""
        part = query if isinstance(query, str) else error.part
        raise ArgumentError("query", _shown(part), f"{place}{error.allowed}") from error


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArgumentError("query", _shown(text), f"it begins as JSON and is none: {error}") from error


def _shown(part: Any) -> Any:
    shown = part if isinstance(part, str) else repr(part)
    return part if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
