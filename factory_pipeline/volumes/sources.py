"""The open volumes of a spec, checked before anything is cut from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from factory_pipeline.errors import VolumeError
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.spec import MaskSource, PairSpec, Reference
from factory_pipeline.volumes.volume import VolumeMip, VolumeReader

FIELD_TYPE = "float32"
"""Vectors are in MIP 0 pixels; a volume of whole numbers would have another unit."""


OUTSIDE_SHOWN = 20
"""Boxes outside the volume that a message names."""


@dataclass(frozen=True)
class ReferenceSource:
    """An open volume with the size of the box that statistics are taken from."""

    volume: VolumeMip
    mip: int
    """Mip at which an image counts; of a field its own."""
    extent: tuple[int, int]
    """Width and height in MIP 0 pixels."""


@dataclass(frozen=True)
class Sources:
    """The open volumes of a spec."""

    image: VolumeMip
    image_reference: ReferenceSource | None
    field: VolumeMip | None
    field_reference: ReferenceSource | None
    masks: tuple[tuple[VolumeMip, float], ...]
    """Each with its threshold."""

    def volumes(self) -> list[VolumeMip]:
        """Return the volumes, each as often as it is used."""
        references = [ref.volume for ref in (self.image_reference, self.field_reference) if ref is not None]
        masks = [volume for volume, _ in self.masks]
        return [self.image, *([self.field] if self.field is not None else []), *references, *masks]

    def identity(self) -> list[Any]:
        """Return what of the volumes decides the content, beside their addresses, as JSON values."""
        return [
            [v.name, v.mip, list(v.scale.resolution), v.scale.offset, v.scale.size] for v in self.volumes()
        ]

    def outside_field(self, box: Box) -> Iterator[str]:
        """Yield what is outside the volumes of the field, for the box of a place."""
        if self.field is not None:
            yield from _describe_outside(self.field, box)
        if self.field_reference is not None:
            yield from _describe_outside(
                self.field_reference.volume, box.around(*self.field_reference.extent)
            )

    def outside_image(self, box: Box) -> Iterator[str]:
        """Yield what is outside the volumes of the image and masks, for the box that is read."""
        boxes = [box]
        yield from _describe_outside(self.image, box)
        if self.image_reference is not None:
            boxes.append(box.around(*self.image_reference.extent))
            yield from _describe_outside(self.image_reference.volume, boxes[1])
        for volume, _ in self.masks:
            for part in boxes:
                yield from _describe_outside(volume, part)


def _describe_outside(volume: VolumeMip, box: Box) -> Iterator[str]:
    if (what := volume.outside(box)) is not None:
        yield what


def refuse_outside(outside: Iterable[str]) -> None:
    """Raise VolumeError if boxes are outside a volume.

    Args:
        outside: what is outside of what, each with the place that it is of.
    """
    places = list(outside)
    if places:
        more = f"; and {len(places) - OUTSIDE_SHOWN} more" if len(places) > OUTSIDE_SHOWN else ""
        raise VolumeError(
            "Boxes are outside the volume, and --fill-missing reads that as zeros:"
            f" {'; '.join(places[:OUTSIDE_SHOWN])}{more}."
        )


def open_sources(spec: PairSpec, reader: VolumeReader) -> Sources:
    """Open all volumes of a spec; only their descriptions are read.

    Args:
        spec: with the addresses.
        reader: opens volumes.

    Raises:
        VolumeError: a volume can't be read, lacks the mip that is needed, or has other channels or values
            than images, masks or fields have.
    """
    mip0 = mip0_resolution(spec.image.path, reader)

    def at(path: str, mip: int, where: str, channels: int) -> VolumeMip:
        volume = reader.open(path)
        if volume.channels != channels:
            raise VolumeError(
                f"{where}: {volume.name} has {volume.channels} channels, and {channels} must be there."
            )
        if channels == 2 and volume.data_type != FIELD_TYPE:
            raise VolumeError(
                f"{where}: {volume.name} has values of {volume.data_type}, fields have float32."
            )
        try:
            return volume.at(mip, mip0)
        except VolumeError as error:
            raise type(error)(f"{where}: {error}") from error

    def reference(source: Reference | None, where: str, channels: int) -> ReferenceSource | None:
        if source is None:
            return None
        volume = at(source.path, source.src_mip, f"{where}.reference", channels)
        return ReferenceSource(volume, source.dst_mip, source.extent)

    def mask(number: int, source: MaskSource) -> tuple[VolumeMip, float]:
        return at(source.path, source.src_mip, f"$.masks[{number}]", 1), source.threshold

    return Sources(
        image=at(spec.image.path, spec.image.src_mip, "$.image", 1),
        image_reference=reference(spec.image.reference, "$.image", 1),
        field=at(spec.field.path, spec.field.src_mip, "$.field", 2) if spec.field else None,
        field_reference=reference(spec.field.reference, "$.field", 2) if spec.field else None,
        masks=tuple(mask(number, source) for number, source in enumerate(spec.masks)),
    )


def mip0_resolution(address: str, reader: VolumeReader) -> tuple[float, float, float]:
    """Return the nanometres per voxel of MIP 0: the finest resolution of the volume of images.

    Args:
        address: of the volume of images.
        reader: opens volumes.
    """
    return min(scale.resolution for scale in reader.open(address).scales)
