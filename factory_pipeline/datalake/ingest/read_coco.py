"""Annotations from COCO instances JSON: boxes, polygons, and masks as run lengths."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

from factory_pipeline.datalake.ingest import clip_shapes
from factory_pipeline.datalake.ingest.json_input import confidence, json_object, numbers
from factory_pipeline.datalake.ingest.match_items import Item, find_named_items
from factory_pipeline.datalake.ingest.report import MOST_NAMED, BadAnnotationError, LeftOut, ReadAnnotations
from factory_pipeline.datalake.tables.annotations import annotation_frame
from factory_pipeline.datalake.tables.schemas import CROWD, GROUP
from factory_pipeline.errors import LakeError
from factory_pipeline.imagery.coco_rle import decode_counts, mask_to_polygons

LISTS = ("images", "annotations", "categories")
OUTSIDE = "is outside of its image"


def read_coco(
    document: Any, name: str, items: Path, name_ending: str = "", match: re.Pattern[str] | None = None
) -> ReadAnnotations:
    """Read the annotations of a COCO file, on the items that its images name.

    A segmentation takes precedence over the box beside it: a polygon per part, a mask as polygons along its
    pixels. Parts of one annotation have the same `group` in their metadata. The confidence is `score`;
    `attributes` are stored, and the ids of the file and `iscrowd` as metadata. An annotation that is not
    valid is skipped and counted.

    Args:
        document: the parsed JSON, with images, annotations and categories.
        name: of the file, for messages.
        items: the items of the collection.
        name_ending: text after the names of the items in the names of the files.
        match: finds the names of the items in the names of the files.

    Raises:
        LakeError: the document is not valid or does not fit the items, or no annotation is left.
    """
    if not isinstance(document, Mapping) or not all(isinstance(document.get(key), list) for key in LISTS):
        raise LakeError(f"The file {name} is not a COCO file: it must have the lists {', '.join(LISTS)}.")
    images = _index_by_id(document["images"], "images", "file_name", name)
    labels = {
        id: one["name"]
        for id, one in _index_by_id(document["categories"], "categories", "name", name).items()
    }
    left_out, used = LeftOut(), list[tuple[int, Mapping[str, Any], Mapping[str, Any]]]()
    for number, given in enumerate(document["annotations"], 1):
        try:
            used.append((number, given, _image(given, number, images, name)))
        except BadAnnotationError as error:
            left_out.add_error(error)
    named = [image["file_name"] for _, _, image in used] or [image["file_name"] for image in images.values()]
    found = find_named_items(items, named, name, name_ending, match)
    rows: list[dict[str, Any]] = []
    for number, given, image in used:
        which = _name_annotation(given, number, name)
        item = found.get(image["file_name"])
        if item is None:
            left_out.add(which, "is of an image that is not an item of the collection")
            continue
        _check_size(image, item, name)
        try:
            rows += _rows(given, number, item, labels, which, left_out)
        except BadAnnotationError as error:
            left_out.add_error(error)
    if not rows:
        raise LakeError(
            f"The file {name} has no annotations on an item of the collection{left_out.clause()}."
        )
    unmatched = [one for one in dict.fromkeys(named) if one not in found]
    frame = annotation_frame(rows).sort("item", maintain_order=True)
    return ReadAnnotations(frame, len(found), unmatched, left_out)


def _index_by_id(listed: list[Any], kind: str, text: str, name: str) -> dict[Any, Mapping[str, Any]]:
    """Return images or categories by id; each has a text under a key."""
    found: dict[Any, Mapping[str, Any]] = {}
    twice: dict[Any, list[str]] = {}
    for one in listed:
        given = one.get(text) if isinstance(one, Mapping) else None
        if not isinstance(given, str) or not given.strip() or not isinstance(one.get("id"), int | str):
            raise LakeError(f"The file {name} has one of the {kind} without id or {text}: {one!r}.")
        if one["id"] in found:
            twice.setdefault(one["id"], [found[one["id"]][text]]).append(given)
        found[one["id"]] = one
    if twice:
        told = [
            f"{id!r} ({', '.join(map(repr, texts[:MOST_NAMED]))})"
            for id, texts in list(twice.items())[:MOST_NAMED]
        ]
        more = f" and {len(twice) - MOST_NAMED} more" if len(twice) > MOST_NAMED else ""
        raise LakeError(
            f"The file {name} has several {kind} of the same id: {', '.join(told)}{more}; set for each an id"
            " of"
            " its own, because annotations can't be assigned to them."
        )
    return found


def _name_annotation(given: Any, number: int, name: str) -> str:
    """Return an annotation as messages name it."""
    id = given.get("id") if isinstance(given, Mapping) else None
    return f"The annotation {f'number {number}' if id is None else id} of {name}"


def _image(given: Any, number: int, images: Mapping[Any, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    which = _name_annotation(given, number, name)
    if not isinstance(given, Mapping):
        raise BadAnnotationError(which, "is not an object")
    image_id = given.get("image_id")
    if not isinstance(image_id, int | str) or image_id not in images:
        raise BadAnnotationError(which, f"is of the image {image_id!r}, which the file lacks")
    return images[image_id]


def _check_size(image: Mapping[str, Any], item: Item, name: str) -> None:
    said = image.get("width", item.width), image.get("height", item.height)
    if said != (item.width, item.height):
        raise LakeError(
            f"The image {image['file_name']} is {said[0]} x {said[1]} pixels in {name}, but the item"
            f" {item.id} is {item.width} x {item.height}."
        )


def _rows(
    given: Mapping[str, Any],
    number: int,
    item: Item,
    labels: Mapping[Any, str],
    where: str,
    left_out: LeftOut,
) -> list[dict[str, Any]]:
    category = given.get("category_id")
    if not isinstance(category, int | str) or category not in labels:
        raise BadAnnotationError(where, f"is of the category {category!r}, which the file lacks")
    attributes = given.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise BadAnnotationError(where, "has attributes that are not an object")
    score = confidence(given.get("score"), where)
    parts = _shapes(given, item, where, left_out)
    metadata = {key: given[key] for key in ("id", CROWD) if key in given}
    if len(parts) > 1:
        metadata[GROUP] = number
    said = {
        "item": item.id,
        "label": labels[category].strip(),
        "confidence": score,
        "metadata": json_object(metadata),
        "attributes": json_object(attributes),
    }
    return [said | row for row in parts]


def _shapes(given: Mapping[str, Any], item: Item, where: str, left_out: LeftOut) -> list[clip_shapes.Row]:
    """Return the shapes on an item, one row per part.

    Raises:
        BadAnnotationError: there are none.
    """
    size = (item.width, item.height)
    segmentation: Any = given.get("segmentation")
    if isinstance(segmentation, Mapping):
        rows = clip_shapes.polygons(_trace_mask(segmentation, item, where), size)
        if not rows:
            raise BadAnnotationError(where, "has a mask without pixels")
        return rows
    if segmentation:
        return _polygons(
            segmentation if isinstance(segmentation, list) else [segmentation], size, where, left_out
        )
    box: Any = given.get("bbox")
    if not numbers(box, 4):
        raise BadAnnotationError(where, "has neither a segmentation nor a bbox of x, y, width and height")
    if box[2] <= 0 or box[3] <= 0:
        raise BadAnnotationError(where, "has a box without area")
    rows = clip_shapes.rectangle(box, size)
    if not rows:
        raise BadAnnotationError(where, OUTSIDE)
    return rows


def _polygons(
    parts: list[Any], size: tuple[int, int], where: str, left_out: LeftOut
) -> list[clip_shapes.Row]:
    """Return the parts of a segmentation; those that are not polygons are skipped and counted."""
    rows: list[clip_shapes.Row] = []
    bad: list[BadAnnotationError] = []
    for part in parts:
        try:
            polygon = shapely.Polygon(_ring(part, where))
            if shapely.make_valid(polygon).area < clip_shapes.SLIVER:
                raise BadAnnotationError(where, "has a polygon without area")
            rows += clip_shapes.polygons(polygon, size)
        except BadAnnotationError as error:
            bad.append(error)
    if not rows:
        raise bad[0] if bad else BadAnnotationError(where, OUTSIDE)
    for left in bad:
        left_out.add(left.which, f"{left.reason}; its other parts are used")
    return rows


def _ring(part: Any, where: str) -> list[tuple[float, float]]:
    if not numbers(part) or len(part) < 6 or len(part) % 2:
        raise BadAnnotationError(
            where, "has a polygon that is not a list of three or more points x, y, x, y, ..."
        )
    return list(zip(part[::2], part[1::2], strict=True))


def _trace_mask(segmentation: Mapping[str, Any], item: Item, where: str) -> Any:
    size: Any = segmentation.get("size")
    counts: Any = segmentation.get("counts")
    if size != [item.height, item.width]:
        raise BadAnnotationError(
            where,
            f"has a mask of the size {size} (height, width), but the item {item.id} has"
            f" {[item.height, item.width]}",
        )
    if not isinstance(counts, str) and not (numbers(counts) and all(isinstance(c, int) for c in counts)):
        raise BadAnnotationError(where, "has a mask whose counts are neither a text nor integers")
    try:
        return mask_to_polygons(decode_counts(counts, item.height, item.width))
    except ValueError as error:
        raise BadAnnotationError(where, f"has a mask that can't be read: {error}") from error
