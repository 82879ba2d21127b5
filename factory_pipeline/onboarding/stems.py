"""Names of the files of an onboarded dataset, and the index that keeps what they were called.

TerraTorch takes a file for one of a split if a line of the split file occurs anywhere in its name, and cuts
a name at its last dot: `tile_1` would also take `tile_10`, and `a.b` would become `a`. So every stem has the
same width and no dot, and none occurs in the name of another file.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.onboarding.gather import frame_of
from factory_pipeline.onboarding.matching import IMAGE, LABEL

STEM_DIGITS = 16
STEM_START = "x"
"""Not a hexadecimal digit: a stem can't begin within another."""

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
"""One row per image and label. `sha256` is that of the images in the order of the modalities, the size and
place those of the first of them."""


def safe_stem(original: str) -> str:
    """The stem of fixed width for an original stem; it does not depend on the other files of the dataset."""
    return STEM_START + hashlib.sha256(original.encode()).hexdigest()[:STEM_DIGITS]


def safe_suffix(suffix: str) -> str:
    """A suffix that ends in the same extension and holds no other dot, and no blank."""
    base, dot, extension = suffix.rpartition(".")
    kept = base if dot else extension
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in kept)
    return f"{plain}.{extension}" if dot else plain


def dataset_index(contents: pl.DataFrame, modalities: dict[str, str], label_suffix: str) -> pl.DataFrame:
    """The pairs of a dataset with the paths that they get.

    Args:
        contents: complete pairs, with the columns of headers.FILE_SCHEMA and contents.CONTENT_SCHEMA.
        modalities: modality tag by suffix, in their order.
        label_suffix: of the labels.

    Returns:
        A frame in INDEX_SCHEMA, sorted by original name; paths are relative to the dataset's folder.
    """
    in_suffix = {suffix: safe_suffix(suffix) for suffix in (*modalities, label_suffix)}

    def row_of(original: str, group: pl.DataFrame) -> dict[str, Any]:
        stem = safe_stem(original)
        by_suffix = {row["suffix"]: row for row in group.iter_rows(named=True)}
        images = [by_suffix[suffix] for suffix in modalities]
        first = images[0]
        hashes = [image["sha256"] or "" for image in images]
        return {
            "stem": stem,
            "original_name": original,
            "images": [
                {"modality_tag": tag, "path": f"training_data/{tag}/{stem}{in_suffix[suffix]}"}
                for suffix, tag in modalities.items()
            ],
            "label": f"labels/{stem}{in_suffix[label_suffix]}",
            "sha256": hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest(),
            **{key: first[key] for key in ("width", "height", "bands", "crs", "epsg", "transform", "bounds")},
        }

    groups = contents.sort("stem").group_by("stem", maintain_order=True)
    return frame_of((row_of(str(original), group) for (original,), group in groups), INDEX_SCHEMA)


def arrange(
    unpacked: Path, contents: pl.DataFrame, index: pl.DataFrame, modalities: dict[str, str], dataset: Path
) -> None:
    """Put the images and labels of an unpacked archive at their places in the dataset's folder.

    Files are linked where the file system can, else copied. What lies at its place already stays as it is: it
    may have been rewritten there, and a call that was interrupted goes on where it was.

    Args:
        unpacked: where the archive was unpacked.
        contents: as for `dataset_index`.
        index: what `dataset_index` gave.
        modalities: as for `dataset_index`.
        dataset: folder of the dataset's version.
    """
    tags = pl.DataFrame(
        {"suffix": list(modalities), "modality_tag": list(modalities.values())},
        schema={"suffix": pl.String, "modality_tag": pl.String},
    )
    targets = index.select("stem", "original_name", "images").explode("images").unnest("images")
    images = contents.filter(pl.col("role") == IMAGE).join(tags, on="suffix")
    moves = images.select("name", "modality_tag", original_name="stem").join(
        targets, on=["original_name", "modality_tag"]
    )
    labels = contents.filter(pl.col("role") == LABEL).select("name", original_name="stem")
    labelled = labels.join(index.select("original_name", path="label"), on="original_name")
    for name, path in (
        *moves.select("name", "path").iter_rows(),
        *labelled.select("name", "path").iter_rows(),
    ):
        place = dataset / path
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(unpacked / name, place)


def _link_or_copy(file: Path, place: Path) -> None:
    temporary = place.with_name(f".{place.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(file, temporary)
    except OSError:
        shutil.copyfile(file, temporary)
    temporary.replace(place)
    # A rename between two links to one file does nothing, also not away with the first.
    temporary.unlink(missing_ok=True)
