"""Splits of a build that do not share ground: blocks that are held out, and the record of what leaks."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from factory_pipeline.builds.chips.windows import PIXEL_SIZE
from factory_pipeline.builds.fused_windows import fused_windows, iterate_windows
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.reject_ledger import reject_frame
from factory_pipeline.config.recipe import SPACE_BLOCKS, Recipe
from factory_pipeline.splits.held_out_blocks import leave_out
from factory_pipeline.splits.names import BORDER, OUTSIDE, SPLITS
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.window_leaks import search_windows
from factory_pipeline.storage.build_files import BuildFiles

INSTEAD = "`split: {space: blocks}` in the recipe holds out blocks of the ground, so that nothing leaks."
"""What a user can do against a leak."""
_DETAILS = {
    OUTSIDE: "Its block of the ground is of another split.",
    BORDER: "Its window may reach into a block of another split.",
}
_SHOTS = "data/GEDI Shot Number"
_COLUMNS = ("shot_number", "lon_lowestmode", "lat_lowestmode")


def shots_left_out(
    footprints: Mapping[str, pl.LazyFrame], recipe: Recipe, earlier: StoredPlan | None
) -> dict[str, pl.DataFrame]:
    """Return for each split the footprints that are left out, because their ground is of another split.

    Args:
        footprints: the candidates of each split.
        recipe: says whether and which blocks are held out.
        earlier: the plan that this build had before: blocks keep the split of its footprints.

    Returns:
        Frames in REJECT_SCHEMA, empty unless the recipe separates the splits in space.
    """
    nothing = {split: reject_frame([], "subset", OUTSIDE, "") for split in footprints}
    if recipe.split.space != SPACE_BLOCKS:
        return nothing
    table = pl.concat(
        [frame.select(*_COLUMNS, split=pl.lit(split)) for split, frame in footprints.items()]
    ).collect()
    if table.is_empty():
        return nothing
    names = dict(zip(footprints, SPLITS, strict=False))
    kept = None
    if earlier is not None:
        known = earlier.scan().select("shot_number", kept="split").unique("shot_number").collect()
        kept = table.join(known, on="shot_number", how="left", maintain_order="left")["kept"]
        kept = kept.replace_strict(names, default=None, return_dtype=pl.String)
    reason = leave_out(
        table.select("lon_lowestmode", "lat_lowestmode").to_numpy(),
        table["split"].replace_strict(names),
        {names[split]: share for split, share in recipe.shares.items()},
        recipe.split.seed,
        recipe.split.block_m,
        _reach_m(recipe),
        kept,
    )
    out = table.with_columns(reason).drop_nulls("reason")
    return {
        split: pl.concat(
            [nothing[split]]
            + [
                reject_frame(part["shot_number"], "subset", str(why), _DETAILS[str(why)])
                for (why,), part in out.filter(pl.col("split") == split)
                .partition_by("reason", as_dict=True)
                .items()
            ]
        )
        for split in footprints
    }


def _reach_m(recipe: Recipe) -> float:
    """Return how far a window reaches from its shot, turned as UTM may be and shifted onto its grid."""
    half = (recipe.window_size / 2 + 1) * PIXEL_SIZE
    return 1.1 * half + recipe.split.buffer_m / 2


def split_record(recipe: Recipe, files: BuildFiles) -> SplitRecord:
    """Search the samples of the fused files for leaks between the splits.

    Args:
        recipe: of the build.
        files: of the build; its fused files exist.
    """
    # A recipe may have more splits than three, which then count as held out.
    names = dict.fromkeys(recipe.splits, SPLITS[-1]) | dict(zip(recipe.splits, SPLITS, strict=False))
    windows = (
        part.with_columns(pl.lit(names[split]).alias("split"))
        for split in recipe.splits
        for part in _windows_of(files, split)
    )
    return SplitRecord.of_windows(
        search_windows(windows, files.root, recipe.split.buffer_m),
        {
            "method": "time",
            "ranges": {
                split: [days.start.isoformat(), days.end.isoformat()] for split, days in recipe.splits.items()
            },
            **recipe.split.model_dump(mode="json"),
        },
        promises_zero=recipe.split.space == SPACE_BLOCKS,
        instead=INSTEAD,
    )


def _windows_of(files: BuildFiles, split: str) -> Iterator[pl.DataFrame]:
    if files.fused(split).exists():
        yield from iterate_windows(files.fused(split), split, _SHOTS)


def samples_of(files: BuildFiles, splits: Sequence[str] = SPLITS) -> pl.DataFrame:
    """Return the samples of the fused files as `leak_report` takes them, with their `split`.

    Args:
        files: of the build.
        splits: of the recipe; those without a file are left out.
    """
    return pl.concat(
        [fused_windows(files.fused(split), split, _SHOTS) for split in splits if files.fused(split).exists()]
    )
