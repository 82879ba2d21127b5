"""Asks for one data source of an upload manifest: its name, collection, bands, colours and scaling factor."""

from collections.abc import Container, Sequence
from typing import Any

import click
import polars as pl

from factory_pipeline.cli.answer_checks import check_allowed, check_not_taken
from factory_pipeline.cli.terminal import confirm, echo, prompt
from factory_pipeline.onboarding.checks.prescan import PrescanReport
from factory_pipeline.onboarding.manifest.known_collections import (
    describe_bands,
    fitting_collections,
    known_collection,
    known_collections,
)
from factory_pipeline.onboarding.manifest.sections import Band, DataSource
from factory_pipeline.onboarding.products.terratorch_bands import hls_names

CHANNELS = {"RED": "R", "GREEN": "G", "BLUE": "B"}


def ask_source(
    suffix: str, report: PrescanReport | None, *, is_only: bool, taken_tags: Container[str]
) -> DataSource:
    """Ask for the data source of the images with a suffix.

    Args:
        suffix: that the images end in.
        report: of the pre-scan, which prefills the bands; None if the archive could not be scanned.
        is_only: whether the dataset has no other data source.
        taken_tags: modality tags of the other data sources.

    Returns:
        The data source. Only fields that were requested, or that are known of the collection, are set.

    Raises:
        click.Abort: the user cancelled.
    """
    echo(f"Data source of the images that end in {suffix}")
    found = _band_names(suffix, report)
    source = DataSource(
        modality_tag=_ask_tag(suffix, is_only, taken_tags),
        connector=prompt("  Connector", default="", show_default=False),
        collection=_ask_collection(found),
        file_suffix=suffix,
    )
    bands = _fill_in(_ask_bands(found), source.collection, _data_type(suffix, report))
    source = source.model_copy(update={"bands": tuple(bands)})
    source = source.model_copy(update={"bands": tuple(_ask_channels(source))})
    return source.model_copy(update={"bands": tuple(_ask_scaling(source.bands))})


def _ask_tag(suffix: str, is_only: bool, taken: Container[str]) -> str:
    proposed = "image" if is_only else suffix.partition(".")[0].strip("_- ") or "image"
    check = check_not_taken(check_allowed(DataSource, "modality_tag"), taken)
    return str(prompt("  Modality tag", default=proposed, value_proc=check))


def _ask_collection(names: Sequence[str]) -> str:
    """Return the id of a known collection, or the text that the user typed."""
    fitting = fitting_collections(names)
    offered = ", ".join(fitting) or ", ".join(known.id for known in known_collections())
    echo(f"  {'Known collections with these bands' if fitting else 'Known collections'}: {offered}")
    proposed = fitting[0] if len(fitting) == 1 else ""
    typed = prompt("  Collection", default=proposed, show_default=bool(proposed))
    known = known_collection(typed)
    return known.id if known is not None else str(typed)


def _ask_bands(found: Sequence[str]) -> list[Band]:
    """Ask for the names of the bands; those that the files have are proposed."""
    names = list(found) or _number_bands(prompt("  Number of bands", type=click.IntRange(min=1)))
    echo(f"  Bands: {', '.join(names)}")
    if not found or confirm("  Change the names of the bands?", default=False):
        names = _ask_names(names)
    return [Band(index=index, band_name=name) for index, name in enumerate(names)]


def _ask_names(proposed: Sequence[str]) -> list[str]:
    check, names = check_allowed(Band, "band_name"), list[str]()
    for index, name in enumerate(proposed):
        names.append(prompt(f"  Band {index}", default=name, value_proc=check_not_taken(check, names)))
    return names


def _fill_in(bands: list[Band], collection: str, dtype: str | None) -> list[Band]:
    """Return the bands with what is known of them in the collection, which is shown."""
    documents = [band.model_dump(exclude_unset=True) for band in bands]
    are_named = [band.band_name for band in bands] != _number_bands(len(bands))
    filled = describe_bands(collection, documents, are_named=are_named, dtype=dtype)
    if filled == documents:
        return bands
    echo("  Filled in from what is known of the collection:")
    described = [Band.model_validate(document) for document in filled]
    echo(*(f"    {_line_of(band)}" for band in described))
    return described


def _ask_channels(source: DataSource) -> list[Band]:
    """Return the bands with the channels that their names mean, else those that the user says."""
    channels = {CHANNELS[name]: index for index, name in enumerate(hls_names(source)) if name in CHANNELS}
    bands = list(source.bands)
    if len(channels) < 3 <= len(bands) and confirm("  Say which bands are red, green, blue?"):
        channels = {
            channel: prompt(f"  Index of {word}", type=click.IntRange(0, len(bands) - 1))
            for word, channel in (("red", "R"), ("green", "G"), ("blue", "B"))
        }
        # What the user says replaces the channels that were filled in: two bands can't have one.
        bands = [band.model_copy(update={"rgb_band": None}) for band in bands]
    for channel, index in channels.items():
        bands[index] = bands[index].model_copy(update={"rgb_band": channel})
    return bands


def _ask_scaling(bands: Sequence[Band]) -> list[Band]:
    """Return the bands with one scaling factor; not asked where the collection has several."""
    factors = {band.scaling_factor for band in bands}
    if len(factors) > 1:
        return list(bands)
    check = check_allowed(Band, "scaling_factor")
    factor = prompt("  Scaling factor of all bands", default=factors.pop(), value_proc=check)
    return [band.model_copy(update={"scaling_factor": factor}) for band in bands]


def _line_of(band: Band) -> str:
    channel = f" ({band.rgb_band})" if band.rgb_band else ""
    description = band.description if "description" in band.model_fields_set else "not known"
    return f"{band.band_name}{channel}: {description}; scaling factor {band.scaling_factor:g}"


def _number_bands(count: int) -> list[str]:
    """Return names for bands that no process named."""
    return [f"Band {index}" for index in range(count)]


def _data_type(suffix: str, report: PrescanReport | None) -> str | None:
    """Return the data type of the images; None if it is not known, or there are several."""
    if report is None:
        return None
    found = _values_of_images(suffix, report, pl.col("dtype").drop_nulls().unique())
    return str(found[0]) if len(found) == 1 else None


def _band_names(suffix: str, report: PrescanReport | None) -> list[str]:
    """Return the names of the bands of the first image that has any; empty where there is none."""
    if report is None:
        return []
    named = _values_of_images(suffix, report, pl.col("band_names").sort_by("name").drop_nulls().head(1))
    return [name or f"Band {index}" for index, name in enumerate(named[0])] if named else []


def _values_of_images(suffix: str, report: PrescanReport, column: pl.Expr) -> list[Any]:
    return report.images_of(suffix).select(column).collect().to_series().to_list()
