"""Whether the images and labels of an upload belong together: checks as functions of a table of files.

A table may have a million rows, one per file, and is on disk: a check reads the columns that it needs.
"""

import polars as pl

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.onboarding.checks.check import (
    Check,
    check_none,
    first_reason,
    list_files,
    select_groups,
)
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes

SHIFT_PIXELS = 0.01
"""Corners of an image and its label coincide if their distance in pixels is less than this."""


def header_checks(
    files: pl.LazyFrame, suffixes: Suffixes, policy: IntakePolicy, *, labels_take_crs: bool = False
) -> tuple[Check, ...]:
    """Return all checks that need names and headers only.

    Args:
        files: table in headers.FILE_SCHEMA.
        suffixes: of the images and labels.
        policy: limits on the pixels and decoded bytes of an image.
        labels_take_crs: labels without a CRS get that of their image.
    """
    return (
        files_found(files, suffixes),
        stems_unique(files, suffixes),
        pairs_complete(files, suffixes),
        headers_readable(files),
        sizes_sane(files, policy),
        bands_equal(files),
        dtypes_equal(files),
        sizes_equal(files),
        crs_equal(files, labels_take_crs=labels_take_crs),
        places_equal(files),
    )


def files_found(files: pl.LazyFrame, suffixes: Suffixes) -> Check:
    """Check that there is an image of every modality, and a label.

    Args:
        files: `suffix` of each file.
        suffixes: of the manifest.
    """
    found = dict(files.group_by("suffix").len().collect().iter_rows())
    missing = [suffix for suffix in (*suffixes.images, suffixes.label) if not found.get(suffix)]
    if missing:
        message = f"No file ends with {' nor with '.join(map(repr, missing))}"
        pairs = [pair for pair in suffixes.overlapping() if pair[1] in missing]
        longer = ", ".join(f"{one!r} also ends with {other!r}" for one, other in pairs)
        hint = f" alone: {longer}, and the longer suffix wins" if pairs else ""
        return Check("files_found", False, f"{message}{hint}.")
    counts = ", ".join(f"{found[suffix]} with {suffix}" for suffix in (*suffixes.images, suffixes.label))
    return Check("files_found", True, f"Files end {counts}.")


def stems_unique(files: pl.LazyFrame, suffixes: Suffixes) -> Check:
    """Check that no two files of one suffix have the same stem, as files in different folders may.

    Args:
        files: `name`, `suffix`, `stem`.
        suffixes: of the manifest.
    """
    of_each = [files.filter(pl.col("suffix") == suffix) for suffix in (*suffixes.images, suffixes.label)]
    twice = [select_groups(some, "stem", pl.len() > 1) for some in of_each]
    return check_none(
        "stems_unique",
        pl.concat(twice),
        "have the name of another file in another folder (folders distinguish files if suffixes contain them,"
        " such as images/*.tif, and in `splits: folders`)",
        "Every name is unique.",
    )


def pairs_complete(files: pl.LazyFrame, suffixes: Suffixes) -> Check:
    """Check that every stem has a label and an image of every modality.

    Args:
        files: `name`, `role`, `suffix`, `stem`.
        suffixes: of the manifest.
    """
    wanted = (*suffixes.images, suffixes.label)
    has_all = pl.all_horizontal((pl.col("suffix") == suffix).any() for suffix in wanted)
    lacking = select_groups(files, "stem", ~has_all, "name", "role", "stem").collect()
    stems = files.select(pl.col("stem").n_unique()).collect().item()
    pairs = stems - lacking["stem"].n_unique()
    if not lacking.height and stems:
        return Check("pairs_complete", True, f"All {pairs} stems have their images and their label.")
    images, labels = (lacking.filter(pl.col("role") == role)["name"] for role in (IMAGE, LABEL))
    what = "label" if len(suffixes.images) == 1 else "label or another image"
    message = (
        f"Complete stems: {pairs}; images that lack their {what}: {list_files(images)};"
        f" labels that lack an image: {list_files(labels)}."
    )
    return Check("pairs_complete", False, message, tuple(lacking["name"].sort()))


def headers_readable(files: pl.LazyFrame) -> Check:
    """Check that every header can be read."""
    broken = files.filter(pl.col("error").is_not_null())
    return check_none(
        "headers_readable",
        broken,
        f"can't be read{first_reason(broken, 'error')}",
        "Every header can be read.",
    )


def sizes_sane(files: pl.LazyFrame, policy: IntakePolicy) -> Check:
    """Check that no image declares more pixels, or more decoded bytes, than allowed.

    Args:
        files: in headers.FILE_SCHEMA.
        policy: its `max_pixels`, `max_image_bytes` and `max_block_bytes` are the limits.
    """
    # As float: the product of absurd sizes overflows an integer.
    pixels = pl.col("width").cast(pl.Float64) * pl.col("height") * pl.col("bands")
    limits = {
        "max_pixels": (pixels, policy.max_pixels, "declare more than {} pixels"),
        "max_image_bytes": (
            pl.col("image_bytes"),
            policy.max_image_bytes,
            "would be decoded to more than {} bytes",
        ),
        "max_block_bytes": (
            pl.col("block_bytes"),
            policy.max_block_bytes,
            "have a strip or tile, or are a PNG or JPEG, that would be decoded to more than {} bytes at once",
        ),
    }
    for key, (size, most, what) in limits.items():
        too_large = files.filter(size > most)
        where = f"{what.format(most)} ({key} in intake.yaml)"
        check = check_none("sizes_sane", too_large, where, "Every image has an allowed size.")
        if not check.passed:
            break
    return check


def bands_equal(files: pl.LazyFrame) -> Check:
    """Check that all files of a modality have the same number of bands; labels have one."""
    odd = pl.concat([_select_odd(files, "bands"), _select_several_bands(files)]).unique()
    return check_none(
        "bands_equal", odd, "have another number of bands than most", "All have the same bands."
    )


def dtypes_equal(files: pl.LazyFrame) -> Check:
    """Check that all files of a modality have the same data type."""
    return check_none(
        "dtypes_equal", _select_odd(files, "dtype"), "have another data type than most", "One data type each."
    )


def sizes_equal(files: pl.LazyFrame) -> Check:
    """Check that the files of each pair have the same width and height."""
    sized = files.drop_nulls("width")
    odd = _select_differing(sized, "width", "height")
    return check_none(
        "sizes_equal", odd, "differ in size from their partner", "Sizes agree within each pair."
    )


def crs_equal(files: pl.LazyFrame, *, labels_take_crs: bool = False) -> Check:
    """Check that the files of each pair have the same CRS; formats that can't store one are not compared.

    Args:
        files: in headers.FILE_SCHEMA.
        labels_take_crs: labels without CRS are allowed, as they get that of their image.
    """
    placed = files.filter(pl.col("format") == "GTiff")
    if labels_take_crs:
        placed = placed.filter((pl.col("role") == IMAGE) | pl.col("crs").is_not_null())
    unplaced = select_groups(
        placed, "stem", pl.col("crs").is_null().any() & pl.col("crs").is_not_null().any()
    )
    without = unplaced.join(placed.filter(pl.col("crs").is_null()), on="name", how="semi")
    check = check_none(
        "crs_equal",
        without,
        "have no CRS, while their partner has one ('label_crs: image' in the manifest copies the CRS"
        " and position of the image to its label)",
        "CRS agree.",
    )
    if not check.passed:
        return check
    return check_none(
        "crs_equal", _select_differing(placed, "crs"), "differ in CRS from their partner", "CRS agree."
    )


def places_equal(files: pl.LazyFrame) -> Check:
    """Check that the corners of image and label coincide, to a hundredth of a pixel."""
    placed = files.filter((pl.col("format") == "GTiff") & pl.col("transform").is_not_null())
    width, height = (pl.col(name).cast(pl.Float64) for name in ("width", "height"))
    a, b, c, d, e, f = (pl.col("transform").list.get(index) for index in range(6))
    corners = placed.select(
        "name",
        "stem",
        pixel=pl.max_horizontal(a.abs(), b.abs(), d.abs(), e.abs()),
        left=c,
        top=f,
        right=c + a * width + b * height,
        bottom=f + d * width + e * height,
    )
    # Sizes are compared by another check: a label of another resolution may cover the same ground.
    near = [
        pl.col(side).max() - pl.col(side).min() <= SHIFT_PIXELS * pl.col("pixel").min()
        for side in ("left", "top", "right", "bottom")
    ]
    shifted = select_groups(corners, "stem", ~pl.all_horizontal(near))
    return check_none(
        "places_equal",
        shifted,
        "are at another position than their partner",
        "Positions agree within each pair.",
    )


def _select_odd(files: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Return files that differ from most with their suffix; of equally frequent values the larger counts."""
    known = files.drop_nulls(column).select("name", "suffix", column)
    usual = (
        known.group_by("suffix", column)
        .len()
        .sort("len", column, descending=[True, False])
        .unique("suffix", keep="first", maintain_order=True)
    )
    return known.join(usual, on=["suffix", column], how="anti").select("name")


def _select_several_bands(files: pl.LazyFrame) -> pl.LazyFrame:
    return files.filter((pl.col("role") == LABEL) & (pl.col("bands") > 1)).select("name")


def _select_differing(files: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """Return files of stems whose files differ in one of some columns."""
    differs = pl.any_horizontal(pl.col(column).min() != pl.col(column).max() for column in columns)
    return select_groups(files, "stem", differs)
