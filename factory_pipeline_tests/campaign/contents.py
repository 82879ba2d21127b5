"""What work leaves behind, in a form that is the same whenever the same work is done."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

LEFT_OUT = re.compile(
    r"^home/(dagster|cache|registry\.db)|^(tmp|work|scratch)\b|^out/stages/waiting\.json$"
    r"|(^|/)\.([^/]*lock|unfinished)$"
)
"""The history of runs, caches, the registry (whose rows are compared), a command's own folders, the note of
which host a build waited for last, locks, and the marks of versions, which the next version removes."""
RANDOM = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:?(00)?|Z)?"), "TIME"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]+ 20\d\d, \d\d:\d\d\b"), "TIME"),
    (re.compile(r'(?<="datePublished": )"\d{4}-\d\d-\d\d"'), "DAY"),
]
"""What is drawn anew, or the time of, each time."""
TEXT = {".json", ".yaml", ".yml", ".csv", ".txt", ".md", ".html", ".geojson", ".jsonl", ".xml"}

EXPIRING = {"leases", "batch_leases", "run_signs"}
"""Tables of the registry whose rows count for nothing once their process has died."""

Contents = dict[str, str]
"""By path: a digest of what is in the file. By the name of a table of the registry: its rows."""


def contents_of(place: Path, registry: str | None, stored: Mapping[str, bytes] = {}) -> Contents:
    """Return what is in the folder of a trial, in its registry, and on a store.

    Args:
        place: with `home` and what the work writes beside it.
        registry: the URL of a PostgreSQL database; None: `home/registry.db`.
        stored: the objects of a store by their keys, which are compared like files of the place.
    """
    found: Contents = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.is_file() and not LEFT_OUT.search(name):
            found[plain(name)] = digest(name, path.read_bytes())
    for name, content in stored.items():
        if not LEFT_OUT.search(name):
            found[plain(name)] = digest(name, content)
    for table, rows in _tables(place / "home" / "registry.db", registry):
        if table not in EXPIRING:
            found[f"table {table}"] = "\n".join(sorted(rows))
    return found


def differences(found: Contents, expected: Contents) -> list[str]:
    """Return a sentence for each path or table that is not as expected."""
    wrong = []
    for name in sorted(found.keys() | expected.keys()):
        here, there = found.get(name), expected.get(name)
        if here is None or there is None:
            wrong.append(f"{name} is {'missing' if here is None else 'too much'}")
        elif here != there:
            rows = set(here.splitlines()) ^ set(there.splitlines()) if name.startswith("table ") else ()
            wrong.append(" | ".join([f"{name} is different", *sorted(rows)]))
    return wrong


def changed_folders(place: Path, before: Path) -> list[str]:
    """Return the folders with new or changed files, relative to the place; `home` and `out` always.

    Args:
        place: the folder of a trial, after its work.
        before: a copy of it, before.
    """
    changed = {"home", "out"}
    for path in place.rglob("*"):
        name = path.relative_to(place)
        earlier = before / name
        if path.is_file() and not (earlier.exists() and earlier.stat().st_mtime == path.stat().st_mtime):
            changed.update(str(parent) for parent in list(name.parents)[:-1] if parent.parts[0] != "tmp")
    return sorted(changed)


def digest(name: str, content: bytes) -> str:
    """Return the hash of a file's content, without what is drawn anew each time."""
    suffix = Path(name).suffix
    if suffix == ".parquet":
        try:
            table = pl.read_parquet(content)
        except pl.exceptions.PolarsError:
            # The unfinished file of a process that was killed, or a damaged one: like no other.
            return _sha(content.hex())
        return _sha("\n".join([str(table.schema), *sorted(plain(repr(row)) for row in table.iter_rows())]))
    if suffix in TEXT:
        return _sha(plain(content.decode(errors="replace")))
    return hashlib.sha256(content).hexdigest()


def plain(text: str) -> str:
    """Return text without what is drawn anew each time."""
    for pattern, name in RANDOM:
        text = pattern.sub(name, text)
    return text


def _tables(sqlite: Path, registry: str | None) -> Iterator[tuple[str, list[str]]]:
    if registry is not None:
        listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        with psycopg.connect(registry) as connection:
            yield from _rows_of(connection, listed)
    elif sqlite.exists():
        with closing(sqlite3.connect(sqlite)) as connection:
            yield from _rows_of(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")


def _rows_of(connection: Any, listed: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the tables that a query lists, each with its rows but those that were deleted."""
    for (name,) in connection.execute(listed).fetchall():
        cursor = connection.execute(f'SELECT * FROM "{name}"')
        columns = [column[0] for column in cursor.description]
        deleted = columns.index("deleted_at") if "deleted_at" in columns else None
        yield (
            name,
            [
                plain(json.dumps(row, default=str))
                for row in cursor.fetchall()
                if deleted is None or row[deleted] is None
            ],
        )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
