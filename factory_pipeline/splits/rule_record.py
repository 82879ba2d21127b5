"""The record of a split that was made by the `splits` of a manifest."""

from dataclasses import replace

import numpy as np
import polars as pl

from factory_pipeline.errors import OnboardingError
from factory_pipeline.splits.assign import has_too_few_groups, kept_splits, what_joins
from factory_pipeline.splits.balance import Classes
from factory_pipeline.splits.groups import OVERLAPPING, are_apart, group_items, too_few_groups
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.scenes import with_scenes
from factory_pipeline.splits.sentences import describe_missing
from factory_pipeline.splits.split_rule import GivenSplit, RandomSplit, SpatialSplit, SplitRule

INSTEAD = "`splits: overlap`, and percentages alone, keep such images in one split."
"""What a user can do against a leak."""


def record_of_rule(
    items: pl.DataFrame,
    split: pl.DataFrame,
    rule: SplitRule,
    earlier: pl.DataFrame | None = None,
    classes: Classes | None = None,
    copies: pl.DataFrame | None = None,
) -> SplitRecord:
    """Search a split for leaks and describe it.

    Args:
        items: as for `assign.split_by_rule`.
        split: `stem`, `split`, as `split_by_rule` returned it.
        rule: the `splits` of the manifest.
        earlier: as for `split_by_rule`.
        classes: as for `split_by_rule`.
        copies: as for `split_by_rule`.
    """
    if not isinstance(rule, GivenSplit):
        items = with_scenes(items, rule.scene)
    ignored = earlier is None and has_too_few_groups(items, rule, copies)
    groups = len(np.unique(group_items(items, OVERLAPPING, copies))) if ignored else 0
    return SplitRecord.of(
        items,
        split,
        rule.model_dump(mode="json"),
        promises_zero=not ignored and _does_promise_zero(items, rule, earlier, copies),
        together=replace(what_joins(rule), overlap=True),
        percentages=None if isinstance(rule, GivenSplit) else rule.percentages.model_dump(),
        classes=classes,
        copies=copies,
        instead="" if ignored else INSTEAD,
        remark=too_few_groups(groups, "images") if ignored else "",
    )


def require_labels(record: SplitRecord) -> None:
    """Check that every label is in every split.

    Args:
        record: of the split.

    Raises:
        OnboardingError: SPLIT_INVALID, a split lacks a label.
    """
    if record.balance is not None and record.balance.missing:
        raise OnboardingError(
            "SPLIT_INVALID",
            f"{' '.join(map(describe_missing, record.balance.missing))} More images of it from other places,"
            " fewer splits, or a larger share of these splits would help; without `require_all_labels` the"
            " dataset is made, and its page says so.",
        )


def _does_promise_zero(
    items: pl.DataFrame, rule: SplitRule, earlier: pl.DataFrame | None, copies: pl.DataFrame | None
) -> bool:
    """Return whether the rule promises that nothing leaks.

    Images of an earlier version keep their splits in a random split, even if they overlap.
    """
    if isinstance(rule, RandomSplit) and rule.overlap == "group":
        return earlier is None or not are_apart(
            group_items(items, what_joins(rule), copies), kept_splits(items, earlier)
        )
    return isinstance(rule, SpatialSplit)
