"""Asks for an upload manifest on the terminal, prefilled by the pre-scan."""

import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import click
import polars as pl
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from factory_pipeline.archives.url_policy import has_user
from factory_pipeline.cli.terminal import confirm, echo, prompt
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prescan
from factory_pipeline.onboarding.endings import file_endings, suggested_suffixes
from factory_pipeline.onboarding.manifest.known_collections import (
    describe_bands,
    fitting_collections,
    known_collection,
    known_collections,
)
from factory_pipeline.onboarding.manifest.location import beside
from factory_pipeline.onboarding.manifest.model import (
    Band,
    DataSource,
    LabelCategory,
    Purpose,
    UploadManifest,
)
from factory_pipeline.onboarding.products.terratorch import hls_names
from factory_pipeline.storage.atomic import write_text

MOST_ENDINGS = 8
CHANNELS = {"RED": "R", "GREEN": "G", "BLUE": "B"}
COLORS = ("#c8b27d", "#2a7ab9", "#3c8d5a", "#c8741a", "#8e5ea2", "#d64550", "#5d6a69", "#e8c547")
"""Proposed for label categories, in turn."""


def ask_manifest(policy: IntakePolicy, document: dict[str, Any]) -> None:
    """Ask for everything that a manifest says and that `document` does not say yet.

    Each answer is checked when it is given and goes into `document` at once, so that what was answered is
    there whatever happens next. In the end it is plain data that `UploadManifest` accepts.

    Raises:
        OnboardingError: MANIFEST_INVALID, the answers do not fit each other.
        click.Abort: the user broke off.
    """
    document.setdefault("type_of_upload", "Dataset & Labels")

    def ask(key: str, text: str, **options: Any) -> Any:
        if key not in document:
            document[key] = prompt(text, **options)
        return document[key]

    purpose = ask("purpose", "Purpose", type=click.Choice([purpose.value for purpose in Purpose]))
    address = ask(
        "dataset_url",
        "Address or path of the archive (zip, tar, tar.gz)",
        value_proc=_archive_address,
    )
    endings = {} if "label_suffix" in document else _endings(address, policy)
    image, label = suggested_suffixes(endings)
    suffixes = ask(
        "training_data_suffixes",
        "Suffixes of the images, one per modality, parted by commas",
        value_proc=lambda text: _suffixes(text, endings, ()),
        **({"default": image} if image else {}),
    )
    label_suffix = ask(
        "label_suffix",
        "Suffix of the labels",
        value_proc=lambda text: _suffixes(text, endings, suffixes)[0],
        **({"default": label} if label and label not in suffixes else {}),
    )
    report = _prescan(address, tuple(suffixes), label_suffix, policy)
    name = ask(
        "dataset_name",
        "Name of the dataset",
        default=unicodedata.normalize("NFC", Path(urlsplit(address).path).stem),
        value_proc=_allowed(UploadManifest, "dataset_name"),
    )
    ask("description", "Description", default="", show_default=False)
    sources = document.setdefault("data_sources", [])
    tags = {source["modality_tag"] for source in sources}
    for suffix in suffixes[len(sources) :]:
        sources.append(_ask_source(suffix, report, len(suffixes) == 1, tags))
        tags.add(sources[-1]["modality_tag"])
    if purpose == Purpose.SEGMENTATION.value:
        _ask_categories(document.setdefault("label_categories", []))
    if "label_nodata" not in document and confirm(
        "Is there a value of the labels that means no data?", default=False
    ):
        document["label_nodata"] = prompt("  Value", type=float)
    UploadManifest.parse(document, where=name)


def categories_of(values: Sequence[int], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Label categories of the values of masks, those that have no name called by their value."""
    return [
        {"id": value, "name": names.get(value, f"Class {value}"), "color": COLORS[number % len(COLORS)]}
        for number, value in enumerate(values)
    ]


def _allowed(section: type[BaseModel], field: str) -> Callable[[Any], Any]:
    """What `click.prompt` checks an answer with: what the manifest allows at a field."""
    info = section.model_fields[field]
    annotated: Any = Annotated[(info.annotation, *info.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(annotated)

    def check(answer: Any) -> Any:
        try:
            return adapter.validate_python(answer)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise click.BadParameter(f"{answer!r} is not allowed: {reason}") from None

    return check


def _unlike(check: Callable[[Any], Any], taken: Container[Any]) -> Callable[[Any], Any]:
    """As `check`, and the answer must not be taken."""

    def checked(answer: Any) -> Any:
        value = check(answer)
        if value in taken:
            raise click.BadParameter(f"{value!r} is taken; each must have its own.")
        return value

    return checked


def _archive_address(text: str) -> str:
    """An address as it is, a path as an absolute one."""
    if "://" in text:
        if has_user(text):
            raise click.BadParameter(
                "an address must hold no user and password, for the manifest is kept and shown"
            )
        return text.strip()
    path = Path(text.strip()).expanduser().absolute()
    if not path.is_file():
        raise click.BadParameter(f"there is no file {path}")
    return str(path)


def _endings(address: str, policy: IntakePolicy) -> dict[str, int]:
    """How the files of an archive end, shown; empty where it can't be listed, which the pre-scan tells."""
    try:
        endings = file_endings(address, policy)
    except OnboardingError:
        return {}
    if endings:
        shown = [f"{ending} ({count})" for ending, count in endings.items()][:MOST_ENDINGS]
        echo(f"  The files end in {', '.join(shown)}.")
    return endings


def _suffixes(text: str, endings: Mapping[str, int], taken: Sequence[str]) -> list[str]:
    """The suffixes that were typed, each of which some file ends in."""
    check = _unlike(_allowed(UploadManifest, "label_suffix"), taken)
    suffixes = [check(part) for part in text.split(",") if part.strip()]
    if not suffixes or len(set(suffixes)) < len(suffixes):
        raise click.BadParameter("name a suffix, or several that differ")
    for suffix in suffixes if endings else ():
        if not any(ending.endswith(suffix) or suffix.endswith(ending) for ending in endings):
            raise click.BadParameter(f"no file ends in {suffix!r}")
    return suffixes


def read_draft(path: Path) -> dict[str, Any]:
    """Read what was answered before; nothing where the file is no mapping.

    Raises:
        OnboardingError: MANIFEST_INVALID, the file is not YAML.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OnboardingError("MANIFEST_INVALID", f"The draft {path} is not YAML; remove it.") from error
    if not isinstance(document, dict):
        return {}
    if "dataset_url" in document:
        document["dataset_url"] = beside(path, str(document["dataset_url"]))
    return document


def write_manifest(document: dict[str, Any], path: Path) -> None:
    """Write a manifest, or as much of one as there is, as YAML.

    An archive beside it is named by its name, so that both may move.
    """
    archive = Path(document.get("dataset_url", ""))
    if archive.name and archive.parent == path.absolute().parent:
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


def _ask_source(
    suffix: str, report: PrescanReport | None, only: bool, tags: Container[str]
) -> dict[str, Any]:
    echo(f"Data source of the images that end in {suffix}")
    tag = suffix.partition(".")[0].strip("_- ") or "image"
    found = _band_names(suffix, report)
    source: dict[str, Any] = {
        "modality_tag": prompt(
            "  Modality tag",
            default="image" if only else tag,
            value_proc=_unlike(_allowed(DataSource, "modality_tag"), tags),
        ),
        "connector": prompt("  Connector", default="", show_default=False),
        "collection": _ask_collection(found),
        "file_suffix": suffix,
    }
    count = len(found) or prompt("  Number of bands", type=click.IntRange(min=1))
    names = found or _numbers(count)
    echo(f"  Bands: {', '.join(names)}")
    if not found or confirm("  Change the names of the bands?", default=False):
        check, given = _allowed(Band, "band_name"), list[str]()
        for index, name in enumerate(names):
            given.append(prompt(f"  Band {index}", default=name, value_proc=_unlike(check, given)))
        names = given
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
        scaling = prompt(
            "  Scaling factor of all bands",
            default=factors.pop(),
            value_proc=_allowed(Band, "scaling_factor"),
        )
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


def _ask_categories(categories: list[dict[str, Any]]) -> None:
    """Ask for label categories beside those that are there."""
    echo("Label categories; at least two")
    while len(categories) < 2 or confirm("Another label category?"):
        number = len(categories)
        ids = {category["id"] for category in categories}
        names = {category["name"] for category in categories}
        categories.append(
            {
                "id": prompt(
                    "  Label ID (value in the mask)",
                    default=number,
                    value_proc=_unlike(_allowed(LabelCategory, "id"), ids),
                ),
                "name": prompt("  Label name", value_proc=_unlike(_allowed(LabelCategory, "name"), names)),
                "color": prompt(
                    "  Color",
                    default=COLORS[number % len(COLORS)],
                    value_proc=_allowed(LabelCategory, "color"),
                ),
                "opacity": prompt("  Opacity", default=1.0, value_proc=_allowed(LabelCategory, "opacity")),
            }
        )
