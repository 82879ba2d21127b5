"""Asks for an upload manifest on the terminal, prefilled by the pre-scan."""

import unicodedata
from pathlib import Path
from typing import Any

import click
import polars as pl
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.known_collections import (
    describe_bands,
    fitting_collections,
    known_collection,
    known_collections,
)
from factory_pipeline.onboarding.manifest import DataSource, Purpose, UploadManifest
from factory_pipeline.onboarding.policy import IntakePolicy
from factory_pipeline.onboarding.prescan import PrescanReport, prescan
from factory_pipeline.onboarding.terratorch import hls_names
from factory_pipeline.storage import write_text
from factory_pipeline.terminal import confirm, echo, prompt

CHANNELS = {"RED": "R", "GREEN": "G", "BLUE": "B"}
COLORS = ("#c8b27d", "#2a7ab9", "#3c8d5a", "#c8741a", "#8e5ea2", "#d64550", "#5d6a69", "#e8c547")
"""Proposed for label categories, in turn."""


def ask_manifest(policy: IntakePolicy) -> dict[str, Any]:
    """Ask for everything that a manifest says; gives plain data that `UploadManifest` accepts.

    Raises:
        OnboardingError: MANIFEST_INVALID, an answer is not allowed.
    """
    purpose = prompt("Purpose", type=click.Choice([purpose.value for purpose in Purpose]))
    address = prompt("Address or path of the archive (zip, tar, tar.gz)")
    if "://" not in address:
        address = str(Path(address).expanduser().absolute())
    suffixes = prompt("Suffixes of the images, one per modality, parted by commas").split(",")
    suffixes = [suffix.strip() for suffix in suffixes if suffix.strip()]
    label_suffix = prompt("Suffix of the labels").strip()
    report = _prescan(address, tuple(suffixes), label_suffix, policy)
    name = prompt("Name of the dataset", default=unicodedata.normalize("NFC", Path(address).stem))
    document: dict[str, Any] = {
        "type_of_upload": "Dataset & Labels",
        "purpose": purpose,
        "dataset_url": address,
        "training_data_suffixes": suffixes,
        "label_suffix": label_suffix,
        "dataset_name": name,
        "description": prompt("Description", default="", show_default=False),
        "data_sources": [_ask_source(suffix, report, len(suffixes) == 1) for suffix in suffixes],
    }
    if purpose == Purpose.SEGMENTATION.value:
        document["label_categories"] = _ask_categories()
    if confirm("Is there a value of the labels that means no data?", default=False):
        document["label_nodata"] = prompt("  Value", type=float)
    UploadManifest.parse(document, where=name)
    return document


def write_manifest(document: dict[str, Any], path: Path) -> None:
    """Write a manifest as YAML; an archive beside it is named by its name, so that both may move."""
    archive = Path(document["dataset_url"])
    if archive.parent == path.absolute().parent:
        document = {**document, "dataset_url": archive.name}
    write_text(path, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def describe_scan(report: PrescanReport) -> list[str]:
    """The lines of a pre-scan as a user reads it: what was found, what is wrong, how much was read."""
    lines = []
    groups = report.files.sort("name").group_by("role", "suffix", maintain_order=True)
    for first in groups.agg(pl.len().alias("files"), pl.all().first()).collect().iter_rows(named=True):
        bands = ", ".join(name or "-" for name in first["band_names"] or [])
        lines.append(
            f"{first['files']:>7,} {first['role']}s end in {first['suffix']}:"
            f" {first['bands']} {'band' if first['bands'] == 1 else 'bands'} ({bands}), "
            f"{first['dtype']}, {first['width']} x {first['height']} pixels, "
            f"{(first['crs'] or 'no CRS')[:40]}"
        )
    lines += [f"  {'ok  ' if check.passed else 'FAIL'} {check.message}" for check in report.checks]
    lines += [f"  note {note}" for note in report.notes]
    # Ranges that are read overlap, so that of a small archive more is read than it has.
    lines.append(
        f"The archive has {report.archive_bytes / 1e6:,.1f} MB; {report.bytes_read / 1e6:,.1f} MB were read."
    )
    return lines


def _prescan(
    address: str, suffixes: tuple[str, ...], label_suffix: str, policy: IntakePolicy
) -> PrescanReport | None:
    """The pre-scan, shown; None where the archive can't be scanned from here."""
    try:
        report = prescan(address, suffixes, label_suffix, policy)
    except OnboardingError as error:
        echo(f"No pre-scan: {error} Go on and give the bands by hand.")
        return None
    echo(*describe_scan(report))
    return report


def _ask_source(suffix: str, report: PrescanReport | None, only: bool) -> dict[str, Any]:
    echo(f"Data source of the images that end in {suffix}")
    tag = suffix.partition(".")[0].strip("_- ") or "image"
    found = _band_names(suffix, report)
    source: dict[str, Any] = {
        "modality_tag": prompt("  Modality tag", default="image" if only else tag),
        "connector": prompt("  Connector", default="", show_default=False),
        "collection": _ask_collection(found),
        "file_suffix": suffix,
    }
    count = len(found) or prompt("  Number of bands", type=click.IntRange(min=1))
    names = found or _numbers(count)
    echo(f"  Bands: {', '.join(names)}")
    if not found or confirm("  Change the names of the bands?", default=False):
        names = [prompt(f"  Band {index}", default=name) for index, name in enumerate(names)]
    bands: list[dict[str, Any]] = [{"index": index, "band_name": name} for index, name in enumerate(names)]
    described = describe_bands(
        source["collection"], bands, are_named=names != _numbers(count), dtype=_data_type(suffix, report)
    )
    if described != bands:
        echo("  Filled in from what is known of the collection:")
        echo(*(f"    {_line_of(band)}" for band in described))
        bands = [_as_typed(band) for band in described]
    known = hls_names(DataSource.model_validate({**source, "bands": bands}))
    channels = {CHANNELS[name]: index for index, name in enumerate(known) if name in CHANNELS}
    if len(channels) < 3 and count >= 3 and confirm("  Say which bands are red, green, blue?"):
        channels = {
            channel: prompt(f"  Index of {word}", type=click.IntRange(0, count - 1))
            for word, channel in (("red", "R"), ("green", "G"), ("blue", "B"))
        }
    factors = {band.get("scaling_factor", 1.0) for band in bands}
    if len(factors) == 1:
        scaling = prompt("  Scaling factor of all bands", default=factors.pop())
        bands = [{**band, "scaling_factor": scaling} for band in bands]
    by_index = {index: channel for channel, index in channels.items()}
    for index, band in enumerate(bands):
        if index in by_index:
            band["RGB_band"] = by_index[index]
    return {**source, "bands": bands}


def _ask_collection(names: list[str]) -> str:
    """The id of a known collection, or what the user calls it."""
    fitting = fitting_collections(names)
    offered = ", ".join(fitting) or ", ".join(known.id for known in known_collections())
    echo(f"  {'Known collections with these bands' if fitting else 'Known collections'}: {offered}")
    proposed = fitting[0] if len(fitting) == 1 else ""
    typed = prompt("  Collection", default=proposed, show_default=bool(proposed))
    known = known_collection(typed)
    return known.id if known is not None else str(typed)


def _line_of(band: dict[str, Any]) -> str:
    channel = f" ({band['rgb_band']})" if band.get("rgb_band") else ""
    factor = band.get("scaling_factor", 1.0)
    return f"{band['band_name']}{channel}: {band.get('description', 'not known')}; scaling factor {factor:g}"


def _as_typed(band: dict[str, Any]) -> dict[str, Any]:
    """A band as a manifest spells it."""
    return {"RGB_band" if key == "rgb_band" else key: value for key, value in band.items()}


def _numbers(count: int) -> list[str]:
    """Names of bands that nobody named."""
    return [f"Band {index}" for index in range(count)]


def _data_type(suffix: str, report: PrescanReport | None) -> str | None:
    """The data type of the images, if it is one and known."""
    if report is None:
        return None
    found = _of_images(suffix, report, pl.col("dtype").drop_nulls().unique())
    return str(found[0]) if len(found) == 1 else None


def _band_names(suffix: str, report: PrescanReport | None) -> list[str]:
    if report is None:
        return []
    named = _of_images(suffix, report, pl.col("band_names").sort_by("name").drop_nulls().head(1))
    return [name or f"Band {index}" for index, name in enumerate(named[0])] if named else []


def _of_images(suffix: str, report: PrescanReport, asked: pl.Expr) -> list[Any]:
    """What the table of files says of the images with a suffix."""
    return report.images_of(suffix).select(asked).collect().to_series().to_list()


def _ask_categories() -> list[dict[str, Any]]:
    categories: list[dict[str, Any]] = []
    echo("Label categories; at least two")
    while len(categories) < 2 or confirm("Another label category?"):
        number = len(categories)
        categories.append(
            {
                "id": prompt("  Label ID (value in the mask)", type=click.IntRange(0, 65535), default=number),
                "name": prompt("  Label name"),
                "color": prompt("  Color", default=COLORS[number % len(COLORS)]),
                "opacity": prompt("  Opacity", type=click.FloatRange(0, 1), default=1.0),
            }
        )
    return categories
