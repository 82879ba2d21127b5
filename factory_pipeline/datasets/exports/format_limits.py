"""Whether formats can hold a version, as its manifest tells: asked before the version is made.

What only the pixels tell is met when the export is written.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.terratorch import inputs_of
from factory_pipeline.datasets.exports.yolo import can_be_a_line
from factory_pipeline.datasets.versions.manifest import ManifestHeader, read_header, scan_manifest
from factory_pipeline.errors import ArgumentError
from factory_pipeline.splits.names import SPLITS

ANY_IMAGES = "'RAW', 'YOLO Darknet', 'Semantic Segmentation', 'COCO' and 'Croissant' take such items"

Refusal = Callable[[ManifestHeader, Path], str | None]


def check_fitness(manifest: Path, export_types: Sequence[str]) -> None:
    """See that formats can hold the version of a manifest.

    Args:
        manifest: of the version.
        export_types: names of the formats, all known.

    Raises:
        ArgumentError: one can't; the message says why, and names an item.
    """
    header = read_header(manifest)
    for position, name in enumerate(export_types):
        reason = _REFUSALS[name](header, manifest) if name in _REFUSALS else None
        if reason is not None:
            raise ArgumentError(f"export_types[{position}]", name, reason)


def _yolo(header: ManifestHeader, _: Path) -> str | None:
    for label in header.labels:
        if not can_be_a_line(label):
            return f"for this format a label is one line with no space around it, and {label!r} is not"
    return None


def _terratorch(header: ManifestHeader, manifest: Path) -> str | None:
    if not header.items[SPLITS[0]]:
        return "for this format the train split needs an image, and it has none"
    wanted = inputs_of(header)  # type: ignore[arg-type]
    reason = _lacking(manifest, list(wanted), "a model takes the same modalities of every item")
    return reason or _unmeasured(manifest)


def _unmeasured(manifest: Path) -> str | None:
    """Name an item without measured values, where a model is trained on such."""
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
        f"a regression needs measured values of every item, and {count:,} have none, such as {name!r}; leave"
        " them out by a query"
    )


def _hdf5(header: ManifestHeader, manifest: Path) -> str | None:
    reason = _lacking(manifest, list(header.modalities), "it has one array per modality, with a row per item")
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
                f"{one['width']} x {one['height']} pixels in {one['bands']} bands of {one['dtype']}"
                for one in shapes
            )
            return f"it has one array for all {modality} images of {split}, and they differ: there are {told}"
    return None


def _lacking(manifest: Path, modalities: list[str], rule: str) -> str | None:
    """Name an item that lacks a modality."""
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


_REFUSALS: dict[str, Refusal] = {"YOLO Darknet": _yolo, "TerraTorch": _terratorch, "HDF5": _hdf5}
"""By format; the others take whatever a version holds."""
