"""A dataset of any labels and any rasters of STAC catalogs, as a YAML file says.

The GEDI dataset is one preset among these: `labels: {kind: gedi}` and the keys of `config.recipe.Recipe`.
With `products` the labels are GEDI's shots, as any other labels are.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.config.label_sources import RasterLabels
from factory_pipeline.config.labels import Labels
from factory_pipeline.config.problems import problems_of
from factory_pipeline.config.raster_collection import RasterCollection, find_collection
from factory_pipeline.config.raster_sources import Source, Window
from factory_pipeline.config.recipe import Recipe, Section
from factory_pipeline.config.source_checks import check_sources
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.yaml_document import read_yaml


class SampleCheck(Section):
    """What makes a sample worth keeping."""

    name: str
    keep: str
    """A SQL condition over facts of the sources, such as `sentinel2.valid_share >= 0.7`."""


class DatasetRecipe(Section):
    """A dataset's definition. The same recipe, labels and catalog give the same bytes."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9._-]*")
    labels: Labels
    window: Window
    sources: dict[str, Source] = Field(min_length=1)
    checks: tuple[SampleCheck, ...] = ()
    splits: Splits = Splits.model_validate({})
    batch_size: int = Field(200, ge=1)
    """Samples that are extracted together."""
    collections: dict[str, RasterCollection] = Field({})
    """What is known of the collections of the sources, by the names that these give. Those that come with
    the software, and those of files, are filled in."""

    @classmethod
    def load(cls, path: Path) -> "DatasetRecipe":
        """Read a recipe from YAML; relative paths in it start from its folder.

        Raises:
            RecipeError: the file is missing, is no YAML mapping, or holds values that are not allowed; all
                of these are named.
        """
        return cls.parse(_read_document(path), str(path), path.parent)

    @classmethod
    def parse(cls, document: Any, where: str, folder: Path | None = None) -> "DatasetRecipe":
        """Check a recipe given as plain data.

        Args:
            document: the recipe.
            where: is named in errors.
            folder: where relative paths start; they are made absolute.

        Raises:
            RecipeError: it holds values that are not allowed; all are named.
        """
        try:
            recipe = cls.model_validate(document, context={"folder": folder})
            described = _describe_sources(recipe, folder)
            recipe = recipe.model_copy(update={"collections": described})
            check_sources(recipe.labels, recipe.window, recipe.sources, described)
            recipe = recipe.model_copy(update={"labels": _name_classes(recipe)})
            _check_splits(recipe)
        except ValidationError as error:
            raise RecipeError(
                f"The recipe {where} is not valid {problems_of(error, cls, document)}."
            ) from error
        except RecipeError as error:
            raise RecipeError(f"The recipe {where} is not valid. {error}") from error
        if folder is not None:
            recipe = recipe.model_copy(update={"labels": _with_absolute_paths(recipe.labels, folder)})
        return recipe

    def collection_of(self, source: str) -> RasterCollection:
        """Return what is known of the collection of a source."""
        return self.collections[self.sources[source].collection]

    def canonical_json(self) -> str:
        """The whole recipe with sorted keys: what is stored in a dataset file and hashed.

        The folder of the labels is left out: it belongs to a machine, not to the dataset.
        """
        document = self.model_dump(mode="json")
        if self.splits.blocks is None:
            # Datasets of recipes without them stay what they were before there was such a key.
            del document["splits"]["blocks"]
        if self.labels.path is not None:
            document["labels"]["path"] = Path(self.labels.path).name
        if isinstance(self.labels, RasterLabels) and self.labels.points is not None:
            document["labels"]["points"]["path"] = Path(self.labels.points.path).name
        return _dump(document)

    def digest(self) -> str:
        """SHA-256 of the whole recipe, in hex."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    def extraction_digest(self) -> str:
        """SHA-256 of what decides the content of a batch beside its labels, in hex."""
        document = self.model_dump(mode="json", include={"window", "sources", "checks", "collections"})
        for collection in document["collections"].values():
            for credit in _CREDITS:
                del collection[credit]
        document["labels"] = self.labels.model_dump(mode="json", exclude=_NOT_CONTENT)
        return hashlib.sha256(_dump(document).encode()).hexdigest()


_NOT_CONTENT = {"path", "points", "layer", "x", "y", "crs", "id", "keep", "area", "filters", "incomplete"}
"""Of labels: what decides which there are, not what a sample of one holds."""
_CREDITS = ("license", "license_url", "producers")
"""Of collections: whom to thank for a sample, not what it holds."""
AnyRecipe = Recipe | DatasetRecipe


def load_recipe(path: Path) -> AnyRecipe:
    """Read the recipe of a dataset of any kind.

    Without `labels`, or with `kind: gedi` and no `products`, it is the recipe of the GEDI dataset.

    Raises:
        RecipeError: as `Recipe.load` and `DatasetRecipe.load`.
    """
    document = _read_document(path)
    labels = document.get("labels") if isinstance(document, Mapping) else None
    if isinstance(labels, Mapping) and labels.get("kind") == "gedi" and "products" not in labels:
        footprints = {key: value for key, value in labels.items() if key != "kind"}
        others = {key: value for key, value in document.items() if key != "labels"}
        return Recipe.parse({**others, "footprints": footprints}, where=str(path))
    if labels is None:
        return Recipe.parse(document if document is not None else {}, where=str(path))
    return DatasetRecipe.parse(document, str(path), path.parent)


def _read_document(path: Path) -> Any:
    try:
        return read_yaml(path, f"The recipe {path}")
    except DocumentError as error:
        raise RecipeError(str(error)) from error


def _dump(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _make_absolute(path: str, folder: Path) -> str:
    return path if "://" in path else str((folder / Path(path).expanduser()).absolute())


def _with_absolute_paths(labels: Labels, folder: Path) -> Labels:
    update: dict[str, Any] = {}
    if labels.path is not None:
        update["path"] = _make_absolute(labels.path, folder)
    if isinstance(labels, RasterLabels) and labels.points is not None:
        path = _make_absolute(labels.points.path, folder)
        update["points"] = labels.points.model_copy(update={"path": path})
    return labels.model_copy(update=update)


def _check_splits(recipe: DatasetRecipe) -> None:
    """Refuse splits by something that the labels do not have.

    Raises:
        RecipeError: the labels have no time, or no columns.
    """
    if recipe.splits.by == "time" and recipe.labels.time is None:
        raise RecipeError("At splits.by: the labels have no time; give labels.time.")
    for key in ("column", "stratify"):
        name = getattr(recipe.splits, key)
        if name is not None and name not in recipe.labels.carried:
            raise RecipeError(
                f"At splits.{key}: name the column {name!r} in labels.extra too; windows that cover an area"
                " have no columns."
            )


def _name_classes(recipe: DatasetRecipe) -> Labels:
    """The labels, with the classes that their collection names where the recipe names none."""
    labels = recipe.labels
    if not isinstance(labels, RasterLabels) or labels.source is None or labels.classes is not None:
        return labels
    asset = recipe.collections[labels.source.collection].assets[labels.source.assets[0]]
    return labels.model_copy(update={"classes": asset.classes, "unit": labels.unit or asset.unit})


def _describe_sources(recipe: DatasetRecipe, folder: Path | None) -> dict[str, RasterCollection]:
    """What is known of the collections of all sources, with only the assets that are used."""
    used: dict[str, set[str]] = {}
    known: dict[str, RasterCollection] = {}
    named = {f"sources.{name}": source for name, source in recipe.sources.items()}
    if isinstance(recipe.labels, RasterLabels) and recipe.labels.source is not None:
        named["labels.source"] = recipe.labels.source
    for where, source in named.items():
        key = source.collection
        if key not in known:
            given = recipe.collections.get(key)
            known[key] = given or find_collection(key, f"{where}.collection", folder)
        for asset in source.assets:
            known[key].asset(asset, f"{where}.assets")
        used.setdefault(key, set()).update(source.assets)
        if source.mask is not None:
            known[key].asset(source.mask.asset, f"{where}.mask.asset")
            used[key].add(source.mask.asset)
    if unused := recipe.collections.keys() - known.keys():
        raise RecipeError(f"At collections: no source is of {min(unused)}.")
    return {
        key: collection.model_copy(
            update={
                "assets": {name: asset for name, asset in collection.assets.items() if name in used[key]},
                "clear": None,
                "usual": (),
            }
        )
        for key, collection in known.items()
    }
