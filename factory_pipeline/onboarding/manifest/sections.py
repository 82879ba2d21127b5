"""The sections of an upload manifest (bands, data sources, label categories) and their value types."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from PIL import ImageColor
from pydantic import BeforeValidator, Field, field_validator, model_validator

from factory_pipeline.config.lenient_keys import ManifestSection, as_list, fold, strip_blanks
from factory_pipeline.onboarding.checks.file_roles import canonical_suffix

DEFAULT_MODALITY = "image"
"""The modality of a dataset whose manifest names none."""
RGB_BANDS = {"r": "R", "red": "R", "g": "G", "green": "G", "b": "B", "blue": "B"}


def _rgb_band(value: Any) -> Any:
    value = strip_blanks(value)
    return RGB_BANDS.get(fold(value), value) if value is not None else None


def _color(value: Any) -> str:
    """Return a colour as `#rrggbb`."""
    if value is None or value == "":
        raise ValueError("it is empty; write it in quotes, such as '#1f78b4', for # starts a comment in YAML")
    if not isinstance(value, str):
        raise ValueError("write it in quotes, such as '#1f78b4' or 'blue'")
    text = value.strip()
    try:
        rgb = ImageColor.getrgb(f"#{text}" if re.fullmatch(r"[0-9a-fA-F]{6}", text) else text)
    except ValueError as error:
        raise ValueError("allowed are '#rrggbb' and the names of HTML colours") from error
    return "#{:02x}{:02x}{:02x}".format(*rgb[:3])


def _opacity(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip().removesuffix("%")) / 100
    return value


def _suffix(value: Any) -> Any:
    return canonical_suffix(value) if isinstance(value, str) else value


def _suffixes(value: Any) -> Any:
    value = as_list(value)
    return [_suffix(part) for part in value] if isinstance(value, list | tuple) else value


Suffix = Annotated[
    str, BeforeValidator(_suffix), Field(pattern=r"^([^\\*?\x00-\x1f]+/\*)?[^/\\*?\x00-\x1f]+$")
]
SuffixList = Annotated[tuple[Suffix, ...], BeforeValidator(_suffixes), Field(min_length=1)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value).strip())]
Name = Annotated[str, BeforeValidator(strip_blanks), Field(min_length=1, max_length=200)]
Address = Annotated[str, BeforeValidator(strip_blanks), Field(min_length=1, max_length=8000)]
"""As long as a signed address may be."""


class Band(ManifestSection):
    """One band of the images of a data source."""

    other_spellings: ClassVar[Mapping[str, str]] = {
        "name": "band_name",
        "band": "band_name",
        "rgb": "rgb_band",
        "scale": "scaling_factor",
        "scale_factor": "scaling_factor",
    }

    index: int = Field(ge=0)
    """Place in the file; the first band is 0."""
    band_name: Name
    rgb_band: Annotated[Literal["R", "G", "B"] | None, BeforeValidator(_rgb_band)] = Field(
        None, serialization_alias="RGB_band"
    )
    """Which channel of a true-colour picture this is."""
    scaling_factor: Annotated[float, BeforeValidator(lambda value: 1.0 if value in (None, "") else value)] = (
        Field(1.0, gt=0, allow_inf_nan=False)
    )
    """A pixel times this is the physical value."""
    description: Text = ""


class DataSource(ManifestSection):
    """One modality: the bands of the images that end in one suffix."""

    other_spellings: ClassVar[Mapping[str, str]] = {
        "suffix": "file_suffix",
        "modality": "modality_tag",
        "no_data": "nodata",
        "nodata_value": "nodata",
    }

    bands: tuple[Band, ...] = ()
    """Empty until the pre-scan fills them in."""
    connector: Text = ""
    collection: Text = ""
    modality_tag: str = Field(DEFAULT_MODALITY, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    """Names the folder of the images and the modality in the training configuration."""
    file_suffix: Suffix | None = None
    """One of the training data suffixes; None if there is only one."""
    nodata: float | None = None
    """Value in the images that is no data, beside what the files declare."""

    @field_validator("bands", mode="before")
    @classmethod
    def _bands_numbered(cls, bands: Any) -> Any:
        """Bands given by name only, or without index, are numbered in their order."""
        bands = as_list(bands)
        if not isinstance(bands, list | tuple):
            return bands
        numbered = []
        for index, band in enumerate(bands):
            document = {"band_name": band} if isinstance(band, str) else band
            if isinstance(document, Mapping) and not any(fold(key) == "index" for key in document):
                document = {**document, "index": index}
            numbered.append(document)
        return numbered

    @model_validator(mode="after")
    def _bands_apart(self) -> Self:
        require_different("bands", "index", [band.index for band in self.bands])
        require_different("bands", "band_name", [band.band_name for band in self.bands])
        require_different("bands", "RGB_band", [band.rgb_band for band in self.bands if band.rgb_band])
        return self


class LabelCategory(ManifestSection):
    """What a value of the masks means, and how it is drawn."""

    other_spellings: ClassVar[Mapping[str, str]] = {
        "label_id": "id",
        "value": "id",
        "label_name": "name",
        "label": "name",
        "colour": "color",
    }

    id: int = Field(ge=0, le=65535)
    """The value in the mask."""
    name: Name
    color: Annotated[str, BeforeValidator(_color)]
    opacity: Annotated[float, BeforeValidator(_opacity)] = Field(1.0, ge=0, le=1)
    weight: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Weight of the class in the loss; None computes it from the training masks."""


def require_different(where: str, field: str, values: list[Any]) -> None:
    """Raise ValueError if two of the values of a field are the same.

    Args:
        where: names the list in the message, in the plural.
        field: whose values these are.
        values: of all entries of the list; hashable.
    """
    for value, count in Counter(values).items():
        if count > 1:
            raise ValueError(f"{where} have the {field} {value!r} {count} times; each must have its own")
