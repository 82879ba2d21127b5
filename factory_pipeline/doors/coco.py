"""Annotations from COCO instances JSON: boxes, polygons, and masks as run lengths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import shapely

from factory_pipeline.doors import drawn
from factory_pipeline.doors.documents import confidence, json_object, numbers
from factory_pipeline.doors.named import Item, items_named
from factory_pipeline.doors.rle import decode, outlines
from factory_pipeline.errors import LakeError
from factory_pipeline.lake.annotations import annotation_frame

LISTS = ("images", "annotations", "categories")


def read_coco(document: Any, name: str, items: Path, name_ending: str = "") -> pl.DataFrame:
    """The annotations of a COCO file, on the items that its images name.

    A segmentation wins over the box beside it: a polygon per part, a mask as polygons along its pixels. The
    confidence is `score`; `attributes` are kept, and the ids of the file as metadata.

    Args:
        document: it has images, annotations and categories.
        name: of the file, for messages.
        items: the items of the collection.
        name_ending: what follows the names of the items in the names of the files.

    Returns:
        A frame in ANNOTATION_SCHEMA.

    Raises:
        LakeError: the document is broken or does not fit the items.
    """
    if not isinstance(document, Mapping) or not all(isinstance(document.get(key), list) for key in LISTS):
        raise LakeError(f"The file {name} is no COCO file: it must have the lists {', '.join(LISTS)}.")
    images = _by_id(document["images"], "images", "file_name", name)
    labels = {
        id: one["name"] for id, one in _by_id(document["categories"], "categories", "name", name).items()
    }
    used = [_image(one, images, name) for one in document["annotations"]]
    found = items_named(items, [image["file_name"] for image in used], name, name_ending)
    rows: list[dict[str, Any]] = []
    for given, image in zip(document["annotations"], used, strict=True):
        if image["file_name"] in found:
            item = found[image["file_name"]]
            _check_size(image, item, name)
            rows += _rows(given, item, labels, f"The annotation {given.get('id')} of {name}")
    if not rows:
        raise LakeError(f"The file {name} has no annotations that lie on an item of the collection.")
    return annotation_frame(rows).sort("item", maintain_order=True)


def _by_id(listed: list[Any], kind: str, text: str, name: str) -> dict[Any, Mapping[str, Any]]:
    """Images or categories by id; each has a text under a key."""
    for one in listed:
        given = one.get(text) if isinstance(one, Mapping) else None
        if not isinstance(given, str) or not given.strip() or not isinstance(one.get("id"), int | str):
            raise LakeError(f"The file {name} has one of the {kind} without id or {text}: {one!r}.")
    return {one["id"]: one for one in listed}


def _image(given: Any, images: Mapping[Any, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    image_id = given.get("image_id") if isinstance(given, Mapping) else None
    if not isinstance(image_id, int | str) or image_id not in images:
        raise LakeError(f"The file {name} has an annotation of the image {image_id!r}, which it lacks.")
    return images[image_id]


def _check_size(image: Mapping[str, Any], item: Item, name: str) -> None:
    said = image.get("width", item.width), image.get("height", item.height)
    if said != (item.width, item.height):
        raise LakeError(
            f"The image {image['file_name']} is {said[0]} x {said[1]} pixels in {name}, but the item"
            f" {item.id} is {item.width} x {item.height}."
        )


def _rows(
    given: Mapping[str, Any], item: Item, labels: Mapping[Any, str], where: str
) -> list[dict[str, Any]]:
    category = given.get("category_id")
    if not isinstance(category, int | str) or category not in labels:
        raise LakeError(f"{where} is of the category {category!r}, which the file lacks.")
    attributes = given.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise LakeError(f"{where} has attributes that are no object.")
    said = {
        "item": item.id,
        "label": labels[category].strip(),
        "confidence": confidence(given.get("score"), where),
        "metadata": json_object({key: given[key] for key in ("id", "iscrowd") if key in given}),
        "attributes": json_object(attributes),
    }
    return [said | row for row in _drawn(given, item, where)]


def _drawn(given: Mapping[str, Any], item: Item, where: str) -> list[drawn.Row]:
    size = (item.width, item.height)
    segmentation: Any = given.get("segmentation")
    if isinstance(segmentation, Mapping):
        return drawn.polygons(_traced(segmentation, item, where), size)
    if segmentation:
        parts = segmentation if isinstance(segmentation, list) else [segmentation]
        rings = [_ring(part, where) for part in parts]
        return [row for ring in rings for row in drawn.polygons(shapely.Polygon(ring), size)]
    box: Any = given.get("bbox")
    if not numbers(box, 4):
        raise LakeError(f"{where} has neither a segmentation nor a bbox of x, y, width and height.")
    return drawn.rectangle(box, size)


def _ring(part: Any, where: str) -> list[tuple[float, float]]:
    if not numbers(part) or len(part) < 6 or len(part) % 2:
        raise LakeError(f"{where} has a polygon that is no list of three or more points x, y, x, y, ...")
    return list(zip(part[::2], part[1::2], strict=True))


def _traced(segmentation: Mapping[str, Any], item: Item, where: str) -> Any:
    size: Any = segmentation.get("size")
    counts: Any = segmentation.get("counts")
    if size != [item.height, item.width]:
        raise LakeError(
            f"{where} has a mask of the size {size} (height, width), but the item {item.id} has"
            f" {[item.height, item.width]}."
        )
    if not isinstance(counts, str) and not (numbers(counts) and all(isinstance(c, int) for c in counts)):
        raise LakeError(f"{where} has a mask whose counts are neither a text nor a list of whole numbers.")
    try:
        return outlines(decode(counts, item.height, item.width))
    except ValueError as error:
        raise LakeError(f"{where} has a mask that can't be read: {error}.") from error
