"""Assigning images to train, test and validation: at random, as listed by the user, or by location.

An image keeps its split when others are added. Earlier assignments, if passed as `earlier`, are kept and the
new images fill what is missing of each split. Without them, each image has a fixed position between 0 and 1,
by a hash of the seed and its name, and is assigned by that position, corrected only as far as the exact
counts require.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.plain_text import count_noun
from factory_pipeline.splits.apportion import largest_remainder
from factory_pipeline.splits.balance import Classes, assign_groups
from factory_pipeline.splits.groups import IDENTICAL, OVERLAPPING, Together, can_fill, group_items
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.splits.scenes import SCENE, with_scenes
from factory_pipeline.splits.split_rule import GivenSplit, RandomSplit, SpatialSplit, SplitRule
from factory_pipeline.storage.atomic import write_text

SPLIT_FILES = {TRAIN: "train_data.txt", TEST: "test_data.txt", VALIDATION: "val_data.txt"}
"""File of each split in `split_files/`: one stem per line."""


def split_by_rule(
    items: pl.DataFrame,
    rule: SplitRule,
    listed: Mapping[str, Sequence[str]] | None = None,
    earlier: pl.DataFrame | None = None,
    classes: Classes | None = None,
    copies: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Assign splits as the manifest requests.

    Args:
        items: as for `spatial_split`.
        rule: the `splits` of the manifest.
        listed: names read from the files that a given split refers to, by split; its lists in the manifest
            take precedence.
        earlier: as for `random_split`; an image that a given split lists is in that split.
        classes: what is to keep its share in every split, where it is not given.
        copies: pairs of near-identical images, in leakage.COPIES_SCHEMA.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the images can't be split in this way.
    """
    if isinstance(rule, GivenSplit):
        in_manifest = {split: names for split in SPLITS if (names := getattr(rule, split)) is not None}
        named = _full_names(items, {**(listed or {}), **in_manifest})
        if rule.percentages is None:
            return assign_given(items, named)
        return assign_partly_given(items, named, rule.percentages.model_dump(), rule.seed, earlier)
    percentages, items = rule.percentages.model_dump(), with_scenes(items, rule.scene)
    together = what_joins(rule)
    if isinstance(rule, SpatialSplit):
        return spatial_split(items, percentages, rule.seed, together, earlier, classes, copies)
    if rule.scene is not None:
        _require_groups(group_items(items, together, copies), percentages, "scene", "")
    elif rule.overlap == "ignore" or (earlier is None and has_too_few_groups(items, rule, copies)):
        return random_split(items, percentages, rule.seed, earlier)
    return random_split(items, percentages, rule.seed, earlier, together, classes, copies)


def what_joins(rule: SplitRule) -> Together:
    """Return what falls to one split together under a rule; what a user gave is not looked at.

    A random split that ignores overlap joins nothing but identical files, and scenes.
    """
    if isinstance(rule, GivenSplit):
        return OVERLAPPING
    columns = () if rule.scene is None else (SCENE,)
    if isinstance(rule, SpatialSplit):
        return replace(together_by_location(rule.by.value, rule.buffer_m, rule.block_m), columns=columns)
    return Together(overlap=rule.overlap == "group", columns=columns)


def has_too_few_groups(items: pl.DataFrame, rule: SplitRule, copies: pl.DataFrame | None = None) -> bool:
    """Return whether images overlap so much that a random split has to ignore it, or a split would be empty.

    Args:
        items: as for `random_split`.
        rule: of the split.
        copies: as for `random_split`.
    """
    if not isinstance(rule, RandomSplit) or rule.overlap == "ignore" or rule.scene is not None:
        return False
    filled = sum(count > 0 for count in quotas(items.height, rule.percentages.model_dump()).values())
    return not can_fill(group_items(items, OVERLAPPING, copies), group_items(items, IDENTICAL), filled)


def _full_names(items: pl.DataFrame, named: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the names with their folders; a name without folder must be that of one image only."""
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
    together: Together = IDENTICAL,
    classes: Classes | None = None,
    copies: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Assign splits at random: what belongs together stays together, and counts are as exact as that allows.

    Args:
        items: one row per image and label: `stem`, `original_name`, `sha256`, and what `group_items` needs.
        percentages: of each of SPLITS; a split left out gets nothing. They sum to 100.
        seed: another seed returns another assignment.
        earlier: `original_name`, `sha256`, `split` of the version before. These assignments are kept, by
            name, else by content, even if the counts then differ from the percentages.
        together: which images fall to one split together; identical ones always do.
        classes: what is to keep its share in every split.
        copies: pairs of near-identical images, in leakage.COPIES_SCHEMA.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the percentages are not allowed.
    """
    quotas(items.height, percentages)
    kept = kept_splits(items, earlier)
    split = assign_groups(
        group_items(items, together, copies),
        draw_numbers(seed, items["original_name"]),
        percentages,
        kept,
        classes,
    )
    return items.select("stem").with_columns(pl.coalesce(kept, split).alias("split"))


def spatial_split(
    items: pl.DataFrame,
    percentages: Mapping[str, float],
    seed: int,
    together: Together,
    earlier: pl.DataFrame | None = None,
    classes: Classes | None = None,
    copies: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Assign splits by location: images that belong together by their ground share a split.

    Args:
        items: as for `random_split`, with the columns of `imagery.footprints`.
        percentages: as for `random_split`; met as nearly as the groups allow.
        seed: another seed returns another assignment.
        together: what joins images, as `together_by_location` returns it.
        earlier: as for `random_split`. If a new image joins groups of different splits, the split of most of
            their images wins.
        classes: as for `random_split`.
        copies: as for `random_split`.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, the percentages are not allowed, no image is georeferenced, or the
            images form fewer groups than there are splits to fill.
    """
    quotas(items.height, percentages)
    if not np.isfinite(footprints(items)[:, 0, 0]).any():
        raise OnboardingError(
            "SPLIT_INVALID",
            "A split by location needs georeferenced images and none is; choose the random split instead.",
        )
    group = group_items(items, together, copies)
    _require_groups(group, percentages, "location", "reduce the buffer or the block size, or ")
    split = assign_groups(
        group, draw_numbers(seed, items["original_name"]), percentages, kept_splits(items, earlier), classes
    )
    return items.select("stem").with_columns(split)


def _require_groups(
    group: NDArray[np.int64], percentages: Mapping[str, float], by: str, what_helps: str
) -> None:
    filled = sum(share > 0 for share in percentages.values())
    groups = len(np.unique(group))
    if groups < filled:
        raise OnboardingError(
            "SPLIT_INVALID",
            f"The images form {count_noun(groups, 'group')} by {by} and {filled} splits are to be filled; "
            f"{what_helps}choose the random split instead.",
        )


def together_by_location(
    by: Literal["block", "mgrs", "overlap"], buffer_m: float = 0.0, block_m: float = 10_000.0
) -> Together:
    """Return what joins images in a split by location.

    Args:
        by: `overlap` keeps only images together that are near each other; `block` also all whose centres
            are in one block of `block_m` metres; `mgrs` all in one 100 km square of a UTM zone.
        buffer_m: least distance in metres between images of different splits.
        block_m: side of a block in metres.
    """
    return Together(True, buffer_m, block_m if by == "block" else None, by == "mgrs")


def assign_given(items: pl.DataFrame, given: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Assign splits as the user listed them.

    Args:
        items: `stem`, `original_name`.
        given: original names by split; each of SPLITS or fewer.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: SPLIT_INVALID, a split is unknown, or an image is listed twice, not listed, or does
            not exist.
    """
    unknown = [name for name in given if name not in SPLITS]
    if unknown:
        raise OnboardingError(
            "SPLIT_INVALID", f"The splits are {', '.join(SPLITS)}, not {_format_names(unknown)}."
        )
    named = pl.DataFrame(
        [(name, split) for split, names in given.items() for name in names],
        schema={"original_name": pl.String, "split": pl.String},
        orient="row",
    )
    twice = named.filter(pl.col("original_name").is_duplicated())["original_name"].unique().sort()
    if twice.len():
        raise OnboardingError("SPLIT_INVALID", f"The splits list these images twice: {_format_names(twice)}.")
    unknown_names = named.join(items, on="original_name", how="anti")["original_name"]
    if unknown_names.len():
        raise OnboardingError(
            "SPLIT_INVALID", f"The splits list images that don't exist: {_format_names(unknown_names)}."
        )
    split = items.select("stem", "original_name").join(
        named, on="original_name", how="left", maintain_order="left"
    )
    left_out = split.filter(pl.col("split").is_null())["original_name"]
    if left_out.len():
        raise OnboardingError(
            "SPLIT_INVALID", f"The splits don't list these images: {_format_names(left_out)}."
        )
    return split.select("stem", "split")


def assign_partly_given(
    items: pl.DataFrame,
    given: Mapping[str, Sequence[str]],
    percentages: Mapping[str, float],
    seed: int,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Assign splits as the user listed them, and the images that are not listed as `random_split` does.

    Args:
        items: as for `random_split`.
        given: as for `assign_given`.
        percentages: of the images that are not listed.
        seed: as for `random_split`.
        earlier: as for `random_split`; an image of a split without a share is assigned again.

    Returns:
        `stem`, `split`, in the order of `items`.

    Raises:
        OnboardingError: as `assign_given` and `random_split`.
    """
    named = pl.col("original_name").is_in([name for names in given.values() for name in names])
    said = assign_given(items.filter(named), given)
    if earlier is not None:
        earlier = earlier.filter(pl.col("split").is_in([name for name in SPLITS if percentages.get(name)]))
    drawn = random_split(items.filter(~named), percentages, seed, earlier)
    return items.select("stem").join(pl.concat([said, drawn]), on="stem", how="left", maintain_order="left")


def quotas(count: int, percentages: Mapping[str, float]) -> dict[str, int]:
    """Return how many of `count` images each of SPLITS gets, in proportion to the percentages.

    Args:
        count: of images.
        percentages: by split.

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


def draw_numbers(seed: int, names: pl.Series) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each name, that depends on the seed and the name alone.

    Args:
        seed: of the rule.
        names: of images.
    """
    return np.fromiter((_draw(seed, name) for name in names), np.float64, len(names))


def _draw(seed: int, name: str) -> float:
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def kept_splits(items: pl.DataFrame, earlier: pl.DataFrame | None) -> pl.Series:
    """Return the earlier split of each image: by name, else by content.

    Args:
        items: `original_name`, `sha256`.
        earlier: `original_name`, `sha256`, `split`; None if there was no split.
    """
    nothing = [None] * items.height
    if earlier is None:
        return pl.Series("split", nothing, dtype=pl.String)
    by_name = dict(earlier.select("original_name", "split").iter_rows())
    by_content = dict(earlier.select("sha256", "split").iter_rows())
    found = [
        by_name.get(name) or by_content.get(content)
        for name, content in items.select("original_name", "sha256").iter_rows()
    ]
    return pl.Series("split", found, dtype=pl.String)


def _format_names(names: Sequence[str] | pl.Series, most: int = 5) -> str:
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
