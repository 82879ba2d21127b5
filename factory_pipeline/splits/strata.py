"""Properties of items as classes that can keep their share: numbers by quantiles, times by year."""

from itertools import pairwise

import numpy as np
import polars as pl

QUANTILES = 4
"""Parts that numbers are divided into: quarters of the items."""
FEW_NUMBERS = 12
"""So many different whole numbers or fewer are classes, as codes of land cover are."""


def as_strata(values: pl.Series) -> pl.Series:
    """Return the class of each value as text; null where there is none.

    Args:
        values: texts and booleans are classes as they are, times are those of their year, few whole numbers
            are codes, and other numbers are divided at their quartiles.

    Returns:
        Text of the same length, such as `2021`, `forest` or `12.5 to 80`.
    """
    if values.dtype.is_temporal():
        return values.dt.year().cast(pl.String)
    if not values.dtype.is_numeric():
        return values.cast(pl.String)
    if values.dtype.is_integer() and values.drop_nulls().n_unique() <= FEW_NUMBERS:
        return values.cast(pl.String)
    numbers = values.cast(pl.Float64).to_numpy()
    known = np.isfinite(numbers)
    strata = np.full(len(numbers), None, dtype=object)
    if known.any():
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, QUANTILES + 1)))
        names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        names = names or [f"{edges[0]:g}"]
        part = np.searchsorted(edges[1:-1], numbers[known], side="right")
        strata[known] = np.array(names, dtype=object)[part]
    return pl.Series(values.name, strata.tolist(), dtype=pl.String)
