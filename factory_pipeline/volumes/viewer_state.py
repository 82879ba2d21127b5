"""The state of a Neuroglancer viewer that shows the boxes of a spec over its volume of images."""

from typing import Any

from factory_pipeline.redaction import display
from factory_pipeline.volumes.spec import PRECOMPUTED, PairSpec

BOXES = "boxes of pairs"
"""Name of the layer of annotations."""
_METRES = 1e-9


def viewer_state(spec: PairSpec, resolution: tuple[float, float, float]) -> dict[str, Any]:
    """Return a state as JSON: the images, and each box of a section once, with the pairs that have it.

    Args:
        spec: the pairs.
        resolution: nanometres per voxel of MIP 0: x, y, z.
    """
    dimensions = {axis: [size * _METRES, "m"] for axis, size in zip("xyz", resolution, strict=True)}
    users: dict[Any, list[str]] = {}
    for number, (src, tgt) in enumerate(spec.boxes()):
        users.setdefault(src, []).append(f"src of {number}")
        users.setdefault(tgt, []).append(f"tgt of {number}")
    boxes = [
        {
            "type": "axis_aligned_bounding_box",
            "id": str(index),
            "pointA": [box.x, box.y, box.z],
            "pointB": [box.x + box.width, box.y + box.height, box.z + 1],
            "description": ", ".join(pairs),
        }
        for index, (box, pairs) in enumerate(users.items())
    ]
    first = next(iter(users), None)
    position = [0.0, 0.0, 0.0]
    if first is not None:
        position = [first.x + first.width / 2, first.y + first.height / 2, first.z + 0.5]
    address = display(spec.image.path.removeprefix(PRECOMPUTED))
    return {
        "dimensions": dimensions,
        "position": position,
        "layers": [
            {"type": "image", "name": "images", "source": f"{PRECOMPUTED}{address}"},
            {
                "type": "annotation",
                "name": BOXES,
                "source": {
                    "url": "local://annotations",
                    "transform": {"outputDimensions": dimensions},
                },
                "annotations": boxes,
            },
        ],
        "selectedLayer": {"layer": BOXES, "visible": True},
        "layout": "xy",
    }
