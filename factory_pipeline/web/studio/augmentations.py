"""The augmentations of the form of a new dataset, each shown on an image of the selection."""

import hashlib
import json
from itertools import islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datasets.augment.apply import NEEDS_COLOURS, SUFFIXES, copies
from factory_pipeline.datasets.augment.config import OPERATIONS, SWITCH, parse_augmentations
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.web.studio.context import Studio, studio_of
from factory_pipeline.web.studio.pictures import collection_of, draw_values, kept_picture, media_of

SIDE = 160
SEED = "preview"
"""A version draws its numbers with a seed of its own, anew for each image."""


def augmentation_of(operation: str) -> dict[str, Any]:
    """Return an augmentation with all its switches on, and a moderate range of each number."""
    properties = []
    for name, limits in OPERATIONS[operation].items():
        values: list[Any] = [True] if limits is SWITCH else [limits[0] / 5, limits[1] / 5]
        properties.append({"id": name, "values": values})
    return {"id": operation, "properties": properties}


def names_of_copies(operation: str, has_rgb: bool) -> list[str]:
    """Return what the copies of an augmentation are called, in their order.

    Args:
        operation: id of the augmentation.
        has_rgb: whether red, green and blue of the image are known.
    """
    if operation in NEEDS_COLOURS and not has_rgb:
        return []
    properties = OPERATIONS[operation]
    ids = list(properties) if SWITCH in properties.values() else [operation]
    return [SUFFIXES[one].replace("_", " ").capitalize() for one in ids]


def augmented_picture(request: Request) -> Response:
    """Serve a copy that an augmentation makes of an item, stretched as the item itself is."""
    studio, asked = studio_of(request), request.query_params
    collection = collection_of(studio, request.path_params["collection"])
    operation, item, number = asked.get("operation", ""), asked.get("id", ""), asked.get("copy", "0")
    if operation not in OPERATIONS or number not in ("0", "1", "2"):
        raise HTTPException(404)
    entry = augmentation_of(operation)
    named = json.dumps([item, entry, number]).encode("utf-8", "replace")
    digest = hashlib.sha256(named).hexdigest()[:24]
    return kept_picture(
        studio,
        f"augmented-{collection.id}-{digest}",
        lambda: _draw_copy(studio, collection, item, entry, int(number)),
    )


def _draw_copy(
    studio: Studio, collection: Collection, item: str, entry: dict[str, Any], number: int
) -> bytes:
    """Draw a copy of the first raster of an item.

    Raises:
        IndexError: there is no such copy.
        LakeError: the raster is missing, or is not what it was.
    """
    media = media_of(studio, collection, item)[0]
    reader = MediaReader(studio.home)
    try:
        values = reader.read(media)
    finally:
        reader.close()
    rgb = media["rgb"]
    raster = SampleRaster(
        values, tuple(media["bands"]), media["nodata"], (rgb[0], rgb[1], rgb[2]) if rgb else None
    )
    made = copies(Sample(item, "train", {"image": raster}), parse_augmentations([entry]), SEED)
    copy = next(islice(made, number, None), None)
    if copy is None:
        raise IndexError(number)
    drawn = copy.images["image"]
    return draw_values(drawn.values, rgb, drawn.nodata, SIDE, like=values)


ROUTES = [Route("/lake/augmented/{collection}", augmented_picture)]
