"""Whether the images and labels of an upload belong together: checks as functions of a table of files.

A table may have a million rows, one per file, and is on disk: a check reads the columns that it needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.parallel_map import rows_in
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes
from factory_pipeline.onboarding.manifest.sections import LabelCategory

SHIFT_PIXELS = 0.01
"""Corners of an image and its label coincide if their distance in pixels is less than this."""
FILES_AT_ONCE = 50_000
NAMED_FILES = 5
"""Largest number of files in a message; all are in `files`."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    """Its name as an asset check."""
    passed: bool
    message: str
    """One sentence."""
    files: tuple[str, ...] = ()
    """The files that failed, sorted; empty if it passed."""


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


def require(checks: Iterable[Check]) -> None:
    """Raise an error for the first check that failed.

    Raises:
        OnboardingError: NO_FILES, UNPAIRED, or CHECK_FAILED, with the check's sentence.
    """
    codes = {"files_found": "NO_FILES", "pairs_complete": "UNPAIRED"}
    for check in checks:
        if not check.passed:
            raise OnboardingError(codes.get(check.name, "CHECK_FAILED"), check.message)


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
    twice = [_select_groups(some, "stem", pl.len() > 1) for some in of_each]
    return _check(
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
    lacking = _select_groups(files, "stem", ~has_all, "name", "role", "stem").collect()
    stems = files.select(pl.col("stem").n_unique()).collect().item()
    pairs = stems - lacking["stem"].n_unique()
    if not lacking.height and stems:
        return Check("pairs_complete", True, f"All {pairs} stems have their images and their label.")
    images, labels = (lacking.filter(pl.col("role") == role)["name"] for role in (IMAGE, LABEL))
    what = "label" if len(suffixes.images) == 1 else "label or another image"
    message = (
        f"Complete stems: {pairs}; images that lack their {what}: {_some(images)};"
        f" labels that lack an image: {_some(labels)}."
    )
    return Check("pairs_complete", False, message, tuple(lacking["name"].sort()))


def headers_readable(files: pl.LazyFrame) -> Check:
    """Check that every header can be read."""
    broken = files.filter(pl.col("error").is_not_null())
    return _check(
        "headers_readable", broken, f"can't be read{_reason(broken, 'error')}", "Every header can be read."
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
        check = _check("sizes_sane", too_large, where, "Every image has an allowed size.")
        if not check.passed:
            break
    return check


def bands_equal(files: pl.LazyFrame) -> Check:
    """Check that all files of a modality have the same number of bands; labels have one."""
    odd = pl.concat([_select_odd(files, "bands"), _select_several_bands(files)]).unique()
    return _check("bands_equal", odd, "have another number of bands than most", "All have the same bands.")


def dtypes_equal(files: pl.LazyFrame) -> Check:
    """Check that all files of a modality have the same data type."""
    return _check(
        "dtypes_equal", _select_odd(files, "dtype"), "have another data type than most", "One data type each."
    )


def sizes_equal(files: pl.LazyFrame) -> Check:
    """Check that the files of each pair have the same width and height."""
    sized = files.drop_nulls("width")
    odd = _select_differing(sized, "width", "height")
    return _check("sizes_equal", odd, "differ in size from their partner", "Sizes agree within each pair.")


def crs_equal(files: pl.LazyFrame, *, labels_take_crs: bool = False) -> Check:
    """Check that the files of each pair have the same CRS; formats that can't store one are not compared.

    Args:
        files: in headers.FILE_SCHEMA.
        labels_take_crs: labels without CRS are allowed, as they get that of their image.
    """
    placed = files.filter(pl.col("format") == "GTiff")
    if labels_take_crs:
        placed = placed.filter((pl.col("role") == IMAGE) | pl.col("crs").is_not_null())
    unplaced = _select_groups(
        placed, "stem", pl.col("crs").is_null().any() & pl.col("crs").is_not_null().any()
    )
    without = unplaced.join(placed.filter(pl.col("crs").is_null()), on="name", how="semi")
    check = _check(
        "crs_equal",
        without,
        "have no CRS, while their partner has one ('label_crs: image' in the manifest copies the CRS"
        " and position of the image to its label)",
        "CRS agree.",
    )
    if not check.passed:
        return check
    return _check(
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
    shifted = _select_groups(corners, "stem", ~pl.all_horizontal(near))
    return _check(
        "places_equal",
        shifted,
        "are at another position than their partner",
        "Positions agree within each pair.",
    )


def pixels_readable(contents: pl.LazyFrame) -> Check:
    """Check that every pixel can be read."""
    broken = contents.filter(pl.col("read_error").is_not_null())
    reason = _reason(broken, "read_error")
    return _check("pixels_readable", broken, f"are damaged{reason}", "Every pixel can be read.")


def images_different(contents: pl.LazyFrame) -> Check:
    """Check that no two images have the same content."""
    images = contents.filter((pl.col("role") == IMAGE) & pl.col("sha256").is_not_null())
    twice = _select_groups(images, "sha256", pl.len() > 1)
    return _check(
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
    return _check("bands_filled", empty, f"have a band without any data{bands}", "Every band holds data.")


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
        message = f"All labels contain only no data: {_some(empty)}."
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
    return _check(
        "mask_values_known",
        values,
        f"contain values without a label category: {shown} (the categories are"
        f" {', '.join(str(category.id) for category in categories)}; label_nodata sets a value of no data)",
        "Every value in the masks has a label category.",
    )


def files_check(name: str, files: Sequence[str], what: str, otherwise: str) -> Check:
    """Return a check that failed if `files` is not empty.

    Args:
        name: of the check.
        files: names of the files that failed.
        what: the reason, as it follows "Files that".
        otherwise: the sentence if there are none.
    """
    return _check(name, pl.LazyFrame({"name": files}, schema={"name": pl.String}), what, otherwise)


def first_names(files: Sequence[str]) -> str:
    """Return the first names of some files, as a message lists them."""
    return _some(pl.Series(files, dtype=pl.String))


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
    return _select_groups(files, "stem", differs)


def _select_groups(files: pl.LazyFrame, key: str, wrong: pl.Expr, *columns: str) -> pl.LazyFrame:
    """Return the names of the files in groups for which a condition is true.

    A group has one value of a column. Groups are processed in parts, as the index of all groups would need
    more memory than the rest.
    """
    parts = rows_in(files) // FILES_AT_ONCE + 1
    found = []
    for number in range(parts):
        part = files.filter(pl.col(key).hash() % parts == number)
        groups = part.group_by(key).agg(wrong=wrong).filter("wrong").select(key)
        found.append(part.join(groups, on=key, how="semi").select(columns or ("name",)).collect())
    return pl.concat(found).lazy()


def _reason(broken: pl.LazyFrame, column: str) -> str:
    """Return the reason of the first of some files, in brackets; empty if there are none."""
    first = broken.sort("name").head(1).select(column).collect().to_series()
    return f" ({first[0]})" if len(first) else ""


def _check(name: str, offending: pl.LazyFrame, what: str, otherwise: str) -> Check:
    files = offending.select(pl.col("name").unique().sort()).collect()["name"]
    if not len(files):
        return Check(name, True, otherwise)
    return Check(name, False, f"Files that {what}: {_some(files)}.", tuple(files))


def _some(files: pl.Series) -> str:
    more = f" and {len(files) - NAMED_FILES} more" if len(files) > NAMED_FILES else ""
    return (", ".join(files.sort()[:NAMED_FILES]) or "none") + more
