"""The scene that an image is a tile of, as its name says it."""

import re

import polars as pl

from factory_pipeline.errors import OnboardingError

SCENE = "scene"
"""Column of the scene of each image; images of one scene fall to one split."""


def check_pattern(pattern: str) -> str:
    """Return a pattern of scenes if it is one.

    Raises:
        ValueError: it is no regular expression with exactly one group.
    """
    try:
        groups = re.compile(pattern).groups
        pl.Series([""]).str.extract(pattern, 1)
    except (re.error, pl.exceptions.ComputeError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if groups != 1:
        raise ValueError(
            f"{pattern!r} must have one group in parentheses, which is the scene, such as '^(.+)_tile'"
        )
    return pattern


def with_scenes(items: pl.DataFrame, pattern: str | None) -> pl.DataFrame:
    """Add the scene of each image; null where the pattern does not match its name, or there is none.

    Args:
        items: `original_name`.
        pattern: a regular expression with one group.

    Raises:
        OnboardingError: SPLIT_INVALID, no name matches.
    """
    if pattern is None:
        return items
    found = items.with_columns(pl.col("original_name").str.extract(pattern, 1).alias(SCENE))
    if items.height and not found[SCENE].count():
        raise OnboardingError(
            "SPLIT_INVALID",
            f"The pattern of scenes {pattern!r} matches none of the {items.height} names, such as"
            f" {items['original_name'][0]}.",
        )
    return found
