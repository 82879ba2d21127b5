"""What an upload's files say against what its manifest says: checks and notes of the pre-scan."""

from collections.abc import Iterator

import polars as pl

from factory_pipeline.onboarding.checks.band_order import (
    bands_of,
    files_named,
    has_bands,
    order_of,
    orders_in,
)
from factory_pipeline.onboarding.checks.file_roles import LABEL
from factory_pipeline.onboarding.checks.pairing import Check, files_check, some_of
from factory_pipeline.onboarding.checks.prescan import PrescanReport, images_of, prefill
from factory_pipeline.onboarding.checks.prescan_files import bands_described, nodata_declarable
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest


def manifest_checks(report: PrescanReport, given: UploadManifest) -> tuple[Check, ...]:
    """All checks of the headers that need the manifest."""
    return (
        bands_described(report, given),
        bands_in_order(report, given),
        nodata_declarable(report, given),
    )


def bands_in_order(report: PrescanReport, given: UploadManifest) -> Check:
    """All files have their bands in one order, or are put into that of the manifest by their names."""
    reordered, mixed = [], []
    for suffix, bands in bands_of(prefill(report, given)).items():
        images = images_of(report.files, suffix)
        orders = orders_in(images)
        for names in orders:
            if order_of(names, bands):
                reordered += files_named(images, names)
        usual = orders[0] if orders else []
        for names in orders[1:]:
            if order_of(names, [name or "" for name in usual]) and not has_bands(names, bands):
                mixed += files_named(images, names)
    if mixed:
        what = (
            "have their bands in another order than most, and the manifest calls the bands otherwise than the"
            " files do (with the names of the files, each file is put into the manifest's order)"
        )
        return Check("bands_in_order", False, f"Files that {what}: {some_of(mixed)}.", tuple(sorted(mixed)))
    if reordered:
        message = (
            f"The bands of {len(reordered)} files are put into the order of the manifest by their names:"
            f" {some_of(reordered)}."
        )
        return Check("bands_in_order", True, message)
    return Check("bands_in_order", True, "No two files name the same bands in different orders.")


def nodata_is_no_category(files: pl.LazyFrame, given: UploadManifest) -> Check:
    """No category has the value of no data, for none of its pixels would take part in a training.

    Args:
        files: in headers.FILE_SCHEMA.
        given: the manifest.
    """
    name = "nodata_is_no_category"
    # The category of a regression names its quantity.
    categories = () if given.purpose is Purpose.REGRESSION else given.label_categories
    named = {float(category.id): category for category in categories}
    if given.label_nodata is not None and given.label_nodata in named:
        category = named[given.label_nodata]
        message = (
            f"The manifest gives {category.id} as label_nodata and as the category {category.name!r}: its"
            " pixels take no part in statistics and training."
        )
        return Check(name, False, message)
    labels = files.filter((pl.col("role") == LABEL) & pl.col("nodata").is_in(list(named)))
    declared = labels.select("name", "nodata").sort("name").collect()
    values = sorted(set(declared["nodata"].to_list()))
    shown = ", ".join(f"{value:g} ({named[value].name!r})" for value in values)
    what = (
        f"declare a value as no data that is also a label category, {shown}, whose pixels take no part in"
        " statistics and training (write the labels without a declared value if they shall)"
    )
    return files_check(name, declared["name"].to_list(), what, "No category has a value that is no data.")


def manifest_notes(report: PrescanReport, given: UploadManifest) -> Iterator[str]:
    """What is worth knowing of how the values of no data in manifest and files go together."""
    labels = report.files.filter(pl.col("role") == LABEL)
    yield from _both_nodata("labels", labels, "label_nodata", given.label_nodata)
    first = given.training_data_suffixes[0]
    for source in given.data_sources:
        suffix = source.file_suffix or first
        images = images_of(report.files, suffix)
        yield from _both_nodata(f"images that end in {suffix!r}", images, "nodata", source.nodata)
    category = nodata_is_no_category(report.files, given)
    if not category.passed:
        yield category.message
    order = bands_in_order(report, given)
    if order.passed and "are put into" in order.message:
        yield order.message


def _both_nodata(what: str, files: pl.LazyFrame, key: str, given: float | None) -> Iterator[str]:
    if given is None:
        return
    declared = files.select(pl.col("nodata").drop_nulls().unique().sort()).collect()["nodata"].to_list()
    others = ", ".join(f"{value:g}" for value in declared if value != given)
    if others:
        yield (
            f"The {what} declare {others} as no data, and the manifest gives {given:g} as {key}: both are no"
            " data; pixels of the second get the declared value."
        )
