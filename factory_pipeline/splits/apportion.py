"""Dividing a whole number in proportion to shares."""

from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def largest_remainder(count: int, shares: Mapping[Key, float]) -> dict[Key, int]:
    """Return integers that sum to `count` in proportion to `shares`, by the largest remainder.

    Each differs from its exact part by less than one. Shares are read as decimals, as they are written, so
    that 57 % of 100 is 57, and remainders that are equal in decimals are equal here.

    Args:
        count: the number to divide.
        shares: weights of any sum, none negative. Equal remainders are served in their order; a share of zero
            gets nothing.

    Returns:
        The part of each share, in the order of `shares`.

    Raises:
        ValueError: a share is negative, or all are zero and there is something to divide.
    """
    exact = {key: Fraction(str(share)) for key, share in shares.items()}
    if any(share < 0 for share in exact.values()):
        raise ValueError(f"a share is negative: {dict(shares)}")
    total = sum(exact.values(), Fraction(0))
    if not total:
        if count:
            raise ValueError(f"no share is above zero, so {count} can't be divided")
        return dict.fromkeys(exact, 0)
    parts = {key: count * share / total for key, share in exact.items()}
    whole = {key: int(part) for key, part in parts.items()}
    missing = count - sum(whole.values())
    # Sorting is stable, so that equal remainders keep the order of the shares.
    for key in sorted(parts, key=lambda key: whole[key] - parts[key])[:missing]:
        whole[key] += 1
    return whole
