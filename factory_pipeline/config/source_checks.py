"""What of a recipe would fail, or be wrong, only once imagery is read."""

from collections.abc import Mapping

from factory_pipeline.config.label_sources import RasterLabels
from factory_pipeline.config.labels import Labels
from factory_pipeline.config.problems import suggest_names
from factory_pipeline.config.raster_collection import RasterCollection
from factory_pipeline.config.raster_sources import LABELS, Source, SourceGrid, Window, resampling_of
from factory_pipeline.errors import RecipeError


def check_sources(
    labels: Labels, window: Window, sources: Mapping[str, Source], collections: Mapping[str, RasterCollection]
) -> None:
    """Check every source of a recipe.

    Args:
        labels: of the recipe.
        window: of the recipe.
        sources: of the recipe, by name.
        collections: what is known of those that the sources name.

    Raises:
        RecipeError: a source is not allowed; the message names the key and what is allowed.
    """
    for name, source in sources.items():
        if not name.isidentifier() or not name.islower():
            raise RecipeError(
                f"At sources: the name {name!r} must be of small letters, digits and underscores."
            )
        where = f"sources.{name}"
        _check_time(labels, where, source, collections[source.collection])
        _check_bands(where, source, collections[source.collection], window)
    if isinstance(labels, RasterLabels) and labels.source is not None:
        if LABELS in sources:
            raise RecipeError(f"At sources: {LABELS} is the name of the source of the labels.")
        collection = collections[labels.source.collection]
        _check_time(labels, "labels.source", labels.source, collection)
        _check_bands("labels.source", labels.source, collection, window)
    grid = window.crs
    if isinstance(grid, SourceGrid) and grid.grid not in sources:
        raise RecipeError(
            f"At window.crs.grid: there is no source {grid.grid!r}{suggest_names(grid.grid, sources)}."
            f" There are {', '.join(sources)}."
        )


def _check_time(labels: Labels, where: str, source: Source, collection: RasterCollection) -> None:
    if source.time is None:
        if collection.time == "instant":
            raise RecipeError(
                f"At {where}.time: it is missing; items of {collection.id} have a time each. Give one of"
                " around, between, or periods with length and start."
            )
    elif source.time.needs_label_time and labels.time is None:
        raise RecipeError(
            f"At {where}.time: it depends on the time of each label, and labels.time is missing; give"
            " labels.time, or a time of its own such as between: [2021-01-01, 2021-12-31]."
        )
    if source.min_periods is not None and source.min_periods > (source.time.steps if source.time else 1):
        raise RecipeError(f"At {where}.min_periods: there are fewer periods.")
    clouds = source.max_cloud_cover is not None or source.select == "least_cloudy"
    if clouds and collection.cloud_cover is None:
        raise RecipeError(f"At {where}: items of {collection.id} have no cloud cover to choose by.")


def _check_bands(where: str, source: Source, collection: RasterCollection, window: Window) -> None:
    described = {name: collection.assets[name] for name in source.assets}
    if len(set(source.assets)) < len(source.assets):
        raise RecipeError(f"At {where}.assets: an asset is named twice.")
    unknown = source.resampling.keys() - described.keys() - {"default"}
    if unknown:
        raise RecipeError(
            f"At {where}.resampling: {min(unknown)!r} is neither an asset of the source nor default."
        )
    sizes = {asset.pixel_size for asset in described.values()}
    unnamed = [
        name
        for name, asset in described.items()
        if not asset.is_categorical and name not in source.resampling
    ]
    if len(sizes) > 1 and unnamed and "default" not in source.resampling:
        raise RecipeError(
            f"At {where}.resampling: the assets have pixels of different size"
            f" ({', '.join(f'{size:g} m' for size in sorted(sizes))}); say how they are resampled, such as"
            " {default: bilinear}."
        )
    categories = [name for name, asset in described.items() if asset.is_categorical]
    if source.composite in ("mean", "median") and categories:
        raise RecipeError(
            f"At {where}.composite: {categories[0]} holds categories, which have no {source.composite};"
            " allowed are first_valid and best_clear, or leave the asset out."
        )
    smooth = next((n for n in categories if resampling_of(source, n, described[n]) != "nearest"), None)
    if smooth is not None:
        raise RecipeError(f"At {where}.resampling: {smooth} holds categories; they are resampled by nearest.")
    if source.composite == "best_clear" and source.mask is None:
        raise RecipeError(
            f"At {where}.mask: it is missing; best_clear takes the pixels that a mask calls clear."
        )
    if source.composite == "none" and source.select == "all":
        raise RecipeError(f"At {where}.select: several acquisitions need a composite.")
    if source.mask is not None:
        named = collection.assets[source.mask.asset]
        known = named.classes if source.mask.keep is not None else named.bits
        strange = set(source.mask.keep or source.mask.clear_bits or ()) - (known or {}).keys()
        if known is None or strange:
            allowed = f"known are {', '.join(map(str, known))}" if known else "it has none"
            what = "class" if source.mask.keep is not None else "bit"
            raise RecipeError(f"At {where}.mask: {source.mask.asset} has no such {what}; {allowed}.")
    if source.derive and (len(source.assets) != 1 or categories or source.composite != "none"):
        raise RecipeError(
            f"At {where}.derive: a slope is derived of one asset with altitudes, without composite."
        )
    ratio = window.size * window.pixel_size / (source.pixel_size or window.pixel_size)
    if abs(ratio - round(ratio)) > 1e-6 or round(ratio) < 1:
        raise RecipeError(
            f"At {where}.pixel_size: the window of {window.size * window.pixel_size:g} m is not a whole"
            " number of such pixels."
        )
