"""The tables of the lake: items and annotations of a collection, and the manifest of a dataset version."""

from enum import StrEnum

import polars as pl


class AnnotationType(StrEnum):
    """The type of an annotation."""

    RECTANGLE = "rectangle"
    POLYGON = "polygon"
    LINE = "line"
    MASK = "mask"
    """The pixels of one class in a raster of class values."""
    RASTER = "raster"
    """A raster of measured values, as for regression."""


MEDIA = pl.Struct(
    {
        "modality": pl.String(),
        "path": pl.String(),
        "member": pl.String(),
        "row": pl.Int64(),
        "bands": pl.List(pl.String()),
        "rgb": pl.List(pl.Int64()),
        "dtype": pl.String(),
        "nodata": pl.Float64(),
        "sha256": pl.String(),
    }
)
"""One raster of an item.

`path` is relative to the factory home, or absolute if it is elsewhere. A raster file has no `member` and no
`row`; in an HDF5 file the raster is `file[member][row]`, bands first. `rgb` contains the positions of red,
green and blue in `bands`, counted from 0, or is null. `sha256` is that of the raster file, or of the stored
chunks of the row, in the order of their offsets.
"""

LABEL_RASTER = pl.Struct(
    {
        "path": pl.String(),
        "member": pl.String(),
        "row": pl.Int64(),
        "value": pl.Int64(),
        "nodata": pl.Float64(),
        "sha256": pl.String(),
    }
)
"""The raster of a mask or of measured values, as in MEDIA; `value` is the class of a mask, else null."""

ITEM_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "datetime": pl.Datetime("us", "UTC"),
    "geometry": pl.Binary(),
    "bbox": pl.Struct({edge: pl.Float64() for edge in ("xmin", "ymin", "xmax", "ymax")}),
    "split": pl.String(),
    "width": pl.Int64(),
    "height": pl.Int64(),
    "proj:code": pl.String(),
    "proj:transform": pl.List(pl.Float64()),
    "media": pl.List(MEDIA),
}
"""Columns of a table of items, one row per image.

Others follow, one per property of the metadata, named METADATA_PREFIX and its name. `id` is unique in its
collection. `geometry` is WKB in WGS 84, `bbox` its bounds; both are null if the image is not georeferenced.
`split` is the original split, or null. `proj:code` is such as EPSG:32640, or the WKT of a CRS that has no
code; null if there is none. `proj:transform` is a, b, c, d, e, f of the affine map from column and row; null
if there is none.
"""

METADATA_PREFIX = "metadata."

GROUP = "group"
"""Key in the metadata of annotations: those of one item and operation with the same value are parts of one
object, such as a building behind a tree."""
CROWD = "iscrowd"
"""Key in the metadata of annotations: 1 if one annotation stands for many objects that are not separated
(COCO).
"""

ANNOTATION_SCHEMA: dict[str, pl.DataType] = {
    "item": pl.String(),
    "type": pl.String(),
    "label": pl.String(),
    "bbox": pl.List(pl.Float64()),
    "rings": pl.List(pl.List(pl.List(pl.Float64()))),
    "raster": LABEL_RASTER,
    "confidence": pl.Float64(),
    "metadata": pl.String(),
    "attributes": pl.String(),
}
"""Columns of the annotations of one operation. `item` is the id of the item, `type` an AnnotationType. `bbox`
is x, y, width, height in pixels from the upper left corner of the image (a rectangle has it alone; of polygon
and line it is the bounds). `rings` of a polygon is its outer ring and its holes, each a list of x, y whose
last point is not repeated; of a line, one list. `raster` is that of a mask or of measured values. `metadata`
and `attributes` are JSON objects."""

SOURCED_ANNOTATION = pl.Struct(
    {
        "operation": pl.String(),
        "source": pl.String(),
        **{name: dtype for name, dtype in ANNOTATION_SCHEMA.items() if name != "item"},
    }
)
"""An annotation in a manifest: the id of its operation and its source (`human`, `machine`)."""

MANIFEST_SCHEMA: dict[str, pl.DataType] = {
    "name": pl.String(),
    "collection": pl.String(),
    **{name: dtype for name, dtype in ITEM_SCHEMA.items() if name != "bbox"},
    "metadata": pl.String(),
    "annotations": pl.List(SOURCED_ANNOTATION),
}
"""Columns of the manifest of a dataset version, one row per item, ordered by `name`. `name` is unique in the
version and the stem of the item's files in every export; `collection` is the id of the item's collection,
`split` train, test or validation, `metadata` a JSON object; `annotations` are those of the chosen operations
and labels."""
