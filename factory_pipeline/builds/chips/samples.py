"""From the chips of all layers to the samples of a batch."""

import polars as pl

from factory_pipeline.builds.chips.chip_stack import ChipStack, keep_chips
from factory_pipeline.builds.chips.label_raster import label_raster
from factory_pipeline.builds.chips.windows import window_grids
from factory_pipeline.builds.gedi.granule_names import parse_granule_name
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA, reject_frame
from factory_pipeline.cog.grid import transforms_of
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.sample_checks import find_bad_samples
from factory_pipeline.hdf5.schema import TABLE_SCHEMA, Samples

STAGE = "dataset"
"""What the ledger calls the joining of the layers."""


def assemble_samples(
    footprints: pl.DataFrame,
    sentinel2: ChipStack,
    terrain: ChipStack,
    landcover: ChipStack,
    recipe: Recipe,
) -> tuple[Samples, pl.DataFrame]:
    """Join the layers of a batch; a footprint is a sample if it has a chip in each of them.

    The chips are moved to the front of their arrays, without a second array: the stacks are used up.

    Args:
        footprints: the batch as planned, with the column `batch`; the samples keep this order.
        sentinel2: the Sentinel-2 chips of this batch.
        terrain: its chips of Copernicus DEM.
        landcover: its chips of WorldCover.
        recipe: window size, footprint radius.

    Returns:
        The samples, and the footprints that a layer dropped in REJECT_SCHEMA, once each, with the reason of
        the first layer that did. Together they are the batch.

    Raises:
        ValueError: together they are not the batch: the chips are of another batch, or a layer lost a
            footprint.
    """
    rejects = join_rejects(footprints, [sentinel2, terrain, landcover])
    joined = (
        footprints.join(numbered(sentinel2, "sentinel2"), on="shot_number", maintain_order="left")
        .join(numbered(terrain, "terrain"), on="shot_number", maintain_order="left")
        .join(numbered(landcover, "landcover"), on="shot_number", maintain_order="left")
    )
    accepted, dropped = joined["shot_number"], rejects["shot_number"]
    if sorted([*accepted, *dropped]) != sorted(footprints["shot_number"]):
        raise ValueError(
            f"{len(accepted)} accepted and {len(dropped)} rejected footprints are not the {footprints.height}"
            " of the batch"
        )
    samples = Samples(
        sentinel2=keep_chips(sentinel2.arrays["sentinel2"], joined["sentinel2"].to_list()),
        worldcover=keep_chips(landcover.arrays["worldcover"], joined["landcover"].to_list()),
        copdem=keep_chips(terrain.arrays["copdem"], joined["terrain"].to_list()),
        label=label_raster(joined, recipe.footprint_radius, recipe.window_size),
        table=sample_table(joined, recipe.window_size),
    )
    return samples, rejects


def drop_bad_samples(samples: Samples, rejects: pl.DataFrame) -> tuple[Samples, pl.DataFrame]:
    """Reject every sample that fails a check, before it is written to a file.

    Args:
        samples: of a batch.
        rejects: of the same batch, in REJECT_SCHEMA.

    Returns:
        The samples that pass every check, and all rejects: a bad sample counts for the first check that it
        fails.
    """
    shots = samples.table["shot_number"]
    bad = [
        reject_frame(shots.filter(pl.Series(found.wrong)), STAGE, found.check, found.sentence)
        for found in find_bad_samples(samples)
    ]
    if not bad:
        return samples, rejects
    dropped = pl.concat(bad).unique("shot_number", keep="first", maintain_order=True)
    kept = ~shots.is_in(dropped["shot_number"].implode()).to_numpy()
    return samples.where(kept), pl.concat([rejects, dropped])


def join_rejects(footprints: pl.DataFrame, stacks: list[ChipStack]) -> pl.DataFrame:
    """Return what any layer dropped, in the footprints' order, once each.

    Args:
        footprints: all that the layers were extracted for, with `shot_number`.
        stacks: the chips and rejects of each layer; the earliest layer that dropped a footprint gives the
            reason.

    Returns:
        A frame in REJECT_SCHEMA.
    """
    rejects = pl.concat([stack.rejects for stack in stacks]).unique(
        "shot_number", keep="first", maintain_order=True
    )
    ordered = footprints.select("shot_number").join(rejects, on="shot_number", maintain_order="left")
    return ordered.select(REJECT_SCHEMA.keys())


def numbered(stack: ChipStack, layer: str) -> pl.DataFrame:
    """Return the table of a layer with the index of each chip in a column of the layer's name.

    Args:
        stack: the chips of the layer.
        layer: `sentinel2`, `terrain` or `landcover`; prefixed to the columns that other layers have too.
    """
    table = stack.table.with_row_index(layer)
    return table.rename({name: f"{layer}_{name}" for name in ("tile_names", "item_ids") if name in table})


def sample_table(joined: pl.DataFrame, window_size: int) -> pl.DataFrame:
    """Return the metadata of each sample, in TABLE_SCHEMA.

    Args:
        joined: one row for each sample, with the columns of the footprints and of all layers.
        window_size: edge of a chip in pixels of 10 m.
    """
    transforms = transforms_of(window_grids(joined, window_size))
    return (
        joined.with_columns(
            pl.Series("transform", transforms, dtype=TABLE_SCHEMA["transform"]),
            pl.Series("acquisition_time", map(acquisition_time, joined["granule"]), dtype=pl.String),
            pl.format("EPSG:{}", "epsg").alias("crs"),
        )
        .select(
            "shot_number",
            "granule",
            "beam",
            "acquisition_time",
            "delta_time",
            "agbd",
            "agbd_se",
            "transform",
            "crs",
            "scl_fractions",
            "baseline",
            "offset_removed",
            "batch",
            latitude="lat_lowestmode",
            longitude="lon_lowestmode",
            s2_product="product_name",
            s2_item="item_id",
            dem_tiles="terrain_tile_names",
            dem_items="terrain_item_ids",
            worldcover_tiles="landcover_tile_names",
            worldcover_items="landcover_item_ids",
        )
        .select(TABLE_SCHEMA.keys())
    )


def acquisition_time(granule: str) -> str:
    """Return when a granule begins, in ISO 8601, from its name."""
    return f"{parse_granule_name(granule).acquired:%Y-%m-%dT%H:%M:%SZ}"
