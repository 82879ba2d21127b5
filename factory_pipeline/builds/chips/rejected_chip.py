"""The chip of a footprint that a build rejected, read again from the archive so that a person can look at it.

A build keeps no pixels of what it rejects.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips import landcover, samples, sentinel2, terrain
from factory_pipeline.builds.chips.radiometry import as_counts, remove_offset
from factory_pipeline.builds.chips.reading import UNREADABLE, read_windows
from factory_pipeline.builds.chips.sentinel2 import offset_to_remove, queue_candidates
from factory_pipeline.builds.open_reader import open_reader
from factory_pipeline.cog.reader import ReadWindow, Resampling, WindowRead
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.stac.select_products import choose_products

TRUE_COLOUR = ("B04", "B03", "B02")
STAGES = (sentinel2.STAGE, terrain.STAGE, landcover.STAGE, samples.STAGE)
"""Stages whose footprints have a product; those before read no imagery."""
WITHOUT_PIXELS = ("no_product", "item_unusable", UNREADABLE)
"""Their reasons for which there is nothing to see."""
PATIENCE_S = 10.0
"""How long a catalog that does not answer is tried again: a person waits for it."""


@dataclass(frozen=True)
class RejectedChip:
    """What the best product shows of a footprint."""

    product: str
    """Name of the product, as the ledger has it."""
    counts: NDArray[np.uint16]
    """(3, rows, columns) of red, green and blue, without the offset if the recipe removes it."""


def has_chip(stage: str, reason: str) -> bool:
    """Return whether a footprint that a stage dropped for a reason can be looked at.

    Args:
        stage: name of the stage, as in the reject ledger.
        reason: as in the reject ledger.
    """
    return stage in STAGES and reason not in WITHOUT_PIXELS


def read_rejected_chip(settings: BuildSettings, shot_number: int) -> RejectedChip | None:
    """Read the true colour chip of a footprint of the batch plan from the product that was tried first.

    Args:
        settings: of the build.
        shot_number: of the footprint.

    Returns:
        None if the plan does not have the footprint, no product shows it, the recipe reads other bands than
        red, green and blue, or a band can't be read.

    Raises:
        CatalogError: the catalog is not a STAC source, or lacks the collection.
        CatalogUnavailableError: the catalog does not answer.
        SourceUnavailableError: the archive does not answer.
    """
    recipe = settings.recipe
    plan = pl.scan_parquet(settings.files.batch_plan)
    planned = plan.filter(pl.col("shot_number") == shot_number).collect()
    if not planned.height or not set(TRUE_COLOUR) <= set(recipe.sentinel2.bands):
        return None
    catalog = open_catalog(settings.catalog, PATIENCE_S)
    found = find_products(catalog, planned, recipe.sentinel2)
    choices = choose_products(planned, found.products, recipe.sentinel2, recipe.window_size)
    candidates = queue_candidates(choices, recipe.window_size).left.get(shot_number)
    if not candidates:
        return None
    product, window = candidates[0].product, candidates[0].window
    reader = open_reader(catalog, settings.bytes_in_flight)
    reads = [WindowRead((product.hrefs[band],), window, Resampling.BILINEAR) for band in TRUE_COLOUR]
    bands = [answer for answer in read_windows(reader, reads) if isinstance(answer, ReadWindow)]
    if len(bands) < len(TRUE_COLOUR):
        return None
    counts = np.stack([as_counts(band.values) for band in bands])
    return RejectedChip(product.name, remove_offset(counts, offset_to_remove(product, recipe.sentinel2)))
