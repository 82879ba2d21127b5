"""What a user must know of a split, in sentences: leaks, what was not searched, shares out of balance."""

from collections.abc import Mapping

from factory_pipeline.splits.balance import Balance, Missing
from factory_pipeline.splits.leakage import LeakReport
from factory_pipeline.splits.names import BORDER, NEAR, NO_SPLIT, OUTSIDE

NOT_COMPARED = (
    "Not checked: whether other files show the same content, such as copies that were re-encoded, shifted,"
    " cut or scaled."
)
COMPARED_IN_PART = "Not checked: copies that were cut, turned, or shifted by more than a tenth of their side."
_WHY = {
    NO_SPLIT: "the rule names none for them",
    NEAR: "too near to one of another split",
    OUTSIDE: "in a block of the ground of another split",
    BORDER: "reaching into a block of another split",
}
_DEVIATES = 0.02
"""Deviations of shares up to this are not worth a sentence."""


def describe_leaks(leaks: LeakReport, what: str) -> str:
    """Return what the search for pairs across splits has found, in one sentence.

    Args:
        leaks: what was found.
        what: what an item is called, such as images.
    """
    if leaks.leaks:
        return (
            f"The split leaks: {leaks.crossing_pairs:,} of {leaks.pairs:,} pairs of overlapping or identical"
            f" {what} are in different splits, and {leaks.leaking_share:.1%} of the test and validation"
            f" {what} share ground or content with a training one."
        )
    if leaks.pairs:
        return (
            f"No overlapping or identical {what} are in different splits; a random split would separate"
            f" {leaks.random_pairs:,.0f} of {leaks.pairs:,} pairs and leak"
            f" {leaks.random_leaking_share:.1%} of the test and validation {what}."
        )
    if leaks.placed > 1:
        return f"No two {what} overlap, and no two files are identical."
    return "No two files are identical."


def describe_left_out(count: int, reasons: Mapping[str, int], what: str) -> tuple[str, ...]:
    """Return how many are in no split and why, a sentence for each reason.

    Args:
        count: of those in no split.
        reasons: how many of them for each reason; empty where none is known, other than that they would leak.
        what: what an item is called.
    """
    if not reasons:
        return (f"{_counted(count, what)} in no split: they would leak.",) if count else ()
    return tuple(
        f"{_counted(of_reason, what)} in no split: {_WHY[reason]}." for reason, of_reason in reasons.items()
    )


def describe_limits(leaks: LeakReport, what: str) -> tuple[str, ...]:
    """Return what the search did not look at, a sentence each; parameters as for `describe_leaks`.

    Args:
        leaks: as found.
        what: the plural noun, such as images.
    """
    unplaced = leaks.images - leaks.placed
    limits = []
    if unplaced and not leaks.placed:
        limits.append(f"Not checked: overlap, as no {_singular(what)} is georeferenced.")
    elif unplaced:
        limits.append(
            f"Not checked: overlap of {unplaced:,} of {leaks.images:,} {what}, which are not georeferenced."
        )
    if leaks.placed > 1:
        limits.append(
            f"{what.capitalize()} that touch or are close together without overlap count as separate, also"
            " tiles of one scene."
        )
    if leaks.copies is not None and leaks.compared < leaks.images:
        limits.append(
            f"Not checked: whether {leaks.images - leaks.compared:,} of {leaks.images:,} {what}, whose pixels"
            " were not compared, show the same as others."
        )
    return (*limits, NOT_COMPARED if leaks.copies is None else COMPARED_IN_PART)


def describe_balance(balance: Balance, what: str) -> tuple[str, ...]:
    """Return how far the shares are from those that were asked for, where they are.

    Args:
        balance: of the split.
        what: what an item is called.
    """
    said = []
    if balance.largest_deviation > _DEVIATES:
        points = 100 * balance.largest_deviation
        said.append(
            f"The shares differ from those requested by up to {points:.1f} percentage points ({balance.of}):"
            f" shares are of whole {what}, those that belong together are in one split, and those that have a"
            " split keep it."
        )
    return (*said, *map(describe_missing, balance.missing))


def describe_missing(missing: Missing) -> str:
    """Return which splits lack a class, and in how many places it occurs, in one sentence."""
    one = len(missing.splits) == 1
    return (
        f"The {'split' if one else 'splits'} {' and '.join(missing.splits)} {'has' if one else 'have'} no"
        f" {missing.name} {missing.value}, which occurs in {missing.places:,} separate"
        f" {'place' if missing.places == 1 else 'places'}."
    )


def _counted(count: int, what: str) -> str:
    return f"1 {_singular(what)} is" if count == 1 else f"{count:,} {what} are"


def _singular(what: str) -> str:
    return what.removesuffix("s")
