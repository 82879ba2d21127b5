"""Extraction of a batch, stage by stage. A stage that is finished is not done again."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from factory_pipeline.builds.batch_sources import headers_needed, search_sources
from factory_pipeline.builds.chips.chip_stack import ChipStack
from factory_pipeline.builds.chips.landcover import extract_landcover
from factory_pipeline.builds.chips.layer_progress import CALLS, LayerProgress
from factory_pipeline.builds.chips.samples import assemble_samples, drop_bad_samples
from factory_pipeline.builds.chips.sentinel2 import extract_sentinel2
from factory_pipeline.builds.chips.terrain import extract_terrain
from factory_pipeline.builds.chips.windows import window_grids
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.gedi.granules import years_of
from factory_pipeline.builds.lost_footprints import Losses
from factory_pipeline.builds.open_reader import BuildArchive
from factory_pipeline.builds.plan_keys import split_of
from factory_pipeline.builds.unusable_items import keep_unusable_items, read_unusable_items
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import LAYERS
from factory_pipeline.errors import BuildError
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.plain_text import count_noun
from factory_pipeline.stac.providers import Catalog
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.stac.tiles import find_tiles
from factory_pipeline.storage.atomic import atomic_write


@dataclass(frozen=True)
class StageOutcome:
    """What one stage made of one batch."""

    footprints: int
    """How many came in."""
    accepted: int
    """How many go on."""
    dropped: dict[str, int]
    """The others, by reason."""
    seconds: float
    """Time that the stage took."""
    cached: bool
    """True where an earlier run had done the work."""
    remarks: Mapping[str, str]
    """What a person should know beside the counts: products that could not be used, assets that GDAL read."""


class BatchExtraction:
    """The stages of extraction for the batches of one build."""

    def __init__(self, settings: BuildSettings, archive: BuildArchive | None = None) -> None:
        """Prepare for the batches of a build.

        Args:
            settings: of the build.
            archive: of the build, where other stages use it too; None opens another one.
        """
        self._settings = settings
        self._recipe = settings.recipe
        self._files = settings.files
        self._archive = archive or BuildArchive(settings)

    @cached_property
    def plan(self) -> StoredPlan:
        """The batch plan of the build."""
        return StoredPlan(self._files.batch_plan)

    @cached_property
    def losses(self) -> Losses:
        """What the build has lost so far by no fault of the footprints."""
        return Losses(self._settings, self.plan)

    @property
    def catalog(self) -> Catalog:
        """Where items are searched."""
        return self._archive.catalog

    @property
    def reader(self) -> BlockReader:
        """What reads the windows; shared by all batches of a run, which then share its headers."""
        return self._archive.reader

    def sentinel2(self, batch: str) -> StageOutcome:
        """Choose a product for every footprint, read its window, check its scene.

        The searches of all layers are sent at once, and the headers of all layers are read at once: the
        other layers then find them.
        """

        def extract() -> ChipStack:
            footprints = self.plan.batch(batch)
            sources = search_sources(self.catalog, footprints, self._recipe, self._files.items)
            found = sources.products
            keep_unusable_items(self._files, batch, "sentinel2", found.unusable_items)
            choices = choose_products(
                footprints,
                found.products,
                self._recipe.sentinel2,
                self._recipe.window_size,
                found.unusable_items,
            )
            self.reader.read_headers(headers_needed(choices, sources.tiles, self._recipe))
            return extract_sentinel2(footprints, choices, self.reader, self._recipe)

        return self._chips(batch, "sentinel2", extract)

    def copdem(self, batch: str) -> StageOutcome:
        """Read altitude and slope on the windows of the Sentinel-2 chips; drop steep footprints."""

        def extract() -> ChipStack:
            windows = self._load(batch, "sentinel2").table
            grids = window_grids(windows, self._recipe.window_size)
            found = find_tiles(self.catalog, "copdem", grids, None, self._files.items)
            keep_unusable_items(self._files, batch, "copdem", found.unusable)
            return extract_terrain(windows, found.windows, self.reader, self._recipe, found.gaps)

        return self._chips(batch, "copdem", extract)

    def worldcover(self, batch: str) -> StageOutcome:
        """Read the land cover of the shot's year on the windows of the Sentinel-2 chips."""

        def extract() -> ChipStack:
            windows = self._load(batch, "sentinel2").table
            grids = window_grids(windows, self._recipe.window_size)
            times = windows.join(self.plan.batch(batch), on="shot_number", how="left", maintain_order="left")
            years = years_of(times["delta_time"])
            found = find_tiles(self.catalog, "worldcover", grids, years, self._files.items)
            keep_unusable_items(self._files, batch, "worldcover", found.unusable)
            return extract_landcover(windows, found.windows, self.reader, self._recipe, found.gaps)

        return self._chips(batch, "worldcover", extract)

    def dataset(self, batch: str) -> StageOutcome:
        """Join the chips to samples and write the batch's dataset file and ledger; the chips then go."""
        start_time = time.monotonic()
        found = self._files.batch(batch).exists()
        if not found:
            sentinel2, copdem, worldcover = (self._load(batch, layer) for layer in LAYERS)
            samples, rejects = assemble_samples(
                self.plan.batch(batch), sentinel2, copdem, worldcover, self._recipe
            )
            samples, rejects = drop_bad_samples(samples, rejects)
            self.losses.add(batch, rejects)
            with atomic_write(self._files.batch_rejects(batch)) as temporary:
                rejects.write_parquet(temporary)
            # The dataset file comes last: a batch is finished if it exists.
            write_dataset(self._files.batch(batch), samples, self._recipe, split_of(batch))
        self._files.drop_chips(batch)
        return self._outcome_of_batch(batch, start_time, found)

    def _describe_unusable(self, batch: str, layer: str) -> dict[str, str]:
        """Return remarks on the items that could not be used."""
        reasons = Counter(read_unusable_items(self._files, batch, layer).values())
        return {
            reason: f"{count_noun(count, 'item')} of the catalog" for reason, count in sorted(reasons.items())
        }

    def _chips(self, batch: str, layer: str, extract: Callable[[], ChipStack]) -> StageOutcome:
        """Make the chips of one layer, unless they or the batch's dataset file exist."""
        start_time = time.monotonic()
        if self._files.batch(batch).exists():
            return self._outcome_of_batch(batch, start_time, found=True)
        path = self._files.chips(batch, layer)
        found = path.exists()
        if found:
            stack = ChipStack.load(path)
            return _outcome(stack.table.height + stack.rejects.height, stack.rejects, start_time, found)
        known = self.reader.fell_back
        with LayerProgress(self._files.progress(batch), CALLS[layer]) as progress:
            self.reader.on_progress = progress.report
            stack = extract()
        self.losses.add(batch, stack.rejects)
        stack.save(path)
        by_gdal = {href: reason for href, reason in self.reader.fell_back.items() if href not in known}
        return _outcome(
            stack.table.height + stack.rejects.height,
            stack.rejects,
            start_time,
            found,
            {**self._describe_unusable(batch, layer), **by_gdal},
        )

    def _outcome_of_batch(self, batch: str, start_time: float, found: bool) -> StageOutcome:
        rejects = pl.read_parquet(self._files.batch_rejects(batch))
        return _outcome(self.plan.sizes[batch], rejects, start_time, found)

    def _load(self, batch: str, layer: str) -> ChipStack:
        path = self._files.chips(batch, layer)
        if not path.exists():
            raise BuildError(
                f"The {layer} chips of batch {batch} are not there; materialise sentinel2_chips, "
                "copdem_chips, worldcover_chips and batch_dataset together."
            )
        return ChipStack.load(path)


def _outcome(
    footprints: int,
    rejects: pl.DataFrame,
    start_time: float,
    found: bool,
    remarks: Mapping[str, str] | None = None,
) -> StageOutcome:
    dropped = dict(sorted(Counter(rejects["reason"].to_list()).items()))
    seconds = time.monotonic() - start_time
    return StageOutcome(footprints, footprints - rejects.height, dropped, seconds, found, remarks or {})
