"""Names of the files of an onboarded dataset, and the index with their original names.

TerraTorch assigns a file to a split if a line of the split file occurs anywhere in its name, and cuts a name
at its last dot: `tile_1` would also match `tile_10`, and `a.b` would become `a`. So every stem has the same
length and no dot, and none occurs in the name of another file.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.onboarding.checks.file_roles import ANY, IMAGE, LABEL

STEM_DIGITS = 16
STEM_START = "x"
"""Not a hexadecimal digit, so that a stem can't begin within another."""

INDEX_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "stem": pl.String,
    "original_name": pl.String,
    "images": pl.List(pl.Struct({"modality_tag": pl.String, "path": pl.String})),
    "label": pl.String,
    "sha256": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bands": pl.Int64,
    "crs": pl.String,
    "epsg": pl.Int64,
    "transform": pl.List(pl.Float64),
    "bounds": pl.List(pl.Float64),
}
"""One row per image and label.

`sha256` is that of the images in the order of the modalities; size and georeference are those of the first.
"""


def safe_stem(original: str) -> str:
    """Return the stem of fixed length for an original stem; it does not depend on the other files."""
    return STEM_START + hashlib.sha256(original.encode()).hexdigest()[:STEM_DIGITS]


def safe_suffix(suffix: str) -> str:
    """Return a suffix that ends with the same extension and contains no other dot, no blank and no folder."""
    if ANY in suffix:
        suffix = f"_{suffix.replace(ANY, '')}"
    base, dot, extension = suffix.rpartition(".")
    kept = base if dot else extension
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in kept)
    return f"{plain}.{extension}" if dot else plain


def dataset_index(contents: pl.DataFrame, modalities: dict[str, str], label_suffix: str) -> pl.DataFrame:
    """Build the index: the pairs of a dataset with their paths.

    Args:
        contents: complete pairs, with the columns of headers.FILE_SCHEMA and file_contents.CONTENT_SCHEMA.
        modalities: modality tag by suffix, in their order.
        label_suffix: of the labels.

    Returns:
        A frame in INDEX_SCHEMA, sorted by original name; paths are relative to the dataset's folder.
    """
    in_suffix = {suffix: safe_suffix(suffix) for suffix in (*modalities, label_suffix)}
    first, *others = modalities
    pairs = contents.filter(pl.col("suffix") == first).sort("stem")
    hashes = [pairs["sha256"]]
    for suffix in others:
        one = contents.filter(pl.col("suffix") == suffix).select("stem", "sha256")
        hashes.append(pairs.select("stem").join(one, on="stem", how="left", maintain_order="left")["sha256"])
    stem = pl.Series([safe_stem(original) for original in pairs["stem"]], dtype=pl.String)

    def path(folder: str, suffix: str) -> pl.Series:
        return f"{folder}/" + stem + in_suffix[suffix]

    images = [
        pl.struct(modality_tag=pl.lit(tag), path=path(f"training_data/{tag}", suffix))
        for suffix, tag in modalities.items()
    ]
    return pairs.select(
        stem=stem,
        original_name=pl.col("stem"),
        images=pl.concat_list(images),
        label=path("labels", label_suffix),
        sha256=pl.Series([_hash_of_all(row) for row in zip(*hashes, strict=True)], dtype=pl.String),
        **{column: pl.col(column) for column in list(INDEX_SCHEMA)[5:]},
    ).cast(pl.Schema(INDEX_SCHEMA))


def _hash_of_all(hashes: Sequence[str | None]) -> str:
    """Return the hash of the images of a pair; of one image it is its own."""
    known = [one or "" for one in hashes]
    return known[0] if len(known) == 1 else hashlib.sha256("".join(known).encode()).hexdigest()


def arrange(
    unpacked: Path, contents: pl.DataFrame, index: pl.DataFrame, modalities: dict[str, str], dataset: Path
) -> None:
    """Link or copy the images and labels of an unpacked archive to their paths in the dataset's folder.

    Files are linked if the file system supports it, else copied. Existing files are not touched: they may
    have been rewritten, and so an interrupted call resumes.

    Args:
        unpacked: folder of the unpacked archive.
        contents: as for `dataset_index`.
        index: as `dataset_index` returned it.
        modalities: as for `dataset_index`.
        dataset: folder of the dataset's version.
    """
    for name, path in targets(contents, index, modalities).iter_rows():
        target = dataset / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(unpacked / name, target)


def targets(contents: pl.DataFrame, index: pl.DataFrame, modalities: dict[str, str]) -> pl.DataFrame:
    """Return `name` of each image and label in the archive with its `path` in the dataset.

    Args:
        contents: as for `dataset_index`.
        index: as `dataset_index` returned it.
        modalities: as for `dataset_index`.
    """
    tags = pl.DataFrame(
        {"suffix": list(modalities), "modality_tag": list(modalities.values())},
        schema={"suffix": pl.String, "modality_tag": pl.String},
    )
    placed = index.select("stem", "original_name", "images").explode("images").unnest("images")
    images = contents.filter(pl.col("role") == IMAGE).join(tags, on="suffix")
    moves = images.select("name", "modality_tag", original_name="stem").join(
        placed, on=["original_name", "modality_tag"]
    )
    labels = contents.filter(pl.col("role") == LABEL).select("name", original_name="stem")
    labelled = labels.join(index.select("original_name", path="label"), on="original_name")
    return pl.concat([moves.select("name", "path"), labelled.select("name", "path")])


def _link_or_copy(file: Path, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(file, temporary)
        except OSError:
            shutil.copyfile(file, temporary)
        temporary.replace(path)
    finally:
        # A store may refuse the file; and a rename between two links to one file leaves the first.
        temporary.unlink(missing_ok=True)
