"""Extraction of a batch of a recipe's dataset: every source on the window of every label."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.dataset_losses import ITEM_UNUSABLE, NO_DATA, NO_SCENE, UNREADABLE
from factory_pipeline.builds.dataset_plan import BATCH_BYTES, StoredDatasetPlan
from factory_pipeline.builds.labels.areas import cut_labels, labels_in
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA, reject_frame
from factory_pipeline.builds.labels.label_table import STAGE as LABEL_STAGE
from factory_pipeline.builds.labels.label_windows import grids_of, on_grid_of
from factory_pipeline.builds.labels.polygons import PolygonBurner
from factory_pipeline.builds.open_reader import open_reader
from factory_pipeline.builds.plan_keys import split_of
from factory_pipeline.builds.progress import note_waiting
from factory_pipeline.builds.rasters.read_source import SourceStack, read_source
from factory_pipeline.builds.rasters.source_layer import (
    SourceLayer,
    label_layer_of,
    layers_of,
    searched_layers_of,
)
from factory_pipeline.builds.sample_facts import facts_of, parse_checks, steps_with_data
from factory_pipeline.builds.unusable_items import keep_unusable_items
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid, transforms_of
from factory_pipeline.cog.recycled import Recycler
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.label_sources import PolygonLabels, RasterLabels
from factory_pipeline.config.raster_sources import SourceGrid
from factory_pipeline.hdf5.codec import encode_chunk_fast
from factory_pipeline.hdf5.recipe_fields import RecipeSamples, SourceSamples, recipe_fields
from factory_pipeline.hdf5.write import write_fields
from factory_pipeline.stac.items import UnusableItem, count_reasons
from factory_pipeline.stac.providers import Catalog, Requests, open_catalog
from factory_pipeline.stac.scene_search import find_scenes
from factory_pipeline.stac.select_scenes import Choice, choose_scenes
from factory_pipeline.stac.tiles import bounds_in_degrees
from factory_pipeline.storage.atomic import atomic_write

CHECK_STAGE = "checks"
NO_LABEL = "no_label"
MARGIN_DEGREES = 1 / 3600
"""Around a window, what a bilinear kernel of the coarsest known collection reaches, in degrees."""


@dataclass(frozen=True)
class BatchOutcome:
    """What extraction made of one batch."""

    labels: int
    accepted: int
    dropped: dict[str, int]
    """By `source: reason`."""
    seconds: float
    cached: bool
    """Whether an earlier run had done the work."""
    remarks: Mapping[str, str]
    """Rasters that GDAL read in place of the block engine, with the reason."""


def requests_of(recipe: DatasetRecipe) -> Requests:
    """Return what a catalog is asked for each source of a recipe."""
    return {layer.name: layer.request for layer in searched_layers_of(recipe)}


def choose_for(
    layer: SourceLayer, labels: pl.DataFrame, catalog: Catalog, cache: Path | None = None
) -> tuple[list[Choice], tuple[UnusableItem, ...]]:
    """Return the scenes of a source for each label, and the items of the search that can't be used.

    Args:
        layer: the source.
        labels: with WINDOW_COLUMNS, `start` and `end`.
        catalog: where to search.
        cache: a folder that keeps the answers; None keeps nothing.

    Raises:
        CatalogError: the catalog is no STAC source, or lacks the collection.
        CatalogUnavailableError: the catalog does not answer.
    """
    if labels.is_empty():
        return [], ()
    grids = grids_of(labels, layer.size, layer.pixel_size)
    bounds = bounds_in_degrees(grids, MARGIN_DEGREES)
    steps = [layer.steps(start, end) for start, end in labels.select("start", "end").iter_rows()]
    scenes, unusable = find_scenes(
        catalog,
        layer.name,
        layer.request,
        bounds,
        steps,
        layer.needs_clouds,
        cache,
    )
    crs = labels["epsg"].to_list()
    return choose_scenes(bounds, crs, steps, scenes, layer.preference, unusable), unusable


class DatasetExtraction:
    """Extracts the batches of one build."""

    def __init__(self, settings: DatasetSettings) -> None:
        self._settings = settings
        self._recipe = settings.recipe
        self._files = settings.files
        self._layers = layers_of(settings.recipe)
        self._label_layer = label_layer_of(settings.recipe)
        self._recycler = Recycler(kept=BATCH_BYTES)
        """Of the pixels of a batch, which are forgotten when its file is written."""

    @cached_property
    def plan(self) -> StoredDatasetPlan:
        """The batch plan of the build."""
        return StoredDatasetPlan(self._files.batch_plan)

    @cached_property
    def catalog(self) -> Catalog:
        """Where items are searched; opened when the first batch needs it."""
        settings = self._settings
        return open_catalog(
            settings.catalog,
            settings.catalog_patience_s,
            partial(note_waiting, self._files),
            requests_of(self._recipe),
        )

    @cached_property
    def reader(self) -> BlockReader:
        """What reads the windows; shared by all batches, which then share its headers."""
        return open_reader(self.catalog, self._settings.bytes_in_flight)

    def extract(self, batch: str) -> BatchOutcome:
        """Extract a batch, unless its file exists; write its dataset file and ledger.

        Raises:
            CatalogUnavailableError: the catalog does not answer.
            SourceUnavailableError: the archive is unavailable.
        """
        began, path = time.monotonic(), self._files.batch(batch)
        cached = path.exists()
        remarks: dict[str, str] = {}
        # Of a batch that is finished neither the catalog nor the reader is opened.
        if not cached:
            known = self.reader.fell_back
            labels = self.plan.batch(batch)
            samples, rejects = self._samples(labels, batch)
            with atomic_write(self._files.batch_rejects(batch)) as temporary:
                rejects.write_parquet(temporary)
            # The dataset file comes last: a batch is finished if it exists.
            fields = recipe_fields(self._recipe, self.plan.extra)
            write_fields(path, fields, samples, self._recipe, split_of(batch), encode_chunk_fast)
            remarks = {href: why for href, why in self.reader.fell_back.items() if href not in known}
        rejects = pl.read_parquet(self._files.batch_rejects(batch))
        size = self.plan.sizes[batch]
        reasons = rejects.select(pl.format("{}: {}", "stage", "reason")).to_series()
        return BatchOutcome(
            labels=size,
            accepted=size - rejects.height,
            dropped=dict(sorted(Counter(reasons).items())),
            seconds=time.monotonic() - began,
            cached=cached,
            remarks=remarks,
        )

    def _samples(self, labels: pl.DataFrame, batch: str) -> tuple[RecipeSamples, pl.DataFrame]:
        labels, no_window = self._on_source_grid(labels, batch)
        stacks: dict[str, SourceStack] = {}
        rasters, unlabelled = self._label_rasters(labels, batch)
        rejects = [pl.DataFrame(schema=REJECT_SCHEMA), no_window, unlabelled]
        kept = ~labels["id"].is_in(unlabelled["id"].implode()).to_numpy()
        for layer in self._layers:
            choices = self._choose(layer, labels, batch)
            grids = grids_of(labels, layer.size, layer.pixel_size)
            # What an earlier source has dropped is not read of a later one.
            wanted = [
                choice if keep else Choice(((),) * layer.count_of_steps, ())
                for choice, keep in zip(choices, kept.tolist(), strict=True)
            ]
            stack = read_source(layer, grids, wanted, self.reader, self._recycler)
            stacks[layer.name] = stack
            dropped = _dropped(layer, labels["id"], choices, stack, kept)
            rejects.append(dropped)
            kept &= ~labels["id"].is_in(dropped["id"].implode()).to_numpy()
        dropped = self._failing_checks(labels["id"], stacks, kept)
        rejects.append(dropped)
        kept &= ~labels["id"].is_in(dropped["id"].implode()).to_numpy()
        return self._accepted(labels, stacks, rasters, kept), pl.concat(rejects)

    def _label_rasters(self, labels: pl.DataFrame, batch: str) -> tuple[NDArray[Any] | None, pl.DataFrame]:
        """Return the label of every pixel where labels are rasters, and the windows with too few of them."""
        window, nothing = self._recipe.window, pl.DataFrame(schema=REJECT_SCHEMA)
        grids = grids_of(labels, window.size, window.pixel_size)
        if isinstance(self._recipe.labels, PolygonLabels):
            burner = PolygonBurner.load(self._files.polygons, self._recipe)
            return burner.burn(labels, grids), nothing
        if not isinstance(self._recipe.labels, RasterLabels):
            return None, nothing
        dropped = nothing
        if self._label_layer is None:
            cut, without = cut_labels(self._recipe, grids, self.reader)
        else:
            choices = self._choose(self._label_layer, labels, batch)
            stack = read_source(self._label_layer, grids, choices, self.reader)
            every = np.ones(labels.height, np.bool_)
            dropped = _dropped(self._label_layer, labels["id"], choices, stack, every)
            cut, without = labels_in(self._recipe, stack.values[:, 0, 0], stack.valid[:, 0])
        allowed = self._recipe.labels.max_nodata
        empty = pl.Series(without > allowed) & ~labels["id"].is_in(dropped["id"].implode())
        detail = pl.Series(
            [f"{share:.0%} of the window has no label; {allowed:.0%} may." for share in without],
            dtype=pl.String,
        )
        ids = labels["id"].filter(empty)
        too_little = reject_frame(ids, LABEL_STAGE, NO_LABEL, detail.filter(empty))
        return cut, pl.concat([dropped, too_little])

    def _on_source_grid(self, labels: pl.DataFrame, batch: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the labels with windows on the pixels of the source whose grid the recipe names."""
        nothing = pl.DataFrame(schema=REJECT_SCHEMA)
        anchor = self._recipe.window.crs
        if not isinstance(anchor, SourceGrid):
            return labels, nothing
        layer = next(layer for layer in self._layers if layer.name == anchor.grid)
        choices = self._choose(layer, labels, batch)
        grids: list[Grid | None] = []
        for choice, (longitude, latitude) in zip(
            choices, labels.select("longitude", "latitude").iter_rows(), strict=True
        ):
            first = next((step[0].scenes[0] for step in choice.steps if step), None)
            grid = first.grid if first is not None else None
            if isinstance(grid, Grid) and math.isclose(grid.x_size, layer.pixel_size):
                grids.append(on_grid_of(grid, longitude, latitude, layer.size))
            else:
                grids.append(None)
        placed = pl.Series([grid is not None for grid in grids])
        known = [grid for grid in grids if grid is not None]
        reasons = [ITEM_UNUSABLE if choice.missed else NO_SCENE for choice in choices]
        rejects = (
            labels.select("id")
            .with_columns(
                stage=pl.lit(layer.name),
                reason=pl.Series(reasons, dtype=pl.String),
                detail=pl.lit(f"No scene of {layer.name} tells a grid with pixels of {layer.pixel_size:g}."),
            )
            .filter(~placed)
        )
        moved = labels.filter(placed).with_columns(
            pl.Series("epsg", [grid.epsg for grid in known], dtype=pl.Int32),
            pl.Series("left", [grid.left for grid in known], dtype=pl.Float64),
            pl.Series("top", [grid.top for grid in known], dtype=pl.Float64),
        )
        return moved, rejects

    def _choose(self, layer: SourceLayer, labels: pl.DataFrame, batch: str) -> list[Choice]:
        """Return the scenes of a source for each label."""
        choices, unusable = choose_for(layer, labels, self.catalog, self._files.items)
        keep_unusable_items(self._files, batch, layer.name, unusable)
        return choices

    def _failing_checks(
        self, ids: pl.Series, stacks: Mapping[str, SourceStack], kept: NDArray[np.bool_]
    ) -> pl.DataFrame:
        """Return the samples that fail a check of the recipe, each with the first that it fails."""
        facts = facts_of(stacks)
        rejects = [pl.DataFrame(schema=REJECT_SCHEMA)]
        left = kept.copy()
        for check in parse_checks(self._recipe.checks, self._recipe.sources):
            failed = pl.Series(left) & ~check.passes(facts)
            shown = check.shortcomings(facts.filter(failed))
            rejects.append(reject_frame(ids.filter(failed), CHECK_STAGE, check.name, shown))
            left &= ~failed.to_numpy()
        return pl.concat(rejects)

    def _accepted(
        self,
        labels: pl.DataFrame,
        stacks: Mapping[str, SourceStack],
        rasters: NDArray[Any] | None,
        kept: NDArray[np.bool_],
    ) -> RecipeSamples:
        # A slice is a view: where no sample is dropped, nothing is copied.
        places = slice(None) if kept.all() else np.flatnonzero(kept)
        sources = {
            name: SourceSamples(
                stack.values[places],
                stack.valid[places],
                stack.times[places],
                [items for items, keep in zip(stack.items, kept.tolist(), strict=True) if keep],
            )
            for name, stack in stacks.items()
        }
        window = self._recipe.window
        accepted = labels.filter(pl.Series(kept))
        transforms = transforms_of(grids_of(accepted, window.size, window.pixel_size))
        table = accepted.with_columns(
            pl.Series("transform", transforms, dtype=pl.Array(pl.Float64(), 9)),
            pl.format("EPSG:{}", "epsg").alias("crs"),
        )
        return RecipeSamples(sources, table, None if rasters is None else rasters[places])


def _dropped(
    layer: SourceLayer,
    ids: pl.Series,
    choices: Sequence[Choice],
    stack: SourceStack,
    kept: NDArray[np.bool_],
) -> pl.DataFrame:
    """Return the labels that a source drops, in REJECT_SCHEMA."""
    steps = steps_with_data(stack)
    rows = []
    for place in np.flatnonzero(kept).tolist():
        reason = _reason(layer, choices[place], stack, place, int(steps[place]))
        if reason is not None:
            rows.append((ids[place], layer.name, *reason))
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")


def _reason(
    layer: SourceLayer, choice: Choice, stack: SourceStack, place: int, steps: int
) -> tuple[str, str] | None:
    if place in stack.failures:
        return UNREADABLE, stack.failures[place].reason
    if steps >= layer.fewest_steps:
        return None
    wanted = f"{layer.fewest_steps} are needed"
    if choice.missed:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in count_reasons(choice.missed).items())
        return ITEM_UNUSABLE, f"{steps} steps have data and {wanted}; items can't be used ({reasons})."
    without = sum(1 for acquisitions in choice.steps if not acquisitions)
    if without:
        return NO_SCENE, f"{without} of {layer.count_of_steps} steps have no scene; {wanted}."
    return NO_DATA, f"{steps} of {layer.count_of_steps} steps have data in the window; {wanted}."
