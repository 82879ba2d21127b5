"""Giving groups of items to splits, so that sizes, classes and other properties keep their shares.

Groups can't be divided, so shares are met as nearly as they allow: first every class gets a place in every
split, then large groups go to where they are needed most, and single items, drawn by the hash of their name,
fill what is missing to exact counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.names import SPLITS

_IMPROVED = 2000
"""So many groups or fewer are moved again and again until no move helps."""
_PASSES = 10
_MOVED_SINGLES = 10_000
"""Single items that are moved at most to make the counts exact again."""


@dataclass(frozen=True)
class Classes:
    """Which values of which properties each item has: what is to keep its share in every split."""

    names: tuple[tuple[str, str], ...]
    """Property and value of each column of `table`."""
    table: "scipy.sparse.csr_array"
    """(items, values) 1 where an item has a value."""

    @classmethod
    def of(cls, properties: pl.DataFrame) -> "Classes":
        """Read properties.

        Args:
            properties: a column for each, a row per item; lists where an item has several values. Null is no
                value.
        """
        names: list[tuple[str, str]] = []
        rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for name in properties.columns:
            values = properties.select(pl.col(name)).with_row_index("row")
            if isinstance(values.schema[name], pl.List):
                values = values.explode(name, empty_as_null=False)
            values = values.drop_nulls(name).with_columns(pl.col(name).cast(pl.String)).unique()
            known = values[name].unique().sort()
            number = values[name].replace_strict(known, pl.int_range(len(known), eager=True) + len(names))
            rows.append(values["row"].to_numpy().astype(np.int64))
            columns.append(number.to_numpy().astype(np.int64))
            names += [(name, value) for value in known.to_list()]
        row, column = np.concatenate(rows), np.concatenate(columns)
        table = scipy.sparse.csr_array(
            (np.ones(row.size, np.int64), (row, column)), shape=(properties.height, len(names))
        )
        table.sort_indices()
        return cls(tuple(names), table)


@dataclass(frozen=True)
class Missing:
    """A class that has no item in a split which is to have items."""

    name: str
    value: str
    splits: tuple[str, ...]
    places: int
    """Groups that have an item of the class; it can be in at most so many splits."""


@dataclass(frozen=True)
class Balance:
    """How near the splits are to what was asked for."""

    largest_deviation: float
    """Largest difference between the share of a split that was asked for and what it has, of all items or of
    those of one class that has places enough for all splits; 0 to 1."""
    of: str
    """Where that is, such as `label=Forest in test`."""
    missing: tuple[Missing, ...] = field(default=())


def assign_groups(
    group: NDArray[np.int64],
    draw: NDArray[np.float64],
    percentages: Mapping[str, float],
    kept: pl.Series | None = None,
    classes: Classes | None = None,
) -> pl.Series:
    """Give each group of items to a split.

    Without groups and classes, counts are exact (largest remainders). The same items in another order give
    the same result.

    Args:
        group: (items,) the group of each.
        draw: (items,) a number from 0 to 1 for each, that depends on the item alone.
        percentages: of SPLITS, of any sum above zero.
        kept: the split of items that are placed already, else null; their groups follow most of them.
        classes: what is to keep its share.

    Returns:
        `split` of each item.
    """
    if not len(group):
        return pl.Series("split", [], dtype=pl.String)
    filled = [split for split in SPLITS if percentages.get(split, 0) > 0]
    if len(filled) == 1 and (kept is None or kept.null_count() == len(kept)):
        return pl.Series("split", filled * len(group), dtype=pl.String)
    return _Assignment(group, draw, percentages, kept, classes).run()


def balance_of(
    split: pl.Series, group: NDArray[np.int64], percentages: Mapping[str, float], classes: Classes | None
) -> Balance:
    """Compare splits with what was asked for.

    Args:
        split: of each item, or null where it is left out.
        group: as for `assign_groups`.
        percentages: as for `assign_groups`.
        classes: as for `assign_groups`.
    """
    known = split.is_not_null().to_numpy()
    sides = split.drop_nulls().replace_strict(_PLACE, return_dtype=pl.Int64).to_numpy()
    if not sides.size:
        return Balance(0.0, "")
    table, names = _add_total(int(known.sum()), None if classes is None else _rows_of(classes, known))
    counts = _sums(table, sides, len(SPLITS)).toarray()
    total = counts.sum(axis=0)
    share = _shares(percentages)
    active = np.flatnonzero(share > 0)
    members = _dense(group[known])
    places = np.asarray((_sums(table, members, int(members.max()) + 1) > 0).sum(axis=0))
    # A class of fewer places than splits is missing in one, which is told of it.
    told = (total > 0) & (places >= active.size)
    told[0] = True
    off = np.abs(counts / np.maximum(total, 1) - share[:, None]) * told
    place, number = divmod(int(np.argmax(off)), off.shape[1])
    name, value = names[number]
    what = f"{name}={value} in {SPLITS[place]}" if name else f"all items in {SPLITS[place]}"
    lacking = np.flatnonzero((counts[active] == 0).any(axis=0) & (total > 0))
    missing = tuple(
        Missing(
            *names[number],
            tuple(SPLITS[place] for place in active if not counts[place, number]),
            int(places[number]),
        )
        for number in lacking.tolist()
        if names[number][0]
    )
    return Balance(float(off.max()), what, missing)


def balance_of_counts(counts: Mapping[str, int], percentages: Mapping[str, float]) -> Balance:
    """Compare the sizes of splits with what was asked for, as `balance_of` does without classes.

    Args:
        counts: items by split.
        percentages: as for `assign_groups`.
    """
    items = np.array([counts.get(split, 0) for split in SPLITS])
    if not items.sum():
        return Balance(0.0, "")
    off = np.abs(items / items.sum() - _shares(percentages))
    return Balance(float(off.max()), f"all items in {SPLITS[int(np.argmax(off))]}")


class _Assignment:
    def __init__(
        self,
        group: NDArray[np.int64],
        draw: NDArray[np.float64],
        percentages: Mapping[str, float],
        kept: pl.Series | None,
        classes: Classes | None,
    ) -> None:
        self._items = len(group)
        self._draw = draw
        self._group = _dense(group)
        self._groups = int(self._group.max()) + 1 if self._items else 0
        self._table, names = _add_total(self._items, classes)
        self._members = _sums(self._table, self._group, self._groups)
        """(groups, values) items of each value in each group; the first value is that of all items."""
        self._size = np.bincount(self._group, minlength=self._groups)
        self._turn = np.full(self._groups, np.inf)
        np.minimum.at(self._turn, self._group, draw)
        self._share = _shares(percentages)
        self._wanted = np.array(
            list(
                largest_remainder(self._items, dict(zip(SPLITS, self._share.tolist(), strict=True))).values()
            )
        )
        self._active = [place for place in range(len(SPLITS)) if self._wanted[place] > 0]
        self._total = np.asarray(self._table.sum(axis=0), np.float64)
        # Each property weighs as much as the number of items; within it, each value the same.
        properties = np.array([name for name, _ in names])
        self._weight = np.array([1 / (properties == name).sum() for name in properties])
        self._rows = np.array(self._active)[:, None]
        share = np.maximum(self._share[:, None], 1e-9)
        self._target = share * self._total
        self._scale = self._weight / (self._total**2 * share)
        self._count = np.zeros((len(SPLITS), len(names)))
        self._split = np.full(self._groups, -1)
        if kept is not None:
            self._keep(kept)

    def run(self) -> pl.Series:
        self._give_every_class_a_place()
        singles = np.flatnonzero((self._split < 0) & (self._size == 1))
        several = np.flatnonzero((self._split < 0) & (self._size > 1))
        free = np.concatenate([several, singles])
        for number in several[np.lexsort((self._turn[several], -self._size[several]))].tolist():
            self._give(number, self._choose_best(number))
        self._fill(singles)
        if len(free) <= _IMPROVED and (several.size or self._count.shape[1] > 1):
            self._improve(free[np.argsort(self._turn[free], kind="stable")])
        self._make_exact(singles)
        self._fill_empty(free)
        return pl.Series("split", np.array(SPLITS, dtype=object)[self._split[self._group]], dtype=pl.String)

    def _keep(self, kept: pl.Series) -> None:
        """Give groups with items that are placed to the split of most of them."""
        places = kept.replace_strict(_PLACE, default=None, return_dtype=pl.Int64).fill_null(-1).to_numpy()
        votes = np.zeros((self._groups, len(SPLITS)), np.int64)
        there = np.flatnonzero(places >= 0)
        np.add.at(votes, (self._group[there], places[there]), 1)
        for number in np.flatnonzero(votes.any(axis=1)).tolist():
            self._split[number] = int(votes[number].argmax())
        self._count += _sums(self._members, self._split, len(SPLITS)).toarray()

    def _give(self, number: int, place: int) -> None:
        columns, values = self._row(number)
        before = self._split[number]
        if before >= 0:
            self._count[before, columns] -= values
        self._split[number] = place
        self._count[place, columns] += values

    def _row(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        start, end = self._members.indptr[number : number + 2]
        return self._members.indices[start:end], self._members.data[start:end]

    def _compute_costs(self, columns: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much the misfit grows with what is added to each split.

        The misfit is the sum of the squared differences from what each split should have of each value, as a
        part of what there is of it, divided by the share of the split.
        """
        over = self._count[self._rows, columns] - self._target[self._rows, columns]
        return (values * (2 * over + values) * self._scale[self._rows, columns]).sum(axis=1)

    def _choose_best(self, number: int) -> int:
        return self._active[int(np.argmin(self._compute_costs(*self._row(number))))]

    def _give_every_class_a_place(self) -> None:
        """Give each split the smallest group of each class that it lacks, the rarest class first."""
        by_value = self._members.tocsc()
        places = np.diff(by_value.indptr)
        # The first value is that of all items: an empty split is filled at the end.
        for value in (np.argsort(places[1:], kind="stable") + 1).tolist():
            there = by_value.indices[by_value.indptr[value] : by_value.indptr[value + 1]]
            lacking = [place for place in self._active if not self._count[place, value]]
            if not lacking:
                continue
            there = there[self._split[there] < 0]
            there = there[np.lexsort((self._turn[there], self._size[there]))]
            # The split with the smallest share gets the smallest group.
            lacking.sort(key=lambda place: (self._share[place], place))
            for place, number in zip(lacking, there.tolist(), strict=False):
                if not self._count[place, value]:
                    self._give(number, place)

    def _fill(self, singles: NDArray[np.int64]) -> None:
        """Give single items to splits: those of the same values together, to what is missing of them."""
        if not singles.size:
            return
        kinds = self._kinds_of_items()
        item_of_group = np.empty(self._groups, np.int64)
        item_of_group[self._group] = np.arange(self._items)
        of_single = kinds[item_of_group[singles]]
        placed = np.flatnonzero(self._split[self._group] >= 0)
        have = np.zeros((int(kinds.max()) + 1, len(SPLITS)))
        np.add.at(have, (kinds[placed], self._split[self._group[placed]]), 1)
        total = np.bincount(kinds)
        order = np.lexsort((self._turn[singles], of_single))
        ordered, numbers = singles[order], of_single[order]
        starts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
        ends = np.append(starts[1:], len(ordered))
        by_size = np.argsort(-(ends - starts), kind="stable")
        for start, end in zip(starts[by_size].tolist(), ends[by_size].tolist(), strict=True):
            self._fill_kind(ordered[start:end], have[numbers[start]], total[numbers[start]])

    def _fill_kind(self, singles: NDArray[np.int64], have: NDArray[np.float64], total: int) -> None:
        active = np.array(self._active)
        if self._count.shape[1] == 1:
            need = np.maximum(self._wanted - self._count[:, 0], 0)[active]
        else:
            need = np.maximum(total * self._share - have, 0)[active]
        need = need if need.any() else self._share[active]
        exact = len(singles) * need / need.sum()
        counts = np.floor(exact + 1e-9).astype(np.int64)
        columns, values = self._row(singles[0])
        for place, count in zip(self._active, counts.tolist(), strict=True):
            self._count[place, columns] += count * values
        for _ in range(len(singles) - int(counts.sum())):
            costs = self._compute_costs(columns, values)
            # What is left over goes where it is needed, and never where nothing is.
            costs[exact == 0] = np.inf
            chosen = int(np.argmin(np.where(np.isfinite(costs), costs - (exact - counts) * _TIE, np.inf)))
            counts[chosen] += 1
            self._count[self._active[chosen], columns] += values
        self._split[singles] = np.repeat(active, counts)

    def _kinds_of_items(self) -> NDArray[np.int64]:
        """Return a number for each item: items with the same values have the same one."""
        if self._table.shape[1] == 1:
            return np.zeros(self._items, np.int64)
        rows = np.repeat(np.arange(self._items), np.diff(self._table.indptr))
        frame = pl.DataFrame({"row": rows, "value": self._table.indices})
        lists = frame.group_by("row").agg(pl.col("value").sort().cast(pl.String).str.join(" ")).sort("row")
        return lists["value"].rank("dense").to_numpy().astype(np.int64) - 1

    def _improve(self, free: NDArray[np.int64]) -> None:
        """Move groups as long as a move brings the splits nearer to what they should have."""
        for _ in range(_PASSES):
            moved = False
            for number in free.tolist():
                columns, values = self._row(number)
                place = int(self._split[number])
                if (self._count[place, columns] <= values).any():
                    continue  # it is the only one of a class, or of its split
                self._count[place, columns] -= values
                costs = self._compute_costs(columns, values)
                self._count[place, columns] += values
                best = self._active[int(np.argmin(costs))]
                if place not in self._active or costs.min() < costs[self._active.index(place)] - 1e-12:
                    self._give(number, best)
                    moved = True
            if not moved:
                return

    def _fill_empty(self, free: NDArray[np.int64]) -> None:
        """Give a split without items the smallest group of one that has several, where there is one."""
        for place in self._active:
            groups = np.bincount(self._split[self._split >= 0], minlength=len(SPLITS))
            there = free[groups[self._split[free]] > 1]
            if not self._count[place, 0] and there.size:
                self._give(int(there[np.lexsort((self._turn[there], self._size[there]))[0]]), place)

    def _make_exact(self, singles: NDArray[np.int64]) -> None:
        """Move single items until as many are in each split as were asked for, where that can be."""
        for _ in range(_MOVED_SINGLES):
            off = self._count[:, 0] - self._wanted
            over, under = int(np.argmax(off)), int(np.argmin(off[self._active]))
            under = self._active[under]
            there = singles[self._split[singles] == over]
            if off[over] <= 0 or off[under] >= 0 or not there.size:
                return
            chosen = self._choose_cheapest(there, over, under)
            if chosen is None:
                return
            self._give(chosen, under)

    def _choose_cheapest(self, singles: NDArray[np.int64], over: int, under: int) -> int | None:
        """Return the single item whose move from one split to another costs the least."""
        members = self._members[singles]
        last = self._count[over] <= 1
        last[0] = False
        change = np.zeros(self._count.shape[1])
        for place, sign in ((over, -1), (under, 1)):
            share = max(float(self._share[place]), 1e-9)
            step = 2 * sign * (self._count[place] - share * self._total) + 1
            change += step * self._weight / (self._total**2 * share)
        costs = members @ change + np.where(members @ last.astype(np.float64) > 0, np.inf, 0)
        order = np.lexsort((self._turn[singles], costs))
        return int(singles[order[0]]) if np.isfinite(costs[order[0]]) else None


_TIE = 1e-9
_PLACE = {split: place for place, split in enumerate(SPLITS)}


def _shares(percentages: Mapping[str, float]) -> NDArray[np.float64]:
    given = np.array([float(percentages.get(split, 0.0)) for split in SPLITS])
    return given / given.sum()


def _dense(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number groups from 0."""
    return np.unique(numbers, return_inverse=True)[1].reshape(-1)


def _add_total(
    count: int, classes: Classes | None
) -> "tuple[scipy.sparse.csr_array, Sequence[tuple[str, str]]]":
    """Return the table of classes behind a column that every item has, and the names of the columns."""
    column = scipy.sparse.csr_array(np.ones((count, 1), np.int64))
    if classes is None or not classes.names:
        return column, [("", "")]
    joined = scipy.sparse.csr_array(scipy.sparse.hstack([column, classes.table], format="csr"))
    joined.sort_indices()
    return joined, [("", ""), *classes.names]


def _rows_of(classes: Classes, chosen: NDArray[np.bool_]) -> Classes:
    return Classes(classes.names, classes.table[np.flatnonzero(chosen)])


def _sums(table: "scipy.sparse.csr_array", number: NDArray[np.int64], count: int) -> "scipy.sparse.csr_array":
    """Return (count, values) the sums of rows with the same number; a row with number -1 is left out."""
    known = np.flatnonzero(number >= 0)
    adder = scipy.sparse.csr_array(
        (np.ones(known.size, np.int64), (number[known], known)), shape=(count, len(number))
    )
    sums = scipy.sparse.csr_array(adder @ table)
    sums.sort_indices()
    return sums
