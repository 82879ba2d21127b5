"""From the fields of the forms to the keys of the manifest, and what is proposed for them.

The manifest is what `factory new-manifest` writes, key by key; values that a field contains as text become
the numbers that they mean, and what is no number stays text for the check of the manifest to tell.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_roles import IMAGE
from factory_pipeline.onboarding.manifest.known_collections import (
    describe_bands,
    fitting_collections,
    known_collection,
)
from factory_pipeline.onboarding.manifest.model import UPLOAD_TYPE, Purpose, UploadManifest
from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline.onboarding.manifest.write import categories_of, category_color
from factory_pipeline.onboarding.products.terratorch_bands import hls_names
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.split_rule import FOLDERS

Form = Mapping[str, list[str]]
MOST_BANDS = 1000
CHANNELS = {"RED": "R", "GREEN": "G", "BLUE": "B"}
STAND_INS: Mapping[str, Any] = {
    "purpose": Purpose.GENERIC.value,
    "dataset_url": "archive.zip",
    "training_data_suffixes": [".tif"],
    "label_suffix": "_label.tif",
    "dataset_name": "Dataset",
}
"""Allowed values for keys that are requested on a later page."""


def field(form: Form, name: str) -> str:
    """Return the text of a field; empty where the form has none.

    Args:
        form: as sent.
        name: of the field.
    """
    return form.get(name, [""])[0].strip()


def number(text: str) -> Any:
    """Return the number that a text means, else the text."""
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def suffixes_of(text: str) -> list[str]:
    """Return the suffixes that were typed, parted by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def file_answers(form: Form) -> dict[str, Any]:
    """Return what the first page says of the archive."""
    return {
        "type_of_upload": UPLOAD_TYPE,
        "purpose": field(form, "purpose") or None,
        "training_data_suffixes": suffixes_of(field(form, "suffixes")) or None,
        "label_suffix": field(form, "label_suffix") or None,
    }


def source_answers(form: Form, suffixes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the data sources, one for each suffix, with the bands that the form has.

    Args:
        form: as sent.
        suffixes: of images, one per data source.
    """
    sources = []
    for place, suffix in enumerate(suffixes):
        at = f"s{place}."
        source: dict[str, Any] = {
            "modality_tag": field(form, f"{at}modality_tag"),
            "connector": field(form, f"{at}connector"),
            "collection": field(form, f"{at}collection"),
            "file_suffix": suffix,
        }
        if nodata := field(form, f"{at}nodata"):
            source["nodata"] = number(nodata)
        source["bands"] = _bands(form, at)
        sources.append({key: value for key, value in source.items() if value != ""})
    return sources


def _bands(form: Form, at: str) -> list[dict[str, Any]]:
    count = field(form, f"{at}bands")
    wanted = int(count) if count.isascii() and count.isdigit() and len(count) < 5 else 0
    bands = []
    for index in range(min(wanted, MOST_BANDS)):
        of = f"{at}b{index}."
        band: dict[str, Any] = {"index": index, "band_name": field(form, f"{of}name") or f"Band {index}"}
        if channel := field(form, f"{of}rgb"):
            band["RGB_band"] = channel
        if scale := field(form, f"{of}scale"):
            band["scaling_factor"] = number(scale)
        if description := field(form, f"{of}description"):
            band["description"] = description
        bands.append(band)
    return bands


def proposed_sources(report: Mapping[str, Any] | None, suffixes: Sequence[str]) -> list[dict[str, Any]]:
    """Return data sources as the pre-scan found them, with what is known of the collection that fits.

    Args:
        report: of the pre-scan (JSON); None before it.
        suffixes: of images, one per data source.
    """
    sources = []
    for suffix in suffixes:
        file = _first_image(report, suffix)
        names = file.get("band_names") or [None] * (file.get("bands") or 0)
        collections = fitting_collections(names)
        tag = "image" if len(suffixes) == 1 else PurePosixPath(suffix).name.partition(".")[0].strip("_- ")
        source: dict[str, Any] = {"modality_tag": tag or "image", "file_suffix": suffix}
        if len(collections) == 1:
            source["collection"] = collections[0]
        source["bands"] = [
            {"index": index, "band_name": name or f"Band {index}"} for index, name in enumerate(names)
        ]
        sources.append(filled_in(source, report))
    return sources


def filled_in(source: Mapping[str, Any], report: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a data source with what is known of its collection and of the names of its bands.

    Args:
        source: of the form.
        report: of the pre-scan (JSON); None before it.
    """
    bands = [dict(band) for band in source.get("bands", ())]
    file = _first_image(report, str(source.get("file_suffix", "")))
    are_named = any(band["band_name"] != f"Band {band['index']}" for band in bands)
    folded = [_rename_key(band, "RGB_band", "rgb_band") for band in bands]
    described = describe_bands(
        str(source.get("collection", "")), folded, are_named=are_named, dtype=file.get("dtype")
    )
    filled = [_rename_key(band, "rgb_band", "RGB_band") for band in described]
    try:
        parsed = DataSource.model_validate({**source, "bands": filled})
    except ValueError:
        return {**source, "bands": filled}  # What is wrong is told when the page is saved.
    channels = {CHANNELS[name]: place for place, name in enumerate(hls_names(parsed)) if name in CHANNELS}
    if not any(band.get("RGB_band") for band in filled):
        for channel, place in channels.items():
            filled[place]["RGB_band"] = channel
    known = known_collection(str(source.get("collection", "")))
    named = {"collection": known.id} if known is not None else {}
    return {**source, **named, "bands": filled}


def _rename_key(band: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    return {(name if one == key else one): value for one, value in band.items()}


def _first_image(report: Mapping[str, Any] | None, suffix: str) -> Mapping[str, Any]:
    files = report["suffixes"] if report is not None else ()
    return next((each for each in files if each["role"] == IMAGE and each["suffix"] == suffix), {})


def label_answers(form: Form) -> list[dict[str, Any]]:
    """Return the label categories in the order of the page."""
    categories = []
    for place in sorted({int(found[1]) for key in form if (found := re.fullmatch(r"l(\d{1,5})\.id", key))}):
        at = f"l{place}."
        categories.append(
            {
                "id": number(field(form, f"{at}id")),
                "name": field(form, f"{at}name"),
                "color": field(form, f"{at}color"),
                "opacity": number(field(form, f"{at}opacity") or "1"),
            }
        )
    return categories


def one_more(categories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a blank category with the next free value and colour."""
    taken = {category["id"] for category in categories}
    free = next(value for value in range(len(taken) + 1) if value not in taken)
    return {"id": free, "name": "", "color": category_color(len(categories)), "opacity": 1.0}


def with_values(categories: Sequence[Mapping[str, Any]], values: Sequence[int]) -> list[dict[str, Any]]:
    """Return the categories and one for each value of the masks that has none.

    Args:
        categories: of the form.
        values: of the masks, as the pre-scan found them.
    """
    taken = {category["id"] for category in categories}
    proposed = [
        {**category, "opacity": 1.0} for category in categories_of(values, {}) if category["id"] not in taken
    ]
    return [*map(dict, categories), *proposed]


def split_answers(form: Form) -> dict[str, Any]:
    """Return the rule of the splits, as short as the manifest allows."""
    method = field(form, "method")
    shares = {name: number(field(form, name)) for name in SPLITS}
    seed = {"seed": number(field(form, "seed") or "42")}
    if method == "folders":
        return {"method": "given", **FOLDERS}
    if method == "files":
        names = {f"{name}_file": field(form, f"{name}_file") for name in SPLITS}
        return {"method": "given", **{key: value for key, value in names.items() if value}}
    if method == "spatial":
        rule = {
            "method": "spatial",
            "by": field(form, "by"),
            "block_m": number(field(form, "block_m") or "10000"),
            "buffer_m": number(field(form, "buffer_m") or "0"),
        }
        return {**rule, **seed, "percentages": shares}
    return {"method": "random", **seed, "percentages": shares}


def proposed_name(source: str) -> str:
    """Return a name for the dataset of an archive."""
    name = PurePosixPath(urlsplit(source).path or source).name
    return re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", name, flags=re.I)


def check(manifest: Mapping[str, Any]) -> str:
    """Return what is wrong with the answers so far, in one sentence; empty where nothing is."""
    document = {**STAND_INS, **manifest}
    if "label_categories" not in manifest and document["purpose"] == Purpose.SEGMENTATION.value:
        document["purpose"] = Purpose.GENERIC.value
    if not manifest.get("data_sources"):
        document.pop("data_sources", None)
    try:
        UploadManifest.parse(document, where="form")
    except OnboardingError as error:
        return in_words_of_form(error)
    return ""


def in_words_of_form(error: Exception) -> str:
    """Return what is wrong with a manifest whose name is `form`, as a page says it."""
    return str(error).replace("The manifest form", "The form", 1)


class Shown(dict[str, Any]):
    """Answers as a page shows them: a key that was not answered is None."""

    def __missing__(self, key: str) -> None:
        """Return None for a key that was not answered."""
        return


def shown(value: Any) -> Any:
    """Return plain data whose mappings, on all levels, are Shown."""
    if isinstance(value, Mapping):
        return Shown({key: shown(one) for key, one in value.items()})
    return [shown(one) for one in value] if isinstance(value, list | tuple) else value
