"""Consistency of an upload's files with its manifest: checks and notes of the pre-scan."""

from collections.abc import Iterator

import polars as pl

from factory_pipeline.onboarding.checks.band_order import (
    bands_of,
    files_named,
    has_bands,
    order_of,
    orders_in,
)
from factory_pipeline.onboarding.checks.check import Check, files_check, first_names
from factory_pipeline.onboarding.checks.file_roles import LABEL
from factory_pipeline.onboarding.checks.prescan import PrescanReport, images_of, prefill
from factory_pipeline.onboarding.checks.prescan_files import bands_described, nodata_declarable
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.plain_text import count_noun


def manifest_checks(report: PrescanReport, given: UploadManifest) -> tuple[Check, ...]:
    """Return all checks of the headers that need the manifest.

    Args:
        report: of the pre-scan.
        given: the user's manifest.
    """
    return (
        bands_described(report, given),
        bands_in_order(report, given),
        nodata_declarable(report, given),
    )


def bands_in_order(report: PrescanReport, given: UploadManifest) -> Check:
    """Check that all files have one band order, or can be brought into the manifest's by their names.

    Args:
        report: of the pre-scan.
        given: the user's manifest.
    """
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
            "have their bands in another order than most, and the manifest names the bands differently from"
            " the"
            " files (with the names of the files, each file is brought into the manifest's order)"
        )
        return Check(
            "bands_in_order", False, f"Files that {what}: {first_names(mixed)}.", tuple(sorted(mixed))
        )
    if reordered:
        message = (
            f"The bands of {count_noun(len(reordered), 'file')} are brought into the order of the manifest by"
            " their names:"
            f" {first_names(reordered)}."
        )
        return Check("bands_in_order", True, message)
    return Check("bands_in_order", True, "No two files name the same bands in different orders.")


def nodata_is_no_category(files: pl.LazyFrame, given: UploadManifest) -> Check:
    """Check that no category has the value of no data: training would ignore its pixels.

    Args:
        files: in headers.FILE_SCHEMA.
        given: the manifest.
    """
    name = "nodata_is_no_category"
    # The category of a regression is the name of its quantity.
    categories = () if given.purpose is Purpose.REGRESSION else given.label_categories
    named = {float(category.id): category for category in categories}
    if given.label_nodata is not None and given.label_nodata in named:
        category = named[given.label_nodata]
        message = (
            f"The manifest uses {category.id} both as label_nodata and for the category {category.name!r}:"
            " its"
            " pixels are ignored by statistics and training."
        )
        return Check(name, False, message)
    labels = files.filter((pl.col("role") == LABEL) & pl.col("nodata").is_in(list(named)))
    declared = labels.select("name", "nodata").sort("name").collect()
    values = sorted(set(declared["nodata"].to_list()))
    shown = ", ".join(f"{value:g} ({named[value].name!r})" for value in values)
    what = (
        f"declare a value as no data that is also a label category, {shown}, whose pixels are ignored by"
        " statistics and training (to use them, write the labels without a declared value)"
    )
    return files_check(name, declared["name"].to_list(), what, "No category has a value that is no data.")


def manifest_notes(report: PrescanReport, given: UploadManifest) -> Iterator[str]:
    """Yield notes on how the nodata values of manifest and files are combined.

    Args:
        report: of the pre-scan.
        given: the user's manifest.
    """
    labels = report.files.filter(pl.col("role") == LABEL)
    yield from _compare_nodata("labels", labels, "label_nodata", given.label_nodata)
    first = given.training_data_suffixes[0]
    for source in given.data_sources:
        suffix = source.file_suffix or first
        images = images_of(report.files, suffix)
        yield from _compare_nodata(f"images that end with {suffix!r}", images, "nodata", source.nodata)
    category = nodata_is_no_category(report.files, given)
    if not category.passed:
        yield category.message
    order = bands_in_order(report, given)
    if order.passed and "are brought into" in order.message:
        yield order.message


def _compare_nodata(what: str, files: pl.LazyFrame, key: str, given: float | None) -> Iterator[str]:
    if given is None:
        return
    declared = files.select(pl.col("nodata").drop_nulls().unique().sort()).collect()["nodata"].to_list()
    others = ", ".join(f"{value:g}" for value in declared if value != given)
    if others:
        yield (
            f"The {what} declare {others} as no data, and the manifest sets {key} to {given:g}: both are no"
            " data; pixels of the second get the declared value."
        )
