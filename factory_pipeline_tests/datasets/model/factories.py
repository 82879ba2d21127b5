"""A small dataset version in memory, its images in files: what exports are tested with.

Every fourth image of a split, from the first on, is a background image: nothing is annotated on it. The
others take turns in what their annotations are: a rectangle and a polygon with a hole; a line, and a
rectangle that reaches out of the image; a polygon that is not convex. Each training image is followed by a
mirrored copy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.model.sample import Affine6, Sample, SampleRaster, Shape

HEIGHT, WIDTH = 40, 48
CRS = "EPSG:32633"
SATELLITE_BANDS = ("B02", "B03", "B04", "B8A")
PHOTO_BANDS = ("red", "green", "blue")
VALUES = {"vatten (sjö)": 1, "tree cover": 2, "road": 7}
"""Labels with their class values, in the order in which they were asked for."""
NO_CLASS = 0
NO_MEASUREMENT = -9999.0
FIRST_DAY = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)


@dataclass(frozen=True)
class MadeVersion:
    """A VersionContent whose samples are made as they are taken, their images read from files."""

    folder: Path
    """Where the files of the originals lie."""
    modalities: Mapping[str, tuple[str, ...]]
    originals: Mapping[str, int]
    """Number of images by split."""
    values: Mapping[str, int] = field(default_factory=lambda: VALUES)
    masks: bool = False
    """Whether the annotated images also have a mask."""
    targets: bool = False
    """Whether all images have measured values."""
    georeferenced: bool = True
    augmented: bool = True
    stored: bool = True
    """Whether the originals are raster files; else as from HDF5, without files."""
    dataset: str = "Sjöar & roads"
    number: str = "1.0.4"
    dated: datetime | None = FIRST_DAY
    credits: tuple[Mapping[str, Any], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def counts(self) -> Mapping[str, int]:
        return {
            split: count * (2 if self.augmented and split == "train" else 1)
            for split, count in self.originals.items()
        }

    def samples(self, split: str) -> Iterator[Sample]:
        for number in range(self.originals[split]):
            sample = self._original(split, number)
            yield sample
            if self.augmented and split == "train":
                yield mirrored(sample)

    def _original(self, split: str, number: int) -> Sample:
        name = f"{split}.höst {number:03d}"
        files = {tag: self.folder / f"{split}-{number:03d}-{tag}{self._suffix}" for tag in self.modalities}
        noise = np.random.default_rng([number, len(split)])
        annotated = number % 4 != 0
        return Sample(
            name=name,
            split=split,
            images={tag: self._read(path, bands) for (tag, bands), path in
                    zip(self.modalities.items(), files.values(), strict=True)},
            shapes=_shapes(number, self.labels),
            mask=self._mask(noise) if self.masks and annotated else None,
            target=_target(noise) if self.targets else None,
            crs=CRS if self.georeferenced else None,
            transform=_transform(number) if self.georeferenced else None,
            acquired=FIRST_DAY.replace(hour=number % 24),
            metadata={"Tags": ["höst", split], "cloud_cover": number / 10},
            files=files if self.stored else {},
        )  # fmt: skip

    def make_files(self) -> "MadeVersion":
        """Write the files of the originals, one after the other."""
        self.folder.mkdir(parents=True)
        for split, count in self.originals.items():
            for number in range(count):
                for position, (tag, bands) in enumerate(self.modalities.items()):
                    noise = np.random.default_rng([number, position, len(split)])
                    self._write(
                        self.folder / f"{split}-{number:03d}-{tag}{self._suffix}", bands, noise, number
                    )
        return self

    @property
    def _suffix(self) -> str:
        return ".tif" if self.georeferenced else ".png"

    def _write(self, path: Path, bands: tuple[str, ...], noise: np.random.Generator, number: int) -> None:
        profile: dict[str, Any] = {"count": len(bands), "height": HEIGHT, "width": WIDTH}
        if self.georeferenced:
            profile |= {"driver": "GTiff", "dtype": "uint16", "nodata": 0, "crs": CRS}
            profile |= {"transform": Affine(*_transform(number)), "photometric": "MINISBLACK"}
        else:
            profile |= {"driver": "PNG", "dtype": "uint8"}
        values = noise.integers(0, 255 if not self.georeferenced else 11_000, (len(bands), HEIGHT, WIDTH))
        with rasterio.open(path, "w", **profile) as out:
            out.write(values.astype(profile["dtype"]))

    def _read(self, path: Path, bands: tuple[str, ...]) -> SampleRaster:
        with rasterio.open(path) as stored:
            rgb = (2, 1, 0) if bands == SATELLITE_BANDS else (0, 1, 2) if bands == PHOTO_BANDS else None
            return SampleRaster(stored.read(), bands, stored.nodata, rgb)

    def _mask(self, noise: np.random.Generator) -> SampleRaster:
        nodata = NO_CLASS if NO_CLASS not in self.values.values() else 255
        values = np.full((1, HEIGHT, WIDTH), nodata, np.uint8)
        classes = noise.choice(list(self.values.values()), (5, 12))
        values[0, 20:30, 4:16] = np.repeat(classes, 2, axis=0)
        return SampleRaster(values, ("class",), nodata)


def satellite_version(folder: Path, *, samples: int = 6, **facts: Any) -> MadeVersion:
    """Georeferenced GeoTIFF images, uint16 of four bands; `samples` in training, half as many in test and
    validation."""
    facts = {"modalities": {"S2L2A": SATELLITE_BANDS}, "originals": _originals(samples), **facts}
    return MadeVersion(folder / "satellite", **facts).make_files()


def photo_version(folder: Path, *, samples: int = 6, **facts: Any) -> MadeVersion:
    """PNG images, uint8 of red, green and blue, not georeferenced."""
    facts = {"modalities": {"photo": PHOTO_BANDS}, "originals": _originals(samples), **facts}
    return MadeVersion(folder / "photos", georeferenced=False, **facts).make_files()


TWO_MODALITIES = {"S2L2A": SATELLITE_BANDS, "DEM": ("elevation",)}
"""For `satellite_version(folder, modalities=TWO_MODALITIES)`."""


def mirrored(sample: Sample) -> Sample:
    """A copy of a sample, left and right exchanged, as augmentation makes it."""
    width = sample.size[1]

    def flip(raster: SampleRaster | None) -> SampleRaster | None:
        return None if raster is None else replace(raster, values=raster.values[:, :, ::-1].copy())

    def moved(shape: Shape) -> Shape:
        x, y, w, h = shape.bbox
        rings = tuple(np.column_stack([width - ring[:, 0], ring[:, 1]]) for ring in shape.rings)
        return replace(shape, bbox=(width - x - w, y, w, h), rings=rings)

    transform = sample.transform
    if transform is not None:
        a, b, c, d, e, f = transform
        transform = (-a, b, c + a * width, -d, e, f + d * width)
    return replace(
        sample,
        name=f"{sample.name}_copy1",
        images={tag: flip(raster) for tag, raster in sample.images.items()},
        shapes=tuple(moved(shape) for shape in sample.shapes),
        mask=flip(sample.mask),
        target=flip(sample.target),
        transform=transform,
        files={},
        origin=sample.name,
    )


def _originals(samples: int) -> dict[str, int]:
    return {"train": samples, "test": samples // 2, "validation": samples // 2}


def _transform(number: int) -> Affine6:
    return (10.0, 0.0, 399_960.0 + 480 * number, 0.0, -10.0, 5_000_040.5)


def _target(noise: np.random.Generator) -> SampleRaster:
    values = noise.normal(120, 40, (1, HEIGHT, WIDTH)).astype(np.float32)
    values[0, :3] = NO_MEASUREMENT
    return SampleRaster(values, ("AGBD",), NO_MEASUREMENT)


def _shapes(number: int, labels: tuple[str, ...]) -> tuple[Shape, ...]:
    first, second, third = labels
    sets: tuple[tuple[Shape, ...], ...] = (
        (),
        (
            Shape(AnnotationType.RECTANGLE, first, (2.25, 3.5, 10.5, 7.25), confidence=0.75),
            _drawn(
                AnnotationType.POLYGON,
                second,
                [(20, 5), (40, 5), (40, 18), (20, 18)],
                [(26, 8), (26, 14), (34, 14), (34, 8)],
                attributes={"occluded": False},
            ),
        ),
        (
            _drawn(AnnotationType.LINE, third, [(0, 0), (24.5, 20), (47, 39)]),
            Shape(AnnotationType.RECTANGLE, third, (40.0, 30.0, 20.0, 20.0), metadata={"checked by": "Åsa"}),
        ),
        (
            _drawn(
                AnnotationType.POLYGON,
                first,
                [(5.5, 5.5), (30.25, 6), (18, 15), (30, 33.75), (6, 34)],
                source="machine",
                confidence=0.5,
            ),
        ),
    )
    return sets[number % 4]


def _drawn(kind: AnnotationType, label: str, *rings: list[tuple[float, float]], **facts: Any) -> Shape:
    arrays = tuple(np.array(ring, np.float64) for ring in rings)
    return Shape(kind, label, _bounds(arrays[0]), arrays, **facts)


def _bounds(points: NDArray[Any]) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)
