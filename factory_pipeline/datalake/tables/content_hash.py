"""The identity of rows by content: SHA-256 over one canonical line of JSON per row."""

import hashlib
import json
from datetime import datetime
from typing import Any

import polars as pl


class RowsHash:
    """The hash of rows that arrive batch by batch; how they are divided into batches does not matter.

    A line is the row as JSON with sorted keys, without blanks, in UTF-8; numbers as Python writes them, bytes
    as hexadecimal digits, times in ISO 8601.
    """

    def __init__(self, kind: str) -> None:
        """Start without rows; rows of another kind, such as those of another annotator, hash differently."""
        self._digest = hashlib.sha256(f"{kind}\n".encode())

    def update(self, rows: pl.DataFrame) -> None:
        """Add rows."""
        for row in rows.iter_rows(named=True):
            line = json.dumps(
                row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_to_json_value
            )
            self._digest.update(f"{line}\n".encode())

    def hexdigest(self) -> str:
        """Return the SHA-256 of all rows so far, in hex."""
        return self._digest.hexdigest()


def content_hash(rows: pl.DataFrame, kind: str) -> str:
    """Return the SHA-256 of a table of a kind, in hex; see RowsHash.

    Args:
        rows: all of them, in the order that is hashed.
        kind: of the table; equal rows of another kind have another hash.
    """
    found = RowsHash(kind)
    found.update(rows)
    return found.hexdigest()


def _to_json_value(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a value of the type {type(value).__name__} has no canonical form")
