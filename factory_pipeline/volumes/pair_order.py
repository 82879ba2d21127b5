"""In which order pairs are stored, so that a location is never in training and validation at once.

metroem trains on all pairs of a file but the last two, and validates on those. A location is a group of
pairs whose boxes share pixels of a section, reversed pairs and other offsets from the same section included.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from factory_pipeline.splits.names import TRAIN, VALIDATION
from factory_pipeline.volumes.boxes import Box

HELD_OUT = 2
"""Pairs at the end of a file that metroem validates on."""


@dataclass(frozen=True)
class PairOrder:
    """The order of the pairs of a file."""

    order: tuple[int, ...]
    """Indexes of the pairs, in the order in which they are stored."""
    location: tuple[int, ...]
    """Of each pair: the number of its location, by first appearance."""
    held_out: frozenset[int]
    """Indexes of the pairs of the locations that are for validation; they are stored last."""
    leaking: int
    """Pairs of these locations that metroem trains on, as they are more than two."""

    def split(self, pair: int) -> str:
        """Return the split of a pair."""
        return VALIDATION if pair in self.held_out else TRAIN


def order_pairs(boxes: Sequence[tuple[Box, Box]]) -> PairOrder:
    """Put whole locations last, exactly two pairs where that is possible, else as few as possible.

    All other pairs stay in their order.

    Args:
        boxes: of src and tgt of each pair.
    """
    location = _locations(boxes)
    sizes = Counter(location)
    last = _last_locations(sizes)
    held_out = frozenset(pair for pair, place in enumerate(location) if place in last)
    order = (*(pair for pair in range(len(boxes)) if pair not in held_out), *sorted(held_out))
    return PairOrder(order, tuple(location), held_out, max(len(held_out) - HELD_OUT, 0))


def _last_locations(sizes: Counter[int]) -> frozenset[int]:
    """Choose the locations that are stored last; none if there is only one, or if none would be left."""
    singles = [place for place in sizes if sizes[place] == 1]
    fitting = [place for place in sizes if sizes[place] == HELD_OUT]
    large = [place for place in sizes if sizes[place] > HELD_OUT]
    chosen: list[int] = []
    if fitting:
        chosen = fitting[-1:]
    elif len(singles) >= HELD_OUT:
        chosen = singles[-HELD_OUT:]
    elif large:
        # The last one of the smallest.
        chosen = [min(reversed(large), key=lambda place: sizes[place])]
    return frozenset(chosen) if len(chosen) < len(sizes) else frozenset()


def _locations(boxes: Sequence[tuple[Box, Box]]) -> list[int]:
    """Return number the groups of pairs that share pixels of a section."""
    parent = list(range(len(boxes)))

    def root(pair: int) -> int:
        while parent[pair] != pair:
            parent[pair] = parent[parent[pair]]
            pair = parent[pair]
        return pair

    users: dict[Box, list[int]] = {}
    for pair, sides in enumerate(boxes):
        for box in sides:
            users.setdefault(box, []).append(pair)
    for pairs in users.values():
        for pair in pairs[1:]:
            parent[root(pair)] = root(pairs[0])
    for one, other in _overlaps(sorted(users)):
        parent[root(users[one][0])] = root(users[other][0])
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(pair), len(numbers)) for pair in range(len(boxes))]


def _overlaps(boxes: list[Box]) -> list[tuple[Box, Box]]:
    """Return pairs of boxes of a section that share pixels; `boxes` are in the order z, y."""
    found = []
    active: list[Box] = []
    for box in boxes:
        active = [other for other in active if other.z == box.z and other.y + other.height > box.y]
        found += [
            (other, box) for other in active if other.x < box.x + box.width and box.x < other.x + other.width
        ]
        active.append(box)
    return found
