"""The result of a check of an upload's files, and how the files that failed are found and named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.row_frames import rows_in

FILES_AT_ONCE = 50_000
NAMED_FILES = 5
"""Largest number of files in a message; all are in `files`."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    """Its name as an asset check."""
    passed: bool
    message: str
    """One sentence."""
    files: tuple[str, ...] = ()
    """The files that failed, sorted; empty if it passed."""


def require(checks: Iterable[Check]) -> None:
    """Raise an error for the first check that failed.

    Raises:
        OnboardingError: NO_FILES, UNPAIRED, or CHECK_FAILED, with the check's sentence.
    """
    codes = {"files_found": "NO_FILES", "pairs_complete": "UNPAIRED"}
    for check in checks:
        if not check.passed:
            raise OnboardingError(codes.get(check.name, "CHECK_FAILED"), check.message)


def check_none(name: str, offending: pl.LazyFrame, what: str, otherwise: str) -> Check:
    """Return a check that failed if there is any such file.

    Args:
        name: of the check.
        offending: `name` of each file that failed; repetitions count once.
        what: the reason, as it follows "Files that".
        otherwise: the sentence if there are none.
    """
    files = offending.select(pl.col("name").unique().sort()).collect()["name"]
    if not len(files):
        return Check(name, True, otherwise)
    return Check(name, False, f"Files that {what}: {list_files(files)}.", tuple(files))


def files_check(name: str, files: Sequence[str], what: str, otherwise: str) -> Check:
    """Return a check that failed if `files` is not empty.

    Args:
        name: of the check.
        files: names of the files that failed.
        what: the reason, as it follows "Files that".
        otherwise: the sentence if there are none.
    """
    return check_none(name, pl.LazyFrame({"name": files}, schema={"name": pl.String}), what, otherwise)


def first_names(files: Sequence[str]) -> str:
    """Return the first names of some files, as a message lists them."""
    return list_files(pl.Series(files, dtype=pl.String))


def list_files(files: pl.Series) -> str:
    """Return the first names of some files, and how many more there are, as a message lists them."""
    more = f" and {len(files) - NAMED_FILES} more" if len(files) > NAMED_FILES else ""
    return (", ".join(files.sort()[:NAMED_FILES]) or "none") + more


def first_reason(broken: pl.LazyFrame, column: str) -> str:
    """Return the reason of the first of some files, in brackets; empty if there are none.

    Args:
        broken: `name` and `column`.
        column: one with the reason.
    """
    first = broken.sort("name").head(1).select(column).collect().to_series()
    return f" ({first[0]})" if len(first) else ""


def select_groups(files: pl.LazyFrame, key: str, wrong: pl.Expr, *columns: str) -> pl.LazyFrame:
    """Return the files in groups for which a condition is true.

    Groups are processed in parts, as the index of all groups would need more memory than the rest.

    Args:
        files: `name` and other columns.
        key: column that all files of a group have the same value of.
        wrong: the condition, an aggregation of columns.
        *columns: that are returned; `name` alone if there are none.
    """
    parts = rows_in(files) // FILES_AT_ONCE + 1
    found = []
    for number in range(parts):
        part = files.filter(pl.col(key).hash() % parts == number)
        groups = part.group_by(key).agg(wrong=wrong).filter("wrong").select(key)
        found.append(part.join(groups, on=key, how="semi").select(columns or ("name",)).collect())
    return pl.concat(found).lazy()
