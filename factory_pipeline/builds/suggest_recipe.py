"""A recipe from a file of labels and the names of collections: what can be known of it is filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_pipeline.builds.dataset_plan import read_labels, windows_of
from factory_pipeline.builds.labels.label_file import LabelFile
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.raster_collection import RasterCollection, find_collection
from factory_pipeline.errors import RecipeError

AROUND = "15d"
"""How far from a label's time scenes are looked for, where the label has one."""
_SPLITS: Sequence[Mapping[str, Any]] = (
    {"by": "random", "train": 70, "test": 20, "validation": 10},
    {"by": "random", "train": 70, "test": 30},
    {"by": "random", "train": 100},
)
"""Tried in this order: a few labels that overlap can't fill three splits."""


@dataclass(frozen=True)
class RecipeChoices:
    """What a person decides; None leaves out what is not needed."""

    name: str
    sources: tuple[str, ...]
    """Ids of collections, or paths of their files; `sentinel-1-rtc:vv,vh` also names the assets."""
    id: str | None = None
    time: Mapping[str, str] | None = None
    """`{column: ...}`, or `{start: ..., end: ...}`."""
    between: tuple[str, str] | None = None
    """First and last day of the imagery, where labels have no time."""
    target: str | None = None
    classes: Mapping[int, str] | None = None
    unit: str = ""
    size: int = 64
    pixel_size: float | None = None
    """Metres; None takes that of the first source."""
    x: str | None = None
    y: str | None = None
    crs: int | None = None


def suggest_recipe(path: Path, found: LabelFile, choices: RecipeChoices, folder: Path) -> dict[str, Any]:
    """Return a recipe as a person would write it; its labels are read, so that it is known to be valid.

    Args:
        path: of the labels.
        found: what was found in them.
        choices: of a person.
        folder: in which the recipe will be; paths in it start there.

    Raises:
        RecipeError: the choices make no valid recipe, or the labels can't be used so.
    """
    if not choices.sources:
        raise RecipeError("At sources: name at least one collection.")
    chosen = [_split_name(source, folder) for source in choices.sources]
    pixel = float(choices.pixel_size or _finest(chosen))
    document: dict[str, Any] = {
        "name": choices.name,
        "labels": _labels(path, found, choices, folder),
        "window": {"size": choices.size, "pixel_size": int(pixel) if pixel.is_integer() else pixel},
        "sources": {},
    }
    for collection, key, assets in chosen:
        name = _name_source(collection.id, document["sources"])
        document["sources"][name] = _source(
            collection, key, assets, document["labels"], found, choices.between
        )
    if found.splits and found.kind != "rasters":
        options: Sequence[Mapping[str, Any]] = [{"by": "given", "column": found.splits[0]}]
    else:
        options = _SPLITS
    for position, splits in enumerate(options):
        recipe = DatasetRecipe.parse({**document, "splits": dict(splits)}, choices.name, folder)
        try:
            ledger = RejectLedger()
            windows_of(read_labels(recipe, ledger), recipe, ledger)
        except RecipeError as error:
            if "At splits" in str(error) and position < len(options) - 1:
                continue
            raise
        return {**document, "splits": dict(splits)}
    raise AssertionError("the last option returns or raises")


def _labels(path: Path, found: LabelFile, choices: RecipeChoices, folder: Path) -> dict[str, Any]:
    absolute, base = path.absolute(), folder.absolute()
    inside = absolute.relative_to(base) if absolute.is_relative_to(base) else absolute
    labels: dict[str, Any] = {"kind": found.kind, "path": str(inside)}
    if found.kind == "rasters":
        if choices.classes:
            labels["classes"] = dict(choices.classes)
        elif choices.unit:
            labels["unit"] = choices.unit
        if choices.between:
            labels["between"] = list(choices.between)
        return labels
    given = {"layer": found.layer, "x": choices.x, "y": choices.y, "crs": choices.crs, "id": choices.id}
    labels |= {key: value for key, value in given.items() if value is not None}
    if choices.time:
        labels["time"] = dict(choices.time)
    elif choices.between:
        labels["time"] = {"between": list(choices.between)}
    if choices.target is not None:
        labels["target"] = {"column": choices.target}
        if choices.classes:
            labels["target"]["classes"] = dict(choices.classes)
        elif choices.unit:
            labels["target"]["unit"] = choices.unit
    if found.splits:
        labels["extra"] = [found.splits[0]]
    return labels


def _source(
    collection: RasterCollection,
    key: str,
    assets: tuple[str, ...],
    labels: Mapping[str, Any],
    found: LabelFile,
    between: tuple[str, str] | None,
) -> dict[str, Any]:
    described = {name: collection.asset(name, "sources") for name in assets}
    source: dict[str, Any] = {"collection": key, "assets": list(assets)}
    if collection.time == "instant":
        if between is not None:
            source["time"] = {"between": list(between)}
        elif "time" in labels:
            source["time"] = {"around": AROUND}
        else:
            raise RecipeError(
                " ".join(
                    [
                        f"At sources: items of {collection.id} have a time each and the labels have none;"
                        " give the first and the last day of the imagery.",
                        *found.broken_times,
                    ]
                )
            )
        if collection.cloud_cover is not None:
            source["select"] = "least_cloudy"
    if collection.clear is not None:
        source["mask"] = collection.clear.model_dump(exclude_none=True, mode="json")
    if len({asset.pixel_size for asset in described.values()}) > 1:
        source["resampling"] = {"default": "bilinear"}
    return source


def _split_name(source: str, folder: Path) -> tuple[RasterCollection, str, tuple[str, ...]]:
    """Return the collection, what names it in the recipe, and the assets."""
    key, colon, assets = source.partition(":")
    collection = find_collection(key.strip(), "sources", folder)
    if not colon:
        return collection, key.strip(), collection.proposed
    named = tuple(name.strip() for name in assets.split(",") if name.strip())
    for name in named:
        collection.asset(name, "sources")
    return collection, key.strip(), named or collection.proposed


def _finest(chosen: Sequence[tuple[RasterCollection, str, tuple[str, ...]]]) -> float:
    """Return the smallest pixel of the first source."""
    collection, _, assets = chosen[0]
    return min(collection.assets[name].pixel_size for name in assets)


def _name_source(collection: str, taken: Mapping[str, Any]) -> str:
    """Return a name of small letters, digits and underscores, such as `sentinel_2` of `sentinel-2-l2a`."""
    parts = "".join(letter if letter.isalnum() else "_" for letter in collection.lower()).split("_")
    short = "_".join(parts[:2]) if parts[1:2] and parts[1].isdigit() else parts[0]
    name = short if short[:1].isalpha() else f"source_{short}"
    return name if name not in taken else f"{name}_{len(taken) + 1}"
