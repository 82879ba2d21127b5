"""What a sample shows of one source: bands, pixels, steps, and what its stored values mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_collection import AssetDescription, RasterCollection
from factory_pipeline.config.raster_sources import Source

SLOPE = "slope"
COLOURS = ("red", "green", "blue")
NUMBERED_COLOURS = ("B04", "B03", "B02")
"""The same of Sentinel-2 and of HLS."""


@dataclass(frozen=True)
class SourceLayout:
    """One source of a recipe, with what is known of its collection."""

    name: str
    source: Source
    collection: RasterCollection
    size: int
    """Pixels a side of its part of a sample."""
    pixel_size: float
    """In the units of the window's CRS."""

    @cached_property
    def assets(self) -> Mapping[str, AssetDescription]:
        """The assets that become bands, in their order."""
        return {name: self.collection.assets[name] for name in self.source.assets}

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, derived ones last."""
        return (*self.source.assets, *self.source.derive)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each band; `class` or `flags` if it holds categories."""
        named = [
            "class" if asset.classes is not None else "flags" if asset.bits is not None else asset.unit
            for asset in self.assets.values()
        ]
        return (*named, *("%" for _ in self.source.derive))

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values of a sample."""
        if self.source.values == "physical" or self.source.derive:
            return np.dtype(np.float32)
        return np.result_type(*(np.dtype(asset.dtype) for asset in self.assets.values()))

    @cached_property
    def nodata(self) -> tuple[float, ...]:
        """The value of each band where it has no data; 0 if the collection has no such value."""
        if self.dtype.kind == "f":
            return tuple(float("nan") for _ in self.bands)
        return tuple(asset.nodata or 0.0 for asset in self.assets.values())

    @property
    def scales(self) -> tuple[float, ...]:
        """A stored value of each band times its scale, plus its offset, is in its unit."""
        return (*(asset.scale for asset in self._stored), *(1.0 for _ in self.bands[len(self._stored) :]))

    @property
    def offsets(self) -> tuple[float, ...]:
        """See `scales`."""
        return (*(asset.offset for asset in self._stored), *(0.0 for _ in self.bands[len(self._stored) :]))

    @property
    def _stored(self) -> tuple[AssetDescription, ...]:
        """The assets whose values are kept as they are stored."""
        return () if self.source.values == "physical" else tuple(self.assets.values())

    @property
    def true_colour(self) -> tuple[int, int, int] | None:
        """Positions of red, green and blue among the bands; None if it lacks one."""
        known = [
            next((n for n, (name, asset) in enumerate(self.assets.items()) if _is(colour, name, asset)), None)
            for colour in COLOURS
        ]
        if None in known and set(NUMBERED_COLOURS) <= self.assets.keys():
            known = [list(self.assets).index(name) for name in NUMBERED_COLOURS]
        red, green, blue = known
        return None if red is None or green is None or blue is None else (red, green, blue)

    @property
    def count_of_steps(self) -> int:
        """Steps of a sample."""
        return self.source.time.steps if self.source.time else 1

    @property
    def fewest_steps(self) -> int:
        """Steps that must have data, or the sample is dropped; 0 for none."""
        if self.source.min_periods is not None:
            return self.source.min_periods
        return self.count_of_steps if self.source.required else 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample: (steps, bands, rows, columns), or (bands, rows, columns) of one step."""
        steps = (self.count_of_steps,) if self.count_of_steps > 1 else ()
        return (*steps, len(self.bands), self.size, self.size)


def _is(colour: str, name: str, asset: AssetDescription) -> bool:
    return colour in (name, *asset.also)


def source_layouts(recipe: DatasetRecipe) -> list[SourceLayout]:
    """Return the layouts of the sources of a recipe, in its order."""
    extent = recipe.window.size * recipe.window.pixel_size
    layouts = []
    for name, source in recipe.sources.items():
        pixel_size = source.pixel_size or recipe.window.pixel_size
        size = round(extent / pixel_size)
        layouts.append(SourceLayout(name, source, recipe.collection_of(name), size, pixel_size))
    return layouts


def sample_bytes(recipe: DatasetRecipe) -> int:
    """Return the bytes of the pixels and masks of a sample in memory, of all sources of a recipe."""
    return sum(
        layout.count_of_steps * layout.size**2 * (len(layout.bands) * layout.dtype.itemsize + 1)
        for layout in source_layouts(recipe)
    )
