"""Which images train, test and validate: at random, as given by the user, or by place.

An image keeps its split when others are added. Given what was assigned `earlier`, that stands and the new
images fill what is missing of each split. Without it, each image has a fixed place between 0 and 1, by a hash
of the seed and its name, and is assigned by that place, corrected only as far as the exact counts need it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.overlap import footprints, grounds, groups_of, near_pairs
from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.splits.split_rule import GivenSplit, SpatialSplit, SplitRule
from factory_pipeline.storage.atomic import write_text

SPLIT_FILES = {TRAIN: "train_data.txt", TEST: "test_data.txt", VALIDATION: "val_data.txt"}
"""File of each split in `split_files/`: one stem per line."""

_METRES_PER_DEGREE = 111_195.08
_MGRS_SQUARE_M = 100_000


def split_by_rule(
    items: pl.DataFrame,
    rule: SplitRule,
    listed: Mapping[str, Sequence[str]] | None = None,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Split as the manifest asks.

    Args:
        items: as for `spatial_split`.
        rule: the `splits` of the manifest.
        listed: names read from the files that a given split names, by split; its lists in the manifest win.
        earlier: as for `random_split`; an image that a given split names is where it says now.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the images can't be split so.
    """
    if isinstance(rule, GivenSplit):
        in_manifest = {split: names for split in SPLITS if (names := getattr(rule, split)) is not None}
        named = _full_names(items, {**(listed or {}), **in_manifest})
        if rule.percentages is None:
            return given_split(items, named)
        return partly_given_split(items, named, rule.percentages.model_dump(), rule.seed, earlier)
    percentages = rule.percentages.model_dump()
    if isinstance(rule, SpatialSplit):
        return spatial_split(
            items, percentages, rule.seed, rule.by.value, rule.buffer_m, rule.block_m, earlier
        )
    return random_split(items, percentages, rule.seed, earlier)


def _full_names(items: pl.DataFrame, named: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Names with their folders, where a name without them is that of one image only."""
    folded = pl.DataFrame({"full": items["original_name"]}).with_columns(
        base=pl.col("full").str.split("/").list.last()
    )
    alone = dict(folded.filter(~pl.col("base").is_duplicated()).select("base", "full").iter_rows())
    known = set(items["original_name"])
    return {
        split: [name if name in known else alone.get(name, name) for name in names]
        for split, names in named.items()
    }


def write_split_files(folder: Path, split: pl.DataFrame) -> list[Path]:
    """Write `train_data.txt`, `test_data.txt` and `val_data.txt`: the stems of each split, sorted.

    Args:
        folder: `split_files/` of the dataset.
        split: `stem`, `split`.
    """
    paths = []
    for name, file in SPLIT_FILES.items():
        stems = split.filter(pl.col("split") == name)["stem"].sort()
        write_text(folder / file, "".join(f"{stem}\n" for stem in stems))
        paths.append(folder / file)
    return paths


def random_split(
    items: pl.DataFrame,
    percentages: Mapping[str, float],
    seed: int,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Split at random, to exact counts (largest remainders); images with the same content stay together.

    Args:
        items: one row per image and label: `stem`, `original_name`, `sha256`.
        percentages: of each of SPLITS; a split left out gets nothing. They sum to 100.
        seed: another seed gives another split.
        earlier: `original_name`, `sha256`, `split` of the version before. What was assigned then stands, by
            name, else by content, even where that leaves the counts off the percentages.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the percentages are not allowed.
    """
    return _assign(items, _twins(items), percentages, seed, earlier)


def spatial_split(
    items: pl.DataFrame,
    percentages: Mapping[str, float],
    seed: int,
    by: Literal["block", "mgrs", "overlap"] = "block",
    buffer_m: float = 0.0,
    block_m: float = 10_000.0,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Split by place: images that overlap, or lie within `buffer_m` metres, never stand on different sides.

    Args:
        items: as for `random_split`, with `epsg`, `transform`, `width`, `height`, `bounds`.
        percentages: as for `random_split`; met as nearly as the groups allow.
        seed: another seed gives another split.
        by: `overlap` keeps only images together that are near each other; `block` also all whose centres
            lie in one block of `block_m` metres; `mgrs` all in one 100 km square of a UTM zone.
        buffer_m: least distance in metres between images of different splits.
        block_m: side of a block in metres.
        earlier: as for `random_split`. Where a new image joins groups of different splits, the split that
            most of their images had wins.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the percentages are not allowed, no image is georeferenced, or the
            images form fewer groups than there are splits to fill.
    """
    corners = footprints(items)
    placed = np.flatnonzero(np.isfinite(corners[:, 0, 0]))
    if not placed.size:
        raise OnboardingError(
            "SPLIT_INVALID",
            "A split by place needs georeferenced images and none is; choose the random split instead.",
        )
    ground, places = grounds(corners)
    first_on = dict(zip(ground[::-1].tolist(), range(items.height - 1, -1, -1), strict=True))
    near = [(first_on[one], first_on[other]) for one, other in near_pairs(places, buffer_m).tolist()]
    pairs = [*_twins(items), *_same_key(placed.tolist(), ground[placed].tolist()), *near]
    if by != "overlap":
        centres = corners[placed].mean(axis=1)
        cells = _blocks(centres, block_m) if by == "block" else _mgrs_squares(centres)
        pairs += _same_key(placed.tolist(), cells)
    wanted = sum(share > 0 for share in percentages.values())
    groups = len(set(groups_of(items.height, pairs).tolist()))
    if groups < wanted:
        raise OnboardingError(
            "SPLIT_INVALID",
            f"The images form {groups} groups by place and {wanted} splits are to be filled; "
            "lower the buffer, take smaller blocks or choose the random split.",
        )
    return _assign(items, pairs, percentages, seed, earlier)


def given_split(items: pl.DataFrame, given: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Split as the user says.

    Args:
        items: `stem`, `original_name`.
        given: original names by split; each of SPLITS or fewer.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, a split is unknown, or an image is named twice, nowhere, or not there.
    """
    unknown = [name for name in given if name not in SPLITS]
    if unknown:
        raise OnboardingError("SPLIT_INVALID", f"The splits are {', '.join(SPLITS)}, not {_listed(unknown)}.")
    named = pl.DataFrame(
        [(name, split) for split, names in given.items() for name in names],
        schema={"original_name": pl.String, "split": pl.String},
        orient="row",
    )
    twice = named.filter(pl.col("original_name").is_duplicated())["original_name"].unique().sort()
    if twice.len():
        raise OnboardingError("SPLIT_INVALID", f"The splits name these images twice: {_listed(twice)}.")
    unknown_names = named.join(items, on="original_name", how="anti")["original_name"]
    if unknown_names.len():
        raise OnboardingError(
            "SPLIT_INVALID", f"The splits name images that aren't there: {_listed(unknown_names)}."
        )
    split = items.select("stem", "original_name").join(
        named, on="original_name", how="left", maintain_order="left"
    )
    left_out = split.filter(pl.col("split").is_null())["original_name"]
    if left_out.len():
        raise OnboardingError("SPLIT_INVALID", f"The splits leave out these images: {_listed(left_out)}.")
    return split.select("stem", "split")


def partly_given_split(
    items: pl.DataFrame,
    given: Mapping[str, Sequence[str]],
    percentages: Mapping[str, float],
    seed: int,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Split as the user says, and draw the images that are named nowhere as `random_split` does.

    Args:
        items: as for `random_split`.
        given: as for `given_split`.
        percentages: of the images that are named nowhere.
        seed: as for `random_split`.
        earlier: as for `random_split`; what was assigned to a split without a share is drawn again.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: as `given_split` and `random_split`.
    """
    named = pl.col("original_name").is_in([name for names in given.values() for name in names])
    said = given_split(items.filter(named), given)
    if earlier is not None:
        earlier = earlier.filter(pl.col("split").is_in([name for name in SPLITS if percentages.get(name)]))
    drawn = random_split(items.filter(~named), percentages, seed, earlier)
    return items.select("stem").join(pl.concat([said, drawn]), on="stem", how="left", maintain_order="left")


def quotas(count: int, percentages: Mapping[str, float]) -> dict[str, int]:
    """How many of `count` images each of SPLITS gets, in proportion to the percentages.

    Raises:
        OnboardingError: SPLIT_INVALID, a name is unknown, a share is negative, or the sum is not 100.
    """
    shares = {split: float(percentages.get(split, 0.0)) for split in SPLITS}
    if set(percentages) - set(SPLITS) or min(shares.values()) < 0 or abs(sum(shares.values()) - 100) > 1e-6:
        raise OnboardingError(
            "SPLIT_INVALID",
            f"The percentages of {', '.join(SPLITS)} must sum to 100 without negative ones, "
            f"not {dict(percentages)}.",
        )
    return largest_remainder(count, shares)


def _assign(
    items: pl.DataFrame,
    pairs: list[tuple[int, int]],
    percentages: Mapping[str, float],
    seed: int,
    earlier: pl.DataFrame | None,
) -> pl.DataFrame:
    """Give each group of images, joined by `pairs`, a split, so that the counts come close to the quotas."""
    wanted = quotas(items.height, percentages)
    places = np.fromiter((_place(seed, name) for name in items["original_name"]), np.float64, items.height)
    # The order has a hash of its own: sorted by place, all images of a split would come one after another.
    turns = np.fromiter(
        (_place(seed, f"turn {name}") for name in items["original_name"]), np.float64, items.height
    )
    frame = pl.DataFrame(
        {
            "group": groups_of(items.height, pairs),
            "place": places,
            "turn": turns,
            "kept": _kept(items, earlier),
        },
        schema_overrides={"kept": pl.String},
    )
    groups = frame.group_by("group").agg(
        pl.len().alias("size"),
        pl.col("place").min(),
        pl.col("turn").min(),
        *((pl.col("kept") == split).sum().alias(split) for split in SPLITS),
    )
    split_of: dict[int, str] = {}
    left = dict(wanted)
    known = pl.max_horizontal(*SPLITS) > 0
    for row in groups.filter(known).iter_rows(named=True):
        split_of[row["group"]] = max(SPLITS, key=lambda split: row[split])
        left[split_of[row["group"]]] -= row["size"]
    filled = set(split_of.values())
    new = groups.filter(~known).sort(["size", "turn"], descending=[True, False])
    for done, row in enumerate(new.iter_rows(named=True)):
        empty = [split for split in SPLITS if wanted[split] and split not in filled]
        candidates = empty if len(empty) >= new.height - done else list(SPLITS)
        chosen = _choose({split: left[split] for split in candidates}, row["size"], row["place"])
        split_of[row["group"]] = chosen
        left[chosen] -= row["size"]
        filled.add(chosen)
    split = [split_of[group] for group in frame["group"]]
    return items.select("stem").with_columns(pl.Series("split", split, dtype=pl.String))


def _choose(left: Mapping[str, int], size: int, place: float) -> str:
    """The split at `place` among those with room for `size`, each as wide as its room; else the roomiest."""
    room = {split: count for split, count in left.items() if count >= size}
    if not room:
        return max(left, key=lambda split: left[split])
    mark = place * sum(room.values())
    for split, count in room.items():
        if mark < count:
            return split
        mark -= count
    return list(room)[-1]


def _place(seed: int, name: str) -> float:
    """A number from 0 to 1 that depends on the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _kept(items: pl.DataFrame, earlier: pl.DataFrame | None) -> list[str | None]:
    """The earlier split of each image: by name, else by content."""
    if earlier is None:
        return [None] * items.height
    by_name = dict(earlier.select("original_name", "split").iter_rows())
    by_content = dict(earlier.select("sha256", "split").iter_rows())
    return [
        by_name.get(name) or by_content.get(content)
        for name, content in items.select("original_name", "sha256").iter_rows()
    ]


def _twins(items: pl.DataFrame) -> list[tuple[int, int]]:
    shared = items.with_row_index("row").filter(pl.col("sha256").is_duplicated())
    return list(_same_key(shared["row"].to_list(), shared["sha256"].to_list()))


def _same_key(members: Sequence[int], keys: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Pairs that join all members of the same key; a key of None joins nothing."""
    together: dict[object, list[int]] = {}
    for member, key in zip(members, keys, strict=True):
        if key is not None:
            together.setdefault(key, []).append(member)
    for group in together.values():
        yield from pairwise(group)


def _blocks(centres: NDArray[np.float64], block_m: float) -> list[object]:
    """The block of each place: rows of `block_m`, cut into columns as wide as that at the row's middle."""
    row = np.floor(centres[:, 1] * _METRES_PER_DEGREE / block_m)
    middle = np.radians(np.clip((row + 0.5) * block_m / _METRES_PER_DEGREE, -89.9, 89.9))
    lon = (centres[:, 0] + 180) % 360
    column = np.floor(lon * _METRES_PER_DEGREE * np.cos(middle) / block_m)
    return list(zip(row.tolist(), column.tolist(), strict=True))


def _mgrs_squares(centres: NDArray[np.float64]) -> list[object]:
    """Zone and 100 km square of each place; all zones are 6 degrees wide here, as only the groups matter."""
    lon = (centres[:, 0] + 180) % 360
    zone = np.floor(lon / 6).astype(int) + 1
    epsg = np.where(centres[:, 1] < 0, 32700, 32600) + zone
    squares: list[object] = [None] * len(centres)
    for code in np.unique(epsg):
        there = np.flatnonzero(epsg == code)
        x, y = crs_transformer(4326, int(code)).transform(*centres[there].T)
        for place, east, north in zip(there, x // _MGRS_SQUARE_M, y // _MGRS_SQUARE_M, strict=True):
            squares[place] = (int(code), int(east), int(north))
    return squares


def _listed(names: Sequence[str] | pl.Series, most: int = 5) -> str:
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
