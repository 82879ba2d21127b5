"""Samples in memory, of any dtype and number of bands: what augmentations are tested with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.augment.config import Augmentation, parse_augmentations
from factory_pipeline.datasets.model.sample import Affine6, Sample, SampleRaster, Shape

DTYPES = ("uint8", "uint16", "int16", "float32")
NODATA = {"uint8": 0, "uint16": 0, "int16": -9999, "float32": -9999.0}
RANGES = {"uint8": (1, 255), "uint16": (1, 12_000), "int16": (-2_500, 900), "float32": (-0.2, 1.3)}
TRANSFORM: Affine6 = (10.0, 0.0, 399_960.0, 0.0, -10.0, 5_000_040.0)


def made_raster(
    dtype: str = "uint16",
    bands: int = 3,
    size: tuple[int, int] = (24, 30),
    nodata: bool = False,
    seed: int = 0,
) -> SampleRaster:
    """Random pixels; with nodata, a block of them and a few single ones in every band."""
    noise = np.random.default_rng([seed, bands])
    values = noise.uniform(*RANGES[dtype], (bands, *size)).astype(dtype)
    if nodata:
        values[:, : size[0] // 4, : size[1] // 4] = NODATA[dtype]
        values[noise.random(values.shape) < 0.05] = NODATA[dtype]
    return SampleRaster(
        values,
        tuple(f"band {number}" for number in range(bands)),
        NODATA[dtype] if nodata else None,
        (2, 1, 0) if bands >= 3 else None,
    )


def made_sample(images: Mapping[str, SampleRaster] | SampleRaster | None = None, **facts: Any) -> Sample:
    """A sample of one modality, georeferenced, with a mask, measured values and a shape of each type."""
    images = made_raster() if images is None else images
    images = {"S2": images} if isinstance(images, SampleRaster) else images
    sample = Sample(name="höst 001", split="train", images=images, metadata={"Tags": ["water"]})
    noise = np.random.default_rng(len(images))
    mask = noise.choice(np.array([1, 2, 7, 255], np.uint8), (1, *sample.size))
    target = noise.normal(100, 20, (1, *sample.size)).astype(np.float32)
    return replace(
        sample,
        shapes=(
            Shape(AnnotationType.RECTANGLE, "lake", (2.25, 3.5, 10.5, 7.25), confidence=0.75),
            drawn(
                AnnotationType.POLYGON,
                [(12, 5), (26, 5), (26, 18), (12, 18)],
                [(16, 8), (16, 14), (22, 14), (22, 8)],
            ),
            drawn(AnnotationType.LINE, [(0, 0), (24.5, 20), (29, 3)]),
        ),
        mask=SampleRaster(mask, ("class",), 255),
        target=SampleRaster(target, ("AGBD",), -9999.0),
        crs="EPSG:32633",
        transform=TRANSFORM,
        **facts,
    )


def drawn(kind: AnnotationType, *rings: list[tuple[float, float]] | NDArray[Any], **facts: Any) -> Shape:
    """A polygon or a line."""
    arrays = tuple(np.array(ring, np.float64) for ring in rings)
    (left, top), (right, bottom) = arrays[0].min(axis=0), arrays[0].max(axis=0)
    bbox = (float(left), float(top), float(right - left), float(bottom - top))
    return Shape(kind, facts.pop("label", "lake"), bbox, arrays, **facts)


def asked(**operations: Mapping[str, Any]) -> tuple[Augmentation, ...]:
    """Augmentations by operation and property: a bool, or two numbers."""
    entries = [
        {
            "id": operation,
            "properties": [
                {"id": name, "values": [value] if isinstance(value, bool) else value}
                for name, value in properties.items()
            ],
        }
        for operation, properties in operations.items()
    ]
    return parse_augmentations({"IMAGE_LEVEL": entries})


EVERY = asked(
    FLIP_IMAGE={"FLIP_HORIZONTAL": True, "FLIP_VERTICAL": True},
    IMAGE_ROTATION={"PERCENTAGE_SCALE": [-360, 360]},
    IMAGE_BLUR={"BLUR": [0, 15]},
    NINETY_ROTATION={"CLOCKWISE": True, "COUNTER_CLOCKWISE": True, "UPSIDE_DOWN": True},
    GRAYSCALE={"GRAYSCALE_PERCENTAGE": [0, 100]},
    HUE={"HUE_DEGREES": [-50, 50]},
    SATURATION={"SATURATION_DEGREES": [-50, 50]},
    BRIGHTNESS={"BRIGHTNESS_DEGREES": [-50, 50]},
    NOISE={"NOISE_PERCENTAGE": [0, 100]},
    SHEAR={"SHEAR_HORIZONTAL": [-40, 40], "SHEAR_VERTICAL": [-40, 40]},
    CROP={"CROP_PERCENTAGE": [0, 100]},
)
"""All that there is, each with its whole range."""
