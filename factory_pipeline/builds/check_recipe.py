"""What a recipe would make, before anything is read: labels by rule, windows, scenes, bytes, time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from factory_pipeline.builds.dataset_extraction import choose_for, requests_of
from factory_pipeline.builds.dataset_plan import read_labels, windows_of
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.builds.labels.label_windows import grids_of
from factory_pipeline.builds.rasters.source_layer import SourceLayer, searched_layers_of
from factory_pipeline.cog.alignment import align
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.config.build_settings import CATALOG_PATIENCE_S
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.source_layout import sample_bytes
from factory_pipeline.plain_text import count_noun
from factory_pipeline.stac.items import count_reasons
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.stac.select_scenes import Choice
from factory_pipeline.web_retries import OnWait

BLOCK = 512
"""Pixels a side of the blocks that rasters are assumed to be stored in."""
STORED_SHARE = 0.6
"""Bytes of a stored block by those of its pixels, as of the COGs of Sentinel-2 and Landsat."""
FILE_SHARE = 0.7
"""The same of the samples of a dataset file."""
SECONDS_PER_BLOCK = 0.004
SECONDS_PER_MB = 0.0016
"""Measured on two cores: decoding a block and cutting it, and receiving a megabyte."""


@dataclass(frozen=True)
class SourceForecast:
    """What would be read of one source."""

    scenes: int
    """Items that would be taken."""
    assets: int
    """Rasters of them."""
    windows_without: int
    """Windows that would be dropped, as too few steps have a scene."""
    blocks: int
    read_bytes: int
    unusable: dict[str, int]
    """Items that can't be used, by reason."""
    requester_pays: bool = False
    """Whether whoever reads pays for the transfer."""


@dataclass(frozen=True)
class RecipeForecast:
    """What a build would do; `str()` says it in a few lines."""

    name: str
    labels: int
    dropped: dict[str, int]
    """Labels that are left out before imagery, by `stage: reason`."""
    windows: dict[str, int]
    """By split."""
    sample_bytes: int
    disk_bytes: int
    """Of the dataset files, about."""
    sources: dict[str, SourceForecast] = field(default_factory=dict)
    """Empty without a catalog."""
    seconds: float = 0.0
    """Of extraction on one core, about; 0 without a catalog."""
    remarks: tuple[str, ...] = ()

    @property
    def makes_nothing(self) -> str:
        """Why no label would become a sample, in a sentence; empty if some may."""
        windows = sum(self.windows.values())
        if not windows:
            return "No label would become a sample: the recipe leaves out all of them."
        without = [name for name, source in self.sources.items() if source.windows_without >= windows]
        if without:
            named = " and ".join(without)
            return f"No label would become a sample: no window has enough scenes of {named} at its time."
        return ""

    def __str__(self) -> str:
        lines = [f"Labels               {self.labels:>12,}"]
        lines += [f"  {name:<28} {-count:>8,}" for name, count in self.dropped.items()]
        lines.append(f"Windows              {sum(self.windows.values()):>12,}")
        lines += [f"  {split:<28} {count:>8,}" for split, count in self.windows.items()]
        for name, source in self.sources.items():
            lines.append(
                f"{name}: {count_noun(source.scenes, 'scene')}, {count_noun(source.assets, 'raster')}, about"
                f" {_megabytes(source.read_bytes)} in {count_noun(source.blocks, 'block')}"
            )
            if source.requester_pays:
                lines.append("  you pay for the transfer: its store asks for an account of yours")
            if source.windows_without:
                lines.append(f"  windows without enough scenes {source.windows_without:>7,}")
            lines += [f"  items: {reason:<21} {count:>8,}" for reason, count in source.unusable.items()]
        size = f"{self.sample_bytes / 1e6:.2f} MB a sample"
        lines.append(f"Disk: about {_megabytes(self.disk_bytes)} ({size})")
        if self.sources:
            lines.append(f"Time: {_minutes(self.seconds)} on one core")
        else:
            lines.append("Scenes and time: name a catalog by --catalog")
        return "\n".join([*lines, *self.remarks, *filter(None, [self.makes_nothing])])


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.{0 if size >= 10e6 else 1}f} MB"


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"about {count_noun(minutes, 'minute')}" if minutes else "less than a minute"


def forecast(
    recipe: DatasetRecipe, catalog: str | None = None, on_wait: OnWait | None = None
) -> RecipeForecast:
    """Say what a build would do; labels are read, the catalog is searched, no raster is opened.

    Args:
        recipe: of the dataset.
        catalog: where scenes are searched; None leaves them out.
        on_wait: called with the host and the seconds whenever an answer of the catalog is waited for.

    Raises:
        RecipeError: the labels can't be used.
        LostFootprintsError: no label is left.
        CatalogError: the catalog is not known, or does not answer.
    """
    ledger = RejectLedger()
    labels = read_labels(recipe, ledger)
    windows, remarks = windows_of(labels, recipe, ledger)
    per_sample = sample_bytes(recipe)
    sources = {}
    if catalog is not None:
        opened = open_catalog(catalog, CATALOG_PATIENCE_S, on_wait, requests_of(recipe))
        for layer in searched_layers_of(recipe):
            choices, unusable = choose_for(layer, windows, opened)
            source = _of_source(layer, windows, choices, dict(count_reasons(unusable)))
            pays = opened.provider.source(layer.name).requester_pays
            sources[layer.name] = replace(source, requester_pays=pays)
    return RecipeForecast(
        name=recipe.name,
        labels=labels.read,
        dropped={f"{stage}: {reason}": count for (stage, reason), count in ledger.counts.items()},
        windows={split: windows.filter(split=split).height for split in recipe.splits.parts},
        sample_bytes=per_sample,
        disk_bytes=round(per_sample * windows.height * FILE_SHARE),
        sources=sources,
        seconds=sum(
            source.blocks * SECONDS_PER_BLOCK + source.read_bytes / 1e6 * SECONDS_PER_MB
            for source in sources.values()
        ),
        remarks=remarks,
    )


def _of_source(
    layer: SourceLayer, windows: pl.DataFrame, choices: Sequence[Choice], unusable: dict[str, int]
) -> SourceForecast:
    grids = grids_of(windows, layer.size, layer.pixel_size)
    shown: dict[str, tuple[Grid | tuple[float, ...], list[Grid]]] = {}
    for grid, choice in zip(grids, choices, strict=True):
        for scene in {s.id: s for step in choice.steps for a in step for s in a.scenes}.values():
            shown.setdefault(scene.id, (scene.grid, []))[1].append(grid)
    assets = layer.request.assets
    per_asset = sum(_blocks(of_scene, members) for of_scene, members in shown.values())
    pixels = sum(np.dtype(layer.collection.assets[name].dtype).itemsize for name in assets)
    without = sum(sum(1 for step in choice.steps if step) < layer.fewest_steps for choice in choices)
    return SourceForecast(
        scenes=len(shown),
        assets=len(shown) * len(assets),
        windows_without=without,
        blocks=per_asset * len(assets),
        read_bytes=round(per_asset * BLOCK**2 * pixels * STORED_SHARE),
        unusable=unusable,
    )


def _blocks(scene: Grid | tuple[float, ...], windows: Sequence[Grid]) -> int:
    """Return how many blocks of a scene windows touch; one per window if its item states no grid."""
    if not isinstance(scene, Grid):
        return len(windows)
    touched: set[tuple[int, int]] = set()
    for window in windows:
        alignment = align(GridStack.of([window]), scene)
        rows = alignment.rows[np.isfinite(alignment.rows)]
        columns = alignment.columns[np.isfinite(alignment.columns)]
        if rows.size and columns.size:
            down = range(int(rows.min() // BLOCK), int(rows.max() // BLOCK) + 1)
            across = range(int(columns.min() // BLOCK), int(columns.max() // BLOCK) + 1)
            touched.update((row, column) for row in down for column in across)
    return len(touched)
