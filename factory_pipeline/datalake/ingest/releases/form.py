"""What a release is made of: the names of its files, and the words in its documents."""

from enum import StrEnum
from pathlib import PurePosixPath

META = "meta.json"
BOUNDS = ("bounds.geojson", "bounds.json")
"""What the file of the outlines is called; the first is written."""
IMAGES, LABELS = "images", "labels"
IMAGE_SUFFIXES, LABEL_SUFFIX = (".tif", ".tiff"), ".json"


class MlType(StrEnum):
    """What the labels of a release are for: `mlType` in meta.json."""

    CLASSIFICATION = "classification"
    """0 or 1 per class."""
    SEGMENTATION = "segmentation"
    """A list of polygons per class."""
    OBJECT_DETECTION = "object_detection"
    """A list of rectangles per class."""
    REGRESSION = "regression"
    """A number per class."""


class LabelCoordinates(StrEnum):
    """What the coordinates of labels on images with an outline are."""

    GEOGRAPHIC = "geographic"
    """Longitude and latitude in degrees."""
    PIXEL = "pixel"
    """Column and row from the upper left corner of the image."""


LABEL_COORDINATES, MODALITY, BANDS, RGB = "label_coordinates", "modality", "bands", "rgb"
"""Keys of meta.json beside the published ones; readers that don't know them pass over them."""
CONFIDENCE, METADATA, ATTRIBUTES, ORDER = "confidence", "metadata", "attributes", "order"
"""Members of a label's geometry beside those of GeoJSON, where an annotation has them. `order` is its
position among the labels of all classes of an image, where that is not the order of the classes: a later one
covers earlier ones."""
ORIGINAL_NAME, DATETIME = "original_name", "datetime"
"""Properties of a label file beside `label`, where they are known."""


def is_image(name: str) -> bool:
    """Return whether a file in the folder of the images is one of them."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_label(name: str) -> bool:
    """Return whether a file in the folder of the labels is one of them."""
    return PurePosixPath(name).suffix.lower() == LABEL_SUFFIX
