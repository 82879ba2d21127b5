"""A sample from a row of the manifest: its images, one mask and one target, and its shapes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.datasets.versions.class_values import no_class
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.relative_paths import resolve

Row = Mapping[str, Any]
"""A row of a manifest."""


def sample_of(row: Row, values: Mapping[str, int], reader: MediaReader) -> Sample:
    """Read the rasters of an item and compose its sample.

    Args:
        row: of the manifest.
        values: the class value of each label.
        reader: of the rasters.

    Raises:
        LakeError: a raster is missing, has changed, or does not match the item.
    """
    annotations = row["annotations"]
    masks = [each for each in annotations if each["type"] == AnnotationType.MASK]
    measured = [each for each in annotations if each["type"] == AnnotationType.RASTER]
    drawn = [each for each in annotations if each["type"] not in (AnnotationType.MASK, AnnotationType.RASTER)]
    transform = row["proj:transform"]
    metadata = json.loads(row["metadata"])
    return Sample(
        name=row["name"],
        original_name=str(metadata.get("original_name") or row["id"]),
        split=row["split"],
        images={media["modality"]: _image(row, media, reader) for media in row["media"]},
        shapes=tuple(_shape(each) for each in drawn),
        mask=_mask(row, masks, values, reader) if masks else None,
        target=_target(row, measured, reader) if measured else None,
        crs=row["proj:code"],
        transform=None if transform is None else tuple(transform),
        acquired=row["datetime"],
        metadata=metadata,
        files={
            media["modality"]: resolve(media["path"], reader.home)
            for media in row["media"]
            if media["member"] is None
        },
    )


def _image(row: Row, media: Mapping[str, Any], reader: MediaReader) -> SampleRaster:
    values = reader.read(media)
    found = len(values), str(values.dtype)
    expected = len(media["bands"]), media["dtype"]
    if found != expected:
        raise LakeError(
            f"The file {media['path']} has {found[0]} bands of {found[1]}, not {expected[0]} of "
            f"{expected[1]} as item {row['id']!r} says."
        )
    rgb = media["rgb"]
    return SampleRaster(
        values=_require_grid(row, media, values),
        bands=tuple(media["bands"]),
        nodata=media["nodata"],
        rgb=None if rgb is None else (rgb[0], rgb[1], rgb[2]),
    )


def _shape(annotation: Mapping[str, Any]) -> Shape:
    x, y, width, height = annotation["bbox"]
    return Shape(
        type=AnnotationType(annotation["type"]),
        label=annotation["label"],
        bbox=(x, y, width, height),
        rings=tuple(np.asarray(ring, np.float64) for ring in annotation["rings"] or ()),
        confidence=annotation["confidence"],
        metadata=json.loads(annotation["metadata"] or "{}"),
        attributes=json.loads(annotation["attributes"] or "{}"),
        operation=annotation["operation"],
        source=annotation["source"],
    )


def _mask(
    row: Row, masks: Sequence[Mapping[str, Any]], values: Mapping[str, int], reader: MediaReader
) -> SampleRaster:
    """Return one raster of class values; where masks overlap, the first one wins."""
    nothing, dtype = no_class(values)
    composed = np.full((1, row["height"], row["width"]), nothing, dtype)
    read: dict[tuple[Any, ...], NDArray[Any]] = {}
    for annotation in masks:
        raster = annotation["raster"]
        place = raster["path"], raster["member"], raster["row"]
        if place not in read:
            read[place] = _require_grid(row, raster, reader.read(raster))[:1]
        is_it = (read[place] == raster["value"]) & (composed == nothing)
        composed[is_it] = values[annotation["label"]]
    return SampleRaster(composed, ("class",), float(nothing))


def _target(row: Row, measured: Sequence[Mapping[str, Any]], reader: MediaReader) -> SampleRaster:
    """Return one raster of measured values; later ones fill pixels where earlier ones have no data."""
    rasters = [each["raster"] for each in measured]
    composed = _require_grid(row, rasters[0], reader.read(rasters[0]))[:1]
    nodata = rasters[0]["nodata"]
    for raster in rasters[1:]:
        values = _require_grid(row, raster, reader.read(raster))[:1]
        fills = ~_is_valid(composed, nodata) & _is_valid(values, raster["nodata"])
        composed = np.where(fills, values, composed)
    if nodata is None and composed.dtype.kind == "f":
        nodata = float("nan")
    return SampleRaster(composed, (measured[0]["label"],), nodata)


def _is_valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    valid = np.isfinite(values)
    return valid if nodata is None else valid & (values != nodata)


def _require_grid(row: Row, raster: Mapping[str, Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return the values, which must be on the grid of the item.

    In a file of samples, whose rasters are all of the same ground, coarser pixels are repeated.
    """
    height, width = values.shape[1:]
    factor = row["height"] // height if raster["member"] is not None else 1
    if (height * factor, width * factor) != (row["height"], row["width"]):
        raise LakeError(
            f"The raster {raster['path']} is {width} x {height} pixels, but item {row['id']!r} is "
            f"{row['width']} x {row['height']}."
        )
    return values if factor == 1 else values.repeat(factor, axis=1).repeat(factor, axis=2)
