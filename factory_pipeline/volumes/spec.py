"""The spec of a set of image pairs: JSON that says which boxes of which volumes become pairs.

Two generations are read: places that are the start of a box (`x_start`, `y_start`, `z_start`) and, since May
2021, its centre (`x`, `y`, `z`); pairs as objects and as lists. Unknown keys are kept and reported.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from factory_pipeline.errors import DocumentError, SpecError
from factory_pipeline.json_document import read_json
from factory_pipeline.volumes.aligners.choose import ALLOWED, REFERENCE
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.pair_forms import FORM_TAGS, Pair, SectionPair, SectionPlace, Side, mixed_places

SCHEMES = ("file", "gs", "http", "https", "s3")
"""Schemes of addresses of volumes."""
PRECOMPUTED = "precomputed://"
"""Prefix of an address, as Neuroglancer writes it; it may be left out."""
FAULTS_SHOWN = 20
"""Faults that the message of a SpecError names; `find_faults` returns all of them."""

Mip = Annotated[int, Field(ge=0, le=30)]
Size = Annotated[int, Field(ge=1, le=1 << 20)]


def _volume_address(path: str) -> str:
    address = path.removeprefix(PRECOMPUTED)
    parts = urlsplit(address)
    if address.startswith("/") or (parts.scheme in SCHEMES and (parts.netloc or parts.path.strip("/"))):
        return path
    raise ValueError(f"must be an absolute path or an address of one of {', '.join(SCHEMES)}")


Address = Annotated[str, AfterValidator(_volume_address)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class Reference(_Part):
    """The box that statistics are taken from; it has the centre of a pair's box."""

    path: Address = Field(description="Neuroglancer precomputed volume.")
    src_mip: Mip = Field(description="Mip that is read.")
    dst_mip: Mip = Field(description="Mip of x_size and y_size.")
    x_size: Size
    y_size: Size

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height in MIP 0 pixels."""
        return self.x_size * 2**self.dst_mip, self.y_size * 2**self.dst_mip


class VolumeSource(_Part):
    """The volume of images or fields."""

    path: Address = Field(description="Neuroglancer precomputed volume.")
    src_mip: Mip = Field(description="Mip that is read.")
    reference: Reference | None = Field(
        None, description="Of images: where mean and variance are from; of fields: where the mean vector is."
    )


class MaskSource(_Part):
    """A mask: its pixels that are `threshold` or more, once resampled, are removed from the image."""

    path: Address = Field(description="Neuroglancer precomputed volume.")
    src_mip: Mip = Field(description="Mip that is read.")
    threshold: float


class AlignmentSettings(_Part):
    """The aligner of a set of pairs that the factory makes; its fields have the mip of the pairs."""

    # The key is the factory's own, so that one that is unknown here is misspelt.
    model_config = ConfigDict(extra="forbid")

    aligner: str = Field(REFERENCE, description=f"One of {ALLOWED}.")
    stage: int = Field(
        1, ge=1, le=99, description="Module of a pyramid, and stage in the name of the fields."
    )
    checkpoint: str = Field("test", min_length=1, description="Weights of a pyramid, and tag of the fields.")


class PairSpec(_Part):
    """The spec of a set of image pairs. Places are in MIP 0 pixels."""

    image: VolumeSource
    field: VolumeSource | None = Field(None, description="Vectors in MIP 0 pixels; channel 0 moves along y.")
    masks: list[MaskSource] = Field(default_factory=list)
    max_mip: Mip = Field(description="create-spec rounds x and y of points down to 2**max_mip.")
    dst_mip: Mip = Field(description="Mip of the pairs, of x_size and of y_size.")
    x_size: Size
    y_size: Size
    pairs: list[Pair]
    alignment: AlignmentSettings = Field(
        default_factory=AlignmentSettings,
        description="How a spec that is dropped into the inbox is aligned; the commands have options for it.",
    )

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height of a box in MIP 0 pixels."""
        return self.x_size * 2**self.dst_mip, self.y_size * 2**self.dst_mip

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of an image: x_size, y_size."""
        return self.x_size, self.y_size

    def boxes(self) -> list[tuple[Box, Box]]:
        """Return the boxes of src and tgt of each pair."""
        return [(self._box(pair.src), self._box(pair.tgt)) for pair in self.pairs]

    def _box(self, place: SectionPlace) -> Box:
        width, height = self.extent
        if place.is_centre:
            return Box(place.z, place.y - height // 2, place.x - width // 2, width, height)
        return Box(place.z, place.y, place.x, width, height)

    def place_path(self, pair: int, side: Side) -> str:
        """Return the JSON path of a place.

        Args:
            pair: its number, from 0.
            side: src or tgt.
        """
        return f"$.pairs[{pair}]{self.pairs[pair].side_path(side)}"


def load_spec(path: Path) -> PairSpec:
    """Read and check a spec.

    Raises:
        SpecError: it is not JSON, or contains values that are not allowed; each is named with its JSON path.
    """
    return parse_spec(load_json(path), str(path))


def load_json(path: Path) -> dict[str, Any]:
    """Read a file that contains one JSON object.

    Raises:
        SpecError: it does not.
    """
    try:
        document = read_json(path, str(path), allow_nan=False)
    except DocumentError as error:
        raise SpecError(str(error)) from error
    if not isinstance(document, dict):
        raise SpecError(f"{path} is not a JSON object.")
    return document


def parse_spec(document: Mapping[str, Any], name: str = "The spec") -> PairSpec:
    """Check a spec that is already read.

    Args:
        document: the JSON object.
        name: what messages call it.

    Raises:
        SpecError: it contains values that are not allowed; each is named with its JSON path.
    """
    spec, faults = _check(document)
    if spec is not None and not faults:
        return spec
    shown = "; ".join(faults[:FAULTS_SHOWN])
    more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    raise SpecError(f"{name} has values that are not allowed: {shown}{more}.")


def find_faults(document: Mapping[str, Any]) -> list[str]:
    """Return what is not allowed in a spec, each as `JSON path: what is allowed`."""
    return _check(document)[1]


def _check(document: Mapping[str, Any]) -> tuple[PairSpec | None, list[str]]:
    try:
        spec = PairSpec.model_validate(document)
    except ValidationError as error:
        return None, [
            f"{_json_path(fault['loc'])}: {_sentence(fault['type'], fault['msg'])}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return spec, [*_size_faults(spec), *_field_faults(spec), *mixed_places(spec.pairs)]


def unknown_keys(spec: PairSpec) -> list[str]:
    """Return the JSON paths of keys that a spec has and that mean nothing here."""
    return list(_find_unknown(spec, "$"))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a spec, as it is published in the documentation."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PairSpec.model_json_schema(mode="validation"),
    }


def _json_path(location: tuple[int | str, ...]) -> str:
    parts = [part for part in location if part not in FORM_TAGS]
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _sentence(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind in ("too_long", "too_short"):
        return "must be [place, place]"
    if kind == "model_type":
        return "must be an object"
    if kind == "extra_forbidden":
        return "is not a key of it"
    # pydantic: "Input should be ...", "Value error, must be ..."
    return message.removeprefix("Value error, ").replace("Input should", "must", 1)


def _size_faults(spec: PairSpec) -> Iterator[str]:
    """Check that each volume is read in whole pixels of its mip: a box must be a multiple of them."""
    boxes = [("$", spec.dst_mip, spec.shape, [("$.image", spec.image.src_mip)])]
    boxes[0][3].extend((f"$.masks[{number}]", mask.src_mip) for number, mask in enumerate(spec.masks))
    if spec.field is not None:
        boxes[0][3].append(("$.field", spec.field.src_mip))
    for name, source in (("image", spec.image), ("field", spec.field)):
        reference = source.reference if source is not None else None
        if reference is None:
            continue
        path = f"$.{name}.reference"
        read = [(path, reference.src_mip)]
        if name == "image":
            # Masked pixels do not count for the statistics.
            read.extend((f"$.masks[{number}]", mask.src_mip) for number, mask in enumerate(spec.masks))
        boxes.append((path, reference.dst_mip, (reference.x_size, reference.y_size), read))
    for path, mip, shape, read in boxes:
        for axis, size in zip("xy", shape, strict=True):
            for volume, src_mip in read:
                if size * 2**mip % 2**src_mip:
                    yield (
                        f"{path}.{axis}_size: {size} pixels of MIP {mip} must be a whole number of pixels of"
                        f" MIP {src_mip}, which is {volume}.src_mip"
                    )


def _field_faults(spec: PairSpec) -> Iterator[str]:
    if spec.field is not None and spec.field.src_mip < spec.dst_mip:
        yield (
            f"$.field.src_mip: {spec.field.src_mip} must be at least dst_mip, {spec.dst_mip}:"
            " fields are resampled to finer mips only"
        )


def _find_unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, SectionPair):
        yield from (f"{path}{unknown}" for unknown in value.unknown)
    elif isinstance(value, BaseModel):
        for key in value.model_extra or {}:
            yield f"{path}.{key}"
        for key in type(value).model_fields:
            yield from _find_unknown(getattr(value, key), f"{path}.{key}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _find_unknown(member, f"{path}[{number}]")
