"""Asks for an upload manifest on the terminal, prefilled by the pre-scan.

Each question is a small function that returns its answer: a text, a `DataSource`, a `LabelCategory`.
`ask_manifest` alone writes answers into the document, from which a draft goes on.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import polars as pl

from factory_pipeline.archives.url_policy import has_user
from factory_pipeline.cli.answer_checks import check_allowed, check_not_taken
from factory_pipeline.cli.source_prompt import ask_source
from factory_pipeline.cli.terminal import confirm, echo, prompt
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.config.lenient_keys import ManifestSection
from factory_pipeline.errors import DocumentError, OnboardingError
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prescan
from factory_pipeline.onboarding.manifest.location import resolve_beside
from factory_pipeline.onboarding.manifest.model import UPLOAD_TYPE, Purpose, UploadManifest
from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline.onboarding.manifest.write import category_color
from factory_pipeline.onboarding.suggest_suffixes import file_endings, suggested_suffixes
from factory_pipeline.plain_text import count_noun
from factory_pipeline.yaml_document import read_yaml

MOST_ENDINGS = 8
FEWEST_CATEGORIES = 2


def ask_manifest(policy: IntakePolicy, document: dict[str, Any]) -> None:
    """Ask for everything that a manifest says and that `document` does not say yet.

    Each answer is checked when it is given and goes into `document` at once, so that what was answered is
    there whatever happens next. In the end it is plain data that `UploadManifest` accepts.

    Args:
        policy: what may be read of the archive.
        document: the answers of an earlier call, or an empty one; it is changed.

    Raises:
        OnboardingError: MANIFEST_INVALID, the answers do not fit each other.
        click.Abort: the user cancelled.
    """
    document.setdefault("type_of_upload", UPLOAD_TYPE)
    if "purpose" not in document:
        document["purpose"] = _ask_purpose()
    if "dataset_url" not in document:
        document["dataset_url"] = _ask_address()
    _ask_suffixes(document, policy)
    suffixes = document["training_data_suffixes"]
    report = _prescan(document["dataset_url"], tuple(suffixes), document["label_suffix"], policy)
    if "dataset_name" not in document:
        document["dataset_name"] = _ask_name(document["dataset_url"])
    if "description" not in document:
        document["description"] = prompt("Description", default="", show_default=False)
    _ask_sources(document.setdefault("data_sources", []), suffixes, report)
    if document["purpose"] == Purpose.SEGMENTATION.value:
        _ask_categories(document.setdefault("label_categories", []))
    if "label_nodata" not in document and confirm(
        "Is there a value of the labels that means no data?", default=False
    ):
        document["label_nodata"] = prompt("  Value", type=float)
    UploadManifest.parse(document, where=document["dataset_name"])


def _ask_purpose() -> str:
    return str(prompt("Purpose", type=click.Choice([purpose.value for purpose in Purpose])))


def _ask_address() -> str:
    text = "Address or path of the archive (zip, tar, tar.gz)"
    return str(prompt(text, value_proc=_archive_address))


def _ask_name(address: str) -> str:
    proposed = unicodedata.normalize("NFC", Path(urlsplit(address).path).stem)
    check = check_allowed(UploadManifest, "dataset_name")
    return str(prompt("Name of the dataset", default=proposed, value_proc=check))


def _ask_suffixes(document: dict[str, Any], policy: IntakePolicy) -> None:
    """Ask for the suffixes of images and labels; those in which the archive's files end are proposed."""
    if "label_suffix" in document and "training_data_suffixes" in document:
        return
    endings = {} if "label_suffix" in document else _endings(document["dataset_url"], policy)
    images, labels = suggested_suffixes(endings)
    if "training_data_suffixes" not in document:
        document["training_data_suffixes"] = prompt(
            "Suffixes of the images, one per modality, parted by commas",
            value_proc=lambda text: _suffixes(text, endings, ()),
            **_default(images),
        )
    if "label_suffix" not in document:
        taken = document["training_data_suffixes"]
        document["label_suffix"] = prompt(
            "Suffix of the labels",
            value_proc=lambda text: _suffixes(text, endings, taken)[0],
            **_default(None if labels in taken else labels),
        )


def _default(proposed: str | None) -> dict[str, str]:
    """Return the option of a prompt that proposes an answer; none where nothing is proposed."""
    return {"default": proposed} if proposed else {}


def _ask_sources(
    sources: list[dict[str, Any]], suffixes: Sequence[str], report: PrescanReport | None
) -> None:
    """Ask for the data sources of the suffixes that have none yet; each is appended when it is complete."""
    for suffix in suffixes[len(sources) :]:
        taken = {source["modality_tag"] for source in sources}
        source = ask_source(suffix, report, is_only=len(suffixes) == 1, taken_tags=taken)
        fields = _as_document(source)
        bands = fields.pop("bands")
        sources.append({**fields, "bands": bands})  # The long list last, as a person writes it.


def _ask_categories(categories: list[dict[str, Any]]) -> None:
    """Ask for label categories beside the existing ones; each is appended when it is complete."""
    echo("Label categories; at least two")
    while len(categories) < FEWEST_CATEGORIES or confirm("Another label category?"):
        categories.append(_as_document(_ask_category(categories)))


def _ask_category(existing: Sequence[Mapping[str, Any]]) -> LabelCategory:
    """Ask for one label category whose id and name differ from those of the existing ones."""
    number = len(existing)
    id_check = check_not_taken(check_allowed(LabelCategory, "id"), {category["id"] for category in existing})
    name_check = check_not_taken(
        check_allowed(LabelCategory, "name"), {category["name"] for category in existing}
    )
    return LabelCategory(
        id=prompt("  Label ID (value in the mask)", default=number, value_proc=id_check),
        name=prompt("  Label name", value_proc=name_check),
        color=prompt(
            "  Color",
            default=category_color(number),
            value_proc=check_allowed(LabelCategory, "color"),
        ),
        opacity=prompt("  Opacity", default=1.0, value_proc=check_allowed(LabelCategory, "opacity")),
    )


def _as_document(section: ManifestSection) -> dict[str, Any]:
    """Return a section as the manifest spells it, without fields that were not answered."""
    return section.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _archive_address(text: str) -> str:
    """Return an address as it is, a path as an absolute one."""
    if "://" in text:
        if has_user(text):
            raise click.BadParameter(
                "an address must not contain a user or password, because the manifest is stored and shown"
            )
        return text.strip()
    path = Path(text.strip()).expanduser().absolute()
    if not path.is_file():
        raise click.BadParameter(f"the file {path} does not exist")
    return str(path)


def _endings(address: str, policy: IntakePolicy) -> dict[str, int]:
    """Return how the files of an archive end, shown.

    Empty where it can't be listed, which the pre-scan tells.
    """
    try:
        endings = file_endings(address, policy)
    except OnboardingError:
        return {}
    if endings:
        shown = [f"{ending} ({count})" for ending, count in endings.items()][:MOST_ENDINGS]
        echo(f"  The files end with {', '.join(shown)}.")
    return endings


def _suffixes(text: str, endings: Mapping[str, int], taken: Sequence[str]) -> list[str]:
    """Return the suffixes that were typed, each of which some file ends in."""
    check = check_not_taken(check_allowed(UploadManifest, "label_suffix"), taken)
    suffixes = [check(part) for part in text.split(",") if part.strip()]
    if not suffixes or len(set(suffixes)) < len(suffixes):
        raise click.BadParameter("enter a suffix, or several different ones")
    for suffix in suffixes if endings else ():
        if not any(ending.endswith(suffix) or suffix.endswith(ending) for ending in endings):
            raise click.BadParameter(f"no file ends with {suffix!r}")
    return suffixes


def read_draft(path: Path) -> dict[str, Any]:
    """Read what was answered before; nothing where the file is no mapping.

    Raises:
        OnboardingError: MANIFEST_INVALID, the file is not YAML.
    """
    try:
        document = read_yaml(path, f"The draft {path}")
    except DocumentError as error:
        raise OnboardingError("MANIFEST_INVALID", f"{error} Remove it.") from error
    if not isinstance(document, dict):
        return {}
    if "dataset_url" in document:
        document["dataset_url"] = resolve_beside(path, str(document["dataset_url"]))
    return document


def describe_scan(report: PrescanReport) -> list[str]:
    """Return the lines of a pre-scan as a user reads it: what was found, what is wrong, how much was read."""
    lines = []
    groups = report.files.sort("name").group_by("role", "suffix", maintain_order=True)
    for first in groups.agg(pl.len().alias("files"), pl.all().first()).collect().iter_rows(named=True):
        bands = ", ".join(name or "-" for name in first["band_names"] or [])
        lines.append(
            f"{first['files']:>7,} {first['role']}s end in {first['suffix']}:"
            f" {count_noun(first['bands'], 'band')} ({bands}), "
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
    """Return the pre-scan, shown; None if the archive can't be scanned from here."""
    try:
        report = prescan(address, suffixes, label_suffix, policy)
    except OnboardingError as error:
        echo(f"No pre-scan: {error} Enter the bands by hand.")
        return None
    echo(*describe_scan(report))
    return report
