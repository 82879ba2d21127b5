"""Properties of samples for choosing, such as `sentinel2.valid_share`, and the checks of a recipe."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.rasters.read_source import SourceStack
from factory_pipeline.builds.rules import CheckedRule, check_rules
from factory_pipeline.config.dataset_recipe import SampleCheck
from factory_pipeline.config.raster_sources import Source
from factory_pipeline.config.recipe import QualityRule

FACTS: dict[str, pl.DataType] = {
    "valid_share": pl.Float64(),
    "steps": pl.Int64(),
    "cloud_cover": pl.Float64(),
}
"""Of each source: the share of pixels with data over all steps, the steps that have some, and the mean cloud
cover of the scenes in percent (null where the collection has none)."""


def fact_schema(sources: Mapping[str, Source]) -> pl.Schema:
    """Return the columns that checks may name."""
    return pl.Schema({f"{name}.{fact}": dtype for name in sources for fact, dtype in FACTS.items()})


def facts_of(stacks: Mapping[str, SourceStack]) -> pl.DataFrame:
    """Return a row per window with the columns of `fact_schema`."""
    columns: dict[str, pl.Series] = {}
    for name, stack in stacks.items():
        counts = _count_data(stack)
        share = counts.sum(axis=1) / math.prod(stack.valid.shape[1:])
        columns[f"{name}.valid_share"] = pl.Series(share, dtype=pl.Float64)
        columns[f"{name}.steps"] = pl.Series((counts > 0).sum(axis=1), dtype=pl.Int64)
        columns[f"{name}.cloud_cover"] = pl.Series(stack.clouds, dtype=pl.Float64).fill_nan(None)
    return pl.DataFrame(columns)


def steps_with_data(stack: SourceStack) -> np.ndarray:
    """Return the number of steps of each window that have a pixel with data, (windows,)."""
    return np.asarray((_count_data(stack) > 0).sum(axis=1))


def _count_data(stack: SourceStack) -> NDArray[np.int64]:
    """Return the pixels with data of each window and step, (windows, steps)."""
    # Along axes, numpy turns truth values into numbers first, which takes ten times as long.
    pictures = stack.valid.reshape(-1, *stack.valid.shape[2:])
    counts = np.fromiter(map(np.count_nonzero, pictures), np.int64, len(pictures))
    return counts.reshape(stack.valid.shape[:2])


def parse_checks(checks: Sequence[SampleCheck], sources: Mapping[str, Source]) -> list[CheckedRule]:
    """Parse the checks of a recipe.

    Args:
        checks: of the recipe.
        sources: by name, as checks name their facts.

    Raises:
        RecipeError: a check is no SQL condition or names a fact that there is not.
    """
    schema = fact_schema(sources)
    rules = [QualityRule(name=check.name, keep=_quote_names(check.keep, sources)) for check in checks]
    return check_rules(rules, schema)


def _quote_names(condition: str, sources: Mapping[str, Source]) -> str:
    """Return a condition in which `sentinel2.valid_share` is one name; quoted texts stay as they are."""
    names = "|".join(map(re.escape, sources))
    parts = re.split(r"('[^']*'|\"[^\"]*\")", condition)
    return "".join(
        part if part[:1] in ("'", '"') else re.sub(rf"\b({names})\.(\w+)", r'"\1.\2"', part) for part in parts
    )
