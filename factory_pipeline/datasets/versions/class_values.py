"""The class value of each label in masks, and the value of pixels without a class."""

from collections.abc import Iterable, Mapping, Sequence

LARGEST = 65_535
"""Largest class value: masks are uint8 or uint16."""


def class_values(labels: Sequence[str], found: Mapping[str, Iterable[int]]) -> dict[str, int]:
    """Assign a class value to each label.

    Values of the sources are kept if they agree: one value per label, and no two labels of one value. A label
    that is in no mask gets the lowest free number from 1. If they don't agree, all labels are numbered from 1
    in their order.

    Args:
        labels: in the order of the classes.
        found: the values of each label in the masks of the sources.
    """
    known = {label: set(found.get(label, ())) for label in labels}
    values = [value for several in known.values() for value in several]
    agree = all(len(several) <= 1 for several in known.values()) and len(values) == len(set(values))
    if not agree or any(not 0 <= value <= LARGEST for value in values):
        return {label: number for number, label in enumerate(labels, start=1)}
    free = (number for number in range(1, LARGEST + 1) if number not in values)
    return {label: next(iter(several)) if several else next(free) for label, several in known.items()}


def no_class(values: Mapping[str, int]) -> tuple[int, str]:
    """Return the value of pixels without a class, and the dtype that can represent it and all classes."""
    taken = set(values.values())
    for number, dtype in ((0, "uint8"), (255, "uint8"), (0, "uint16"), (LARGEST, "uint16")):
        if number not in taken and max(taken, default=0) <= (255 if dtype == "uint8" else LARGEST):
            return number, dtype
    return min(set(range(LARGEST)) - taken), "uint16"
