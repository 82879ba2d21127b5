"""Parsing that all annotation documents share: JSON, confidences, attributes."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory_pipeline import json_document
from factory_pipeline.datalake.ingest.report import BadAnnotationError
from factory_pipeline.errors import DocumentError, LakeError


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        LakeError: it can't be read, or is not JSON.
    """
    try:
        return json_document.read_json(path, f"The file {path.name}")
    except DocumentError as error:
        raise LakeError(str(error)) from error


def confidence(value: Any, where: str) -> float | None:
    """Return a confidence from 0 to 1, or None.

    Args:
        value: as parsed from JSON.
        where: names the annotation in the message.

    Raises:
        BadAnnotationError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadAnnotationError(where, f"has the confidence {value!r}; it must be a number from 0 to 1")
    return float(value)


def numbers(values: Any, count: int | None = None) -> bool:
    """Return whether this is a list of `count` finite numbers; of any number without a count.

    Args:
        values: as parsed from JSON.
        count: required length; None allows any.
    """
    return (
        isinstance(values, list)
        and count in (None, len(values))
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    )


def json_object(values: Mapping[str, Any]) -> str:
    """Encode a JSON object canonically: equal values become the same text."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
