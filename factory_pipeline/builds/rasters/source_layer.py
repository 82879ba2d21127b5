"""One source of a recipe: what is searched for it, which scenes come first, and when."""

from datetime import datetime, timedelta
from functools import cached_property

from factory_pipeline.cog.reader import Resampling
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import RasterLabels
from factory_pipeline.config.raster_sources import LABELS, resampling_of
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.stac.providers import SourceRequest
from factory_pipeline.stac.scene_search import Step
from factory_pipeline.stac.select_scenes import Preference


class SourceLayer(SourceLayout):
    """One source of a recipe, with what is known of its collection."""

    @cached_property
    def request(self) -> SourceRequest:
        """What a provider is asked for."""
        names = [*self.source.assets, *([self.source.mask.asset] if self.source.mask else [])]
        return SourceRequest(self.collection, tuple(dict.fromkeys(names)))

    @property
    def preference(self) -> Preference:
        """Which acquisitions come first."""
        several = self.source.composite != "none"
        select = self.source.select or ("all" if several else "nearest")
        return Preference(
            select,
            several,
            self.source.where,
            any_time=self.collection.time == "none",
            max_cloud_cover=self.source.max_cloud_cover,
        )

    @property
    def needs_clouds(self) -> bool:
        """Whether an item without cloud cover can't be used."""
        return self.source.select == "least_cloudy" or self.source.max_cloud_cover is not None

    def resampling(self, asset: str) -> Resampling:
        """Return how an asset is resampled."""
        return Resampling(resampling_of(self.source, asset, self.assets[asset]))

    def steps(self, start: datetime | None, end: datetime | None) -> tuple[Step, ...]:
        """Return the steps of a label that holds from start to end (UTC; None for any time).

        Args:
            start: UTC; None for a label of any time.
            end: likewise.
        """
        rule = self.source.time
        centre = start + (end - start) / 2 if start is not None and end is not None else None
        if rule is None:
            return (Step(centre=centre),)
        if rule.between is not None:
            middle = rule.between.start + (rule.between.end - rule.between.start) / 2
            return (Step(rule.between.start, rule.between.end, centre or middle),)
        if rule.around is not None:
            assert start is not None
            assert end is not None
            return (Step(start - rule.around, end + rule.around, centre),)
        assert rule.start is not None
        assert rule.length is not None
        assert rule.periods is not None
        if isinstance(rule.start, timedelta):
            assert start is not None
            first = start + rule.start
        else:
            first = rule.start
        starts = [first + number * rule.length for number in range(rule.periods)]
        # A period ends where the next one starts.
        moment = timedelta(microseconds=1)
        return tuple(Step(s, s + rule.length - moment, s + rule.length / 2) for s in starts)


def label_layer_of(recipe: DatasetRecipe) -> SourceLayer | None:
    """Return the source of the labels of a recipe; None where they are no rasters of a collection.

    Classes are read by nearest, numbers in their unit.
    """
    labels = recipe.labels
    if not isinstance(labels, RasterLabels) or labels.source is None:
        return None
    how = {"values": "physical"} if labels.classes is None else {"resampling": {"default": "nearest"}}
    source = labels.source.model_copy(update=how)
    window, collection = recipe.window, recipe.collections[source.collection]
    return SourceLayer(LABELS, source, collection, window.size, window.pixel_size)


def searched_layers_of(recipe: DatasetRecipe) -> list[SourceLayer]:
    """Return all that a catalog is searched for: the sources of a recipe, after that of its labels."""
    of_labels = label_layer_of(recipe)
    return [*([of_labels] if of_labels is not None else []), *layers_of(recipe)]


def layers_of(recipe: DatasetRecipe) -> list[SourceLayer]:
    """Return the sources of a recipe, in its order."""
    return [
        SourceLayer(layout.name, layout.source, layout.collection, layout.size, layout.pixel_size)
        for layout in source_layouts(recipe)
    ]
