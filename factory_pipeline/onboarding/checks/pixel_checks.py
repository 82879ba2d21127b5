"""Whether the pixels of an upload's images and labels can be trained on.

Checks are functions of a table of files, as in `pairing`.
"""

from collections.abc import Sequence

import polars as pl

from factory_pipeline.imagery.row_frames import rows_in
from factory_pipeline.onboarding.checks.check import (
    Check,
    check_none,
    first_reason,
    list_files,
    select_groups,
)
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL
from factory_pipeline.onboarding.manifest.sections import LabelCategory


def pixel_checks(
    contents: pl.LazyFrame, categories: Sequence[LabelCategory], label_nodata: float | None = None
) -> tuple[Check, ...]:
    """Return all checks that need the pixels.

    Args:
        contents: table in file_contents.CONTENT_SCHEMA.
        categories: of the labels; without any, the values of the masks are not checked.
        label_nodata: the manifest's nodata value of the masks, beside those that they declare.
    """
    return (
        pixels_readable(contents),
        images_different(contents),
        bands_filled(contents),
        labels_filled(contents, label_nodata),
        *((mask_values_known(contents, categories, label_nodata),) if categories else ()),
    )


def pixels_readable(contents: pl.LazyFrame) -> Check:
    """Check that every pixel can be read."""
    broken = contents.filter(pl.col("read_error").is_not_null())
    reason = first_reason(broken, "read_error")
    return check_none(
        "pixels_readable", broken, f"are truncated or damaged{reason}", "Every pixel can be read."
    )


def images_different(contents: pl.LazyFrame) -> Check:
    """Check that no two images have the same content."""
    images = contents.filter((pl.col("role") == IMAGE) & pl.col("sha256").is_not_null())
    twice = select_groups(images, "sha256", pl.len() > 1)
    return check_none(
        "images_different",
        twice,
        "have the same content as another image",
        "No two images have the same content.",
    )


def bands_filled(contents: pl.LazyFrame) -> Check:
    """Check that every band of an image contains data."""
    without = (pl.col("role") == IMAGE) & (pl.col("empty_bands").list.len() > 0)
    empty = contents.filter(without)
    first = empty.sort("name").head(1).select(pl.col("empty_bands").list.first()).collect().to_series()
    bands = f" (band {first[0]} of the first)" if len(first) else ""
    return check_none("bands_filled", empty, f"have a band without any data{bands}", "Every band holds data.")


def labels_filled(contents: pl.LazyFrame, label_nodata: float | None = None) -> Check:
    """Check that labels contain data; a few without any are usual, as a cloud may cover an image.

    Args:
        contents: `name`, `role`, and `values`: the different valid pixel values of a mask.
        label_nodata: value that is no data beside what the files declare.
    """
    labels = contents.filter((pl.col("role") == LABEL) & pl.col("values").is_not_null())
    held = pl.col("values")
    if label_nodata is not None:
        held = held.list.eval(pl.element().filter(pl.element() != label_nodata))
    empty = labels.filter(held.list.len() == 0).select("name").collect()["name"]
    count = rows_in(labels)
    if count and empty.len() == count:
        message = f"All labels contain only no data: {list_files(empty)}."
        return Check("labels_filled", False, message, tuple(empty.sort()))
    return Check("labels_filled", True, f"Labels that contain data: {count - empty.len()}.")


def mask_values_known(
    contents: pl.LazyFrame, categories: Sequence[LabelCategory], label_nodata: float | None = None
) -> Check:
    """Check that every value of the masks has a category, or is no data.

    Args:
        contents: as for `labels_filled`.
        categories: of the manifest; an `id` is a pixel value.
        label_nodata: value that needs no category.
    """
    known = [float(category.id) for category in categories]
    known += [] if label_nodata is None else [label_nodata]
    values = (
        contents.filter(pl.col("role") == LABEL)
        .select("name", "values")
        .explode("values")
        .filter(pl.col("values").is_not_null() & ~pl.col("values").is_in(known))
    )
    unknown = values.select(pl.col("values").unique().sort()).collect()["values"].to_list()
    shown = ", ".join(f"{value:g}" for value in unknown[:10]) + (" ..." if len(unknown) > 10 else "")
    return check_none(
        "mask_values_known",
        values,
        f"contain values without a label category: {shown} (the categories are"
        f" {', '.join(str(category.id) for category in categories)}; label_nodata sets a value of no data)",
        "Every value in the masks has a label category.",
    )
