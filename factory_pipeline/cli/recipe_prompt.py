"""Asks for what a recipe says and a file of labels does not; each question proposes an answer."""

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import click

from factory_pipeline.builds.labels.label_file import LabelFile, describe_label_file
from factory_pipeline.builds.suggest_recipe import RecipeChoices
from factory_pipeline.cli.answer_checks import check_allowed
from factory_pipeline.cli.terminal import echo, prompt
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.epsg import parse_epsg
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.config.raster_collection import find_collection, known_collections
from factory_pipeline.config.spans import Period
from factory_pipeline.errors import RecipeError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.slug import slug

NOTHING = "none"
"""The answer that leaves something out."""
_COORDINATES = {"x": "  Column with eastings or longitudes", "y": "  Column with northings or latitudes"}


def look_into(
    labels: Path | None, given: Mapping[str, Any], *, ask: bool
) -> tuple[Path, LabelFile, dict[str, Any]]:
    """Return the path of the labels, what is in them, and the options with what had to be asked for.

    Args:
        labels: the path, where it is given.
        given: the options of the command.
        ask: whether what can't be read may be asked for.

    Raises:
        RecipeError: the labels can't be read.
        click.Abort: the user cancelled.
    """
    known = dict(given)
    path = labels or Path(str(prompt("File of labels", value_proc=_existing_path)))
    while True:
        try:
            keys = {key: known[key] for key in ("layer", "x", "y", "crs")}
            table = TableLabels(path=str(path), **keys)
            return path, describe_label_file(table), known
        except RecipeError as error:
            missing = next((key for key in ("x", "y", "crs") if f"labels.{key}:" in str(error)), None)
            if missing is None or known[missing] is not None or not ask:
                raise
            echo(str(error))
            if missing == "crs":
                known["crs"] = prompt("  EPSG code of the coordinates", value_proc=_epsg_code)
            else:
                known |= {key: prompt(text) for key, text in _COORDINATES.items() if known[key] is None}


def describe(found: LabelFile) -> list[str]:
    """Return what was found in a file of labels, in lines."""
    lines = [
        count_noun(found.count, "raster")
        if found.kind == "rasters"
        else f"{count_noun(found.count, 'label')}, {found.kind}"
    ]
    if found.layers:
        others = ", ".join(name for name in found.layers if name != found.layer)
        lines.append(f"  Layer:   {found.layer}; there are also {others}, which --layer names")
    if found.columns:
        lines.append(f"  Columns: {', '.join(found.columns)}")
    if found.times:
        lines.append(f"  Dates:   {', '.join(found.times)}")
    for target, classes in found.classes.items():
        named = ", ".join(f"{code} {name}" for code, name in classes.items())
        lines.append(f"  Classes of {target}: {named}")
    if found.splits:
        lines.append(f"  Splits:  {found.splits[0]}")
    lines += [f"  {sentence}" for sentence in (*found.broken_times, *found.broken_ids)]
    return lines


def choices_of(
    path: Path, found: LabelFile, sources: tuple[str, ...], given: Mapping[str, Any]
) -> RecipeChoices:
    """Return the choices of the options; what they leave out is what the file of labels proposes.

    Args:
        path: of the file of labels.
        found: what that file contains.
        sources: collections, with assets as in `sentinel-1-rtc:vv,vh`.
        given: the options by their parameter's name; None where the user left one out.

    Raises:
        RecipeError: an option names a column that there is not; found when the recipe is checked.
        click.BadParameter: a day is not written as 2021-06-30.
    """
    target = given["target"] or next(iter(found.targets), None)
    between = _span(given["between"]) if given["between"] else None
    return RecipeChoices(
        name=given["name"] or slug(path.stem),
        sources=sources,
        id=given["id_column"] or next(iter(found.ids), None),
        time=_times(given["times"]) if given["times"] else None if between else found.time,
        between=between,
        target=target,
        classes=None if given["unit"] or target is None else found.classes.get(target),
        unit=given["unit"],
        size=given["size"],
        pixel_size=given["pixel_size"],
        x=given["x"],
        y=given["y"],
        crs=given["crs"],
    )


def ask_choices(
    path: Path, found: LabelFile, sources: tuple[str, ...], given: Mapping[str, Any]
) -> RecipeChoices:
    """Ask for all that the options leave open, with what the file of labels proposes.

    Args:
        path: of the file of labels.
        found: what that file contains.
        sources: as for `choices_of`; empty asks for them.
        given: as for `choices_of`.

    Raises:
        click.Abort: the user cancelled.
    """
    proposed = choices_of(path, found, sources, given)
    known = dict(given)
    known["name"] = given["name"] or prompt(
        "Name of the dataset", default=proposed.name, value_proc=check_allowed(DatasetRecipe, "name")
    )
    if found.kind != "rasters":
        known["id_column"] = given["id_column"] or _column("Column that names a label", proposed.id, found)
        if not (given["times"] or given["between"]):
            offered = ",".join((proposed.time or {}).values()) or NOTHING
            text = "Column of the time, or of start and end"
            known["times"] = _answer(text, offered, lambda answer: _columns(answer, found.columns))
        known["target"] = given["target"] or _column("Column of what a model learns", proposed.target, found)
    target = known["target"] or (proposed.target if found.kind == "rasters" else None)
    if target is not None and target not in found.classes and not given["unit"]:
        known["unit"] = prompt(f"  Unit of {target}", default="", show_default=False)
    if not sources:
        echo(f"Known collections: {', '.join(known_collections())}")
        text = "Sources, separated by blanks; assets as sentinel-1-rtc:vv,vh"
        sources = prompt(text, default="sentinel-2-l2a", value_proc=_source_names)
    if not (known["times"] or given["between"]) and any(map(_needs_time, sources)):
        text = "First and last day of the imagery, such as 2021-01-01 2021-12-31"
        known["between"] = prompt(text, value_proc=lambda answer: _span(answer.split()))
    known["size"] = prompt("Pixels a side of a window", default=given["size"], type=click.IntRange(min=1))
    choices = choices_of(path, found, sources, known)
    # What was left out on purpose is not proposed again.
    return RecipeChoices(
        **{
            **vars(choices),
            "id": known["id_column"],
            "time": choices.time if known["times"] else None,
            "target": target,
            "classes": None if target is None else choices.classes,
        }
    )


def _column(text: str, proposed: str | None, found: LabelFile) -> str | None:
    return _answer(text, proposed or NOTHING, lambda answer: _columns(answer, found.columns))


def _answer(text: str, offered: str, check: Any) -> str | None:
    answer = prompt(f"{text} ({NOTHING} for none)", default=offered, value_proc=check)
    return None if answer == NOTHING else str(answer)


def _columns(answer: str, columns: Container[str]) -> str:
    """Return names of columns as they were typed, or the word for nothing."""
    for name in answer.split(","):
        if answer != NOTHING and name.strip() not in columns:
            raise click.BadParameter(f"there is no column {name.strip()!r}")
    return answer


def _times(text: str) -> dict[str, str]:
    first, comma, last = (part.strip() for part in text.partition(","))
    return {"start": first, "end": last} if comma else {"column": first}


def _span(days: Any) -> tuple[str, str]:
    """Return two days that are the first and the last of a span."""
    try:
        first, last = days
        Period(start=first, end=last)
    except ValueError:
        raise click.BadParameter(
            "the first and the last day are written as 2021-01-01 2021-12-31, the earlier one first"
        ) from None
    return str(first), str(last)


def _source_names(answer: str) -> tuple[str, ...]:
    names = tuple(answer.split()) if isinstance(answer, str) else tuple(answer)
    for name in names:
        _needs_time(name)
    if not names:
        raise click.BadParameter("name at least one collection")
    return names


def _needs_time(source: str) -> bool:
    """Whether items of a collection have a time each.

    Raises:
        click.BadParameter: the collection is not known.
    """
    key, _, assets = source.partition(":")
    try:
        collection = find_collection(key, "sources", Path())
        for asset in filter(None, assets.split(",")):
            collection.asset(asset, "sources")
    except RecipeError as error:
        raise click.BadParameter(str(error)) from None
    return collection.time == "instant"


def _epsg_code(answer: str) -> int:
    try:
        return int(parse_epsg(answer))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _existing_path(answer: str) -> str:
    if not Path(answer.strip()).expanduser().exists():
        raise click.BadParameter(f"{answer!r} does not exist")
    return str(Path(answer.strip()).expanduser())
