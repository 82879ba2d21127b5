"""Which labels train, test and validate: windows of different splits never overlap."""

from dataclasses import replace
from typing import Literal

import polars as pl

from factory_pipeline.builds.labels.label_table import EXTRA, REJECT_SCHEMA, reject_frame
from factory_pipeline.builds.labels.label_windows import overlap_items
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.errors import OnboardingError, RecipeError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.assign import spatial_split, together_by_location
from factory_pipeline.splits.balance import Balance, Classes, balance_of
from factory_pipeline.splits.groups import group_items
from factory_pipeline.splits.held_out_blocks import leave_out
from factory_pipeline.splits.names import NEAR, NO_SPLIT, OUTSIDE
from factory_pipeline.splits.sentences import describe_missing
from factory_pipeline.splits.strata import as_strata
from factory_pipeline.splits.too_near import find_too_near

STAGE = "split"


def split_labels(windows: pl.DataFrame, recipe: DatasetRecipe) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Assign a split to each label.

    Args:
        windows: labels with their windows; a column to split or to stratify by is among them, with EXTRA.
        recipe: of the dataset.

    Returns:
        The labels with a column `split`, and those without a split, or too near to another one, in
        REJECT_SCHEMA.

    Raises:
        RecipeError: the labels form fewer groups than there are splits.
    """
    rules = recipe.splits
    items = overlap_items(windows, windows["id"].to_list(), recipe.window)
    if rules.by in ("blocks", "random"):
        split = _split_by_place(items, windows, rules)
        return windows.with_columns(split), pl.DataFrame(schema=REJECT_SCHEMA)
    split = _split_by_time(windows, rules) if rules.by == "time" else _split_by_column(windows, rules)
    left_out = split.is_null()
    outside = reject_frame(
        windows["id"].filter(left_out), STAGE, NO_SPLIT, f"The label is in no split by {rules.by}."
    )
    kept, split, items = windows.filter(~left_out), split.filter(~left_out), items.filter(~left_out)
    if rules.blocks is not None and kept.height:
        inside = _in_own_blocks(items, split, rules)
        detail = "Its block of the ground is of another split."
        outside.extend(reject_frame(kept["id"].filter(~inside), STAGE, OUTSIDE, detail))
        kept, split, items = kept.filter(inside), split.filter(inside), items.filter(inside)
    near = find_too_near(split, Ground.of(items), rules.buffer_m)
    detail = f"The window is within {rules.buffer_m:g} m of a window of another split."
    rejects = reject_frame(kept["id"].filter(pl.Series(near)), STAGE, NEAR, detail)
    return kept.with_columns(split).filter(pl.Series(~near)), pl.concat([outside, rejects])


def _split_by_place(items: pl.DataFrame, windows: pl.DataFrame, rules: Splits) -> pl.Series:
    """Return the split of each label by blocks; at random, what overlaps stays together."""
    classes = None
    if rules.stratify is not None:
        classes = Classes.of(pl.DataFrame([as_strata(_column(windows, rules.stratify, "stratify"))]))
    by: Literal["block", "overlap"] = "block" if rules.by == "blocks" else "overlap"
    try:
        together = together_by_location(by, rules.buffer_m, rules.block_m)
        split = spatial_split(items, rules.shares, rules.seed, together, classes=classes)
    except OnboardingError as error:
        raise RecipeError(f"At splits: {str(error).replace('images', 'labels')}") from error
    if classes is not None:
        balance = balance_of(split["split"], group_items(items, together), rules.shares, classes)
        _require_classes(balance, str(rules.stratify))
    return split["split"]


def _in_own_blocks(items: pl.DataFrame, split: pl.Series, rules: Splits) -> pl.Series:
    """Return which labels are in a block of the ground that is of their split."""
    shares = {str(name): share for name, share in (rules.blocks or {}).items()}
    centres = footprints(items).mean(axis=1)
    # What reaches into another block is found as too near.
    return leave_out(centres, split, shares, rules.seed, rules.block_m, 0.0).is_null()


def _require_classes(balance: Balance, stratify: str) -> None:
    if balance.missing:
        said = " ".join(describe_missing(replace(each, name=stratify)) for each in balance.missing)
        raise RecipeError(
            f"At splits.stratify: {said} More labels of it from other places, smaller blocks, fewer splits,"
            " or larger shares of these splits would help; without stratify the classes fall as they fall."
        )


def _split_by_time(windows: pl.DataFrame, rules: Splits) -> pl.Series:
    """Return the split of each label by the span that holds its whole time."""
    split = pl.lit(None, dtype=pl.String)
    for name, span in rules.parts.items():
        inside = (pl.col("start") >= span.start) & (pl.col("end") <= span.end)
        split = pl.when(inside).then(pl.lit(name)).otherwise(split)
    return windows.select(split.alias("split")).to_series()


def _split_by_column(windows: pl.DataFrame, rules: Splits) -> pl.Series:
    assert rules.column is not None
    column = _column(windows, rules.column, "column")
    names = {str(value): name for name, values in rules.parts.items() for value in values}
    texts = column.cast(pl.String)
    if rules.by == "given":
        texts = texts.str.strip_chars().str.to_lowercase()
    split = texts.replace_strict(names, default=None, return_dtype=pl.String)
    if column.dtype.is_float():
        # Files write whole numbers as floats where one of them is missing.
        whole = column.cast(pl.Int64, strict=False)
        texts = pl.select(pl.when(whole == column).then(whole).cast(pl.String)).to_series()
        split = split.fill_null(texts.replace_strict(names, default=None, return_dtype=pl.String))
    return split.alias("split")


def _column(windows: pl.DataFrame, name: str, key: str) -> pl.Series:
    if f"{EXTRA}{name}" not in windows.columns:
        raise RecipeError(f"At splits.{key}: name the column {name!r} in labels.extra too.")
    return windows[f"{EXTRA}{name}"]
