"""Whether formats can represent a version, from its manifest, before the version is made.

Limits that depend on pixels are checked when the export is written.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.terratorch import inputs_of
from factory_pipeline.datasets.exports.yolo import can_be_a_line
from factory_pipeline.datasets.versions.manifest import ManifestHeader, read_header, scan_manifest
from factory_pipeline.errors import ArgumentError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.splits.names import SPLITS

ANY_IMAGES = (
    "'RAW', 'YOLO Darknet', 'Semantic Segmentation', 'COCO', 'Croissant' and 'WebDataset' allow such items"
)

OTHERS_TAKE = "'RAW' and 'Croissant' take them, or leave them out by a query"

Refusal = Callable[[ManifestHeader, Path], str | None]


def check_fitness(manifest: Path, export_types: Sequence[str]) -> None:
    """Check that formats can represent the version of a manifest.

    Args:
        manifest: of the version.
        export_types: names of existing formats.

    Raises:
        ArgumentError: one can't; the message says why, with an item as example.
    """
    header = read_header(manifest)
    for position, name in enumerate(export_types):
        reason = _REFUSALS[name](header, manifest) if name in _REFUSALS else None
        if reason is not None:
            raise ArgumentError(f"export_types[{position}]", name, reason)


def _yolo(header: ManifestHeader, _: Path) -> str | None:
    for label in header.labels:
        if not can_be_a_line(label):
            return f"for this format a label must be one line without space around it, and {label!r} is not"
    return None


def _terratorch(header: ManifestHeader, manifest: Path) -> str | None:
    if not header.items[SPLITS[0]]:
        return "for this format the train split needs an image, and it has none"
    wanted = inputs_of(header)  # type: ignore[arg-type]
    reason = _describe_lacking(manifest, list(wanted), "a model needs the same modalities of every item")
    return reason or _describe_unmeasured(manifest)


def _describe_unmeasured(manifest: Path) -> str | None:
    """Describe items without measured values, if a model is trained on these; None if there are none."""
    measured = (
        pl.col("annotations").list.eval(pl.element().struct.field("type") == AnnotationType.RASTER).list.any()
    )
    rows = scan_manifest(manifest).select("name", "split", "annotations", is_measured=measured)
    turn = pl.col("split").replace_strict({split: turn for turn, split in enumerate(SPLITS)})
    annotated = rows.filter(pl.col("annotations").list.len() > 0).sort(turn, "name")
    first = annotated.select("is_measured").head(1).collect().to_series().to_list()
    if not first or not first[0]:
        return None
    without = rows.filter(~pl.col("is_measured")).select(pl.col("name").min(), count=pl.len()).collect()
    name, count = without.row(0)
    if not count:
        return None
    return (
        f"a regression needs measured values of every item, and {count:,} have none, such as {name!r};"
        " exclude"
        " them out by a query"
    )


def _hdf5(header: ManifestHeader, manifest: Path) -> str | None:
    reason = _describe_lacking(
        manifest, list(header.modalities), "it has one array per modality, with a row per item"
    )
    if reason is not None:
        return reason
    media = _media(manifest)
    shape = pl.struct("width", "height", pl.col("bands").list.len(), "dtype")
    kinds = media.group_by("split", "modality").agg(
        pl.col("name").min(), shape.n_unique().alias("kinds"), shapes=shape.unique().sort().head(2)
    )
    for split, modality, _, count, shapes in kinds.sort("split", "modality").collect().iter_rows():
        if count > 1:
            told = " and ".join(
                f"{one['width']} x {one['height']} pixels in {count_noun(one['bands'], 'band')} of"
                f" {one['dtype']}"
                for one in shapes
            )
            return f"it has one array for all {modality} images of {split}, and they differ: there are {told}"
    return None


def _release(header: ManifestHeader, manifest: Path) -> str | None:
    drawn = pl.col("annotations").list.eval(pl.element().struct.field("type"))
    rows = scan_manifest(manifest).select("name", types=drawn)
    is_measured = pl.col("types").list.contains(AnnotationType.RASTER.value)
    measured = rows.filter(is_measured).select(pl.len()).collect().item()
    for wrong, reason in (
        (pl.col("types").list.contains(AnnotationType.LINE.value), "its labels have no form for lines"),
        (
            pl.lit(measured > 0) & ~is_measured,
            "in a release every item has a number, or none has",
        ),
        (
            is_measured & (pl.col("types").list.n_unique() > 1),
            "its labels are either numbers, or drawings and classes",
        ),
    ):
        name, count = rows.filter(wrong).select(pl.col("name").min(), count=pl.len()).collect().row(0)
        if count:
            are = f"{count_noun(count, 'item')} {'is' if count == 1 else 'are'}"
            return f"{reason}, and {are} otherwise, such as {name!r}; {OTHERS_TAKE}"
    shape = pl.struct("width", "height", pl.col("bands").list.len(), "dtype")
    order = {modality: rank for rank, modality in enumerate(header.modalities)}
    rank = pl.col("modality").replace_strict(order, default=len(order))
    first = _media(manifest).group_by("name").agg(pl.all().sort_by(rank).first())
    kinds = first.group_by(shape.alias("shape")).agg(pl.col("name").min()).sort("name").collect()
    if kinds.height > 1:
        names = " and ".join(map(repr, kinds["name"].head(2)))
        return (
            f"its images have one size, number of bands and type, and those of {names} differ; {OTHERS_TAKE}"
        )
    return None


def _describe_lacking(manifest: Path, modalities: list[str], rule: str) -> str | None:
    """Describe items that lack a modality; None if there are none."""
    has = pl.col("media").list.eval(pl.element().struct.field("modality"))
    for modality in modalities:
        rows = scan_manifest(manifest).select("name", has=has).filter(~pl.col("has").list.contains(modality))
        name, count = rows.select(pl.col("name").min(), count=pl.len()).collect().row(0)
        if count:
            return f"{rule}, and {count:,} have no {modality!r} image, such as {name!r}; {ANY_IMAGES}"
    return None


def _media(manifest: Path) -> pl.LazyFrame:
    rows = scan_manifest(manifest).select("name", "split", "width", "height", "media")
    return rows.explode("media", empty_as_null=False).unnest("media")


_REFUSALS: dict[str, Refusal] = {
    "YOLO Darknet": _yolo,
    "TerraTorch": _terratorch,
    "HDF5": _hdf5,
    "Parquet": _hdf5,
    "HF": _hdf5,
    "Zarr": _hdf5,
    "LitData": _hdf5,
    "Release": _release,
    "Release Pixels": _release,
}
"""Checks by format; the other formats can represent every version."""
