"""The upload manifest `<name>.yaml`: what a user says about a dataset of images and labels."""

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from PIL import ImageColor
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from factory_pipeline.archives.url_policy import has_user
from factory_pipeline.config.lenient_keys import ManifestSection, as_list, fold, normalized, without_blanks
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_roles import canonical_suffix
from factory_pipeline.onboarding.manifest.location import beside, file_name, read_place
from factory_pipeline.redaction import display
from factory_pipeline.splits.split_rule import RandomSplit, SplitRule, read_split_rule
from factory_pipeline.storage.slug import slug

UPLOAD_TYPE: Literal["Dataset & Labels"] = "Dataset & Labels"
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Reads plain data only; the one in C is ten times faster, where PyYAML was built with it."""
DEFAULT_MODALITY = "image"
"""The modality of a dataset whose manifest names none."""


class Purpose(StrEnum):
    """What a model is trained for with the dataset."""

    REGRESSION = "Regression"
    SEGMENTATION = "Segmentation"
    CLASSIFICATION = "Classification"
    GENERIC = "Generic"


TRAINED = (Purpose.SEGMENTATION, Purpose.REGRESSION)
"""Purposes for which there is a training configuration."""
PURPOSES = {
    "regression": Purpose.REGRESSION,
    "pixelwise_regression": Purpose.REGRESSION,
    "segmentation": Purpose.SEGMENTATION,
    "semantic_segmentation": Purpose.SEGMENTATION,
    "classification": Purpose.CLASSIFICATION,
    "classify": Purpose.CLASSIFICATION,
    "generic": Purpose.GENERIC,
    "other": Purpose.GENERIC,
}
"""Purposes by their folded spelling."""

RGB_BANDS = {"r": "R", "red": "R", "g": "G", "green": "G", "b": "B", "blue": "B"}


def _rgb_band(value: Any) -> Any:
    value = without_blanks(value)
    return RGB_BANDS.get(fold(value), value) if value is not None else None


def _color(value: Any) -> str:
    """A colour as `#rrggbb`."""
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
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value).strip())]
Name = Annotated[str, BeforeValidator(without_blanks), Field(min_length=1, max_length=200)]
Address = Annotated[str, BeforeValidator(without_blanks), Field(min_length=1, max_length=8000)]
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
    """One of the training data suffixes; None where there is only one."""
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
        _all_different("bands", "index", [band.index for band in self.bands])
        _all_different("bands", "band_name", [band.band_name for band in self.bands])
        _all_different("bands", "RGB_band", [band.rgb_band for band in self.bands if band.rgb_band])
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


def _all_different(where: str, field: str, values: list[Any]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise ValueError(f"{where} have the {field} {value!r} {count} times; each must have its own")


class UploadManifest(ManifestSection):
    """Everything that a user says about an upload."""

    other_spellings: ClassVar[Mapping[str, str]] = {
        "upload_type": "type_of_upload",
        "type": "type_of_upload",
        "url": "dataset_url",
        "dataset": "dataset_url",
        "training_data_suffix": "training_data_suffixes",
        "data_suffix": "training_data_suffixes",
        "data_suffixes": "training_data_suffixes",
        "name": "dataset_name",
        "label_data_suffix": "label_suffix",
        "labels_suffix": "label_suffix",
        "sources": "data_sources",
        "labels": "label_categories",
        "categories": "label_categories",
        "split": "splits",
        "label_no_data": "label_nodata",
        "ignore_index": "label_nodata",
    }

    type_of_upload: Literal["Dataset & Labels"] = UPLOAD_TYPE
    purpose: Purpose
    dataset_url: Address
    """Where the archive lies: an address, or a path relative to where the manifest lies."""
    training_data_suffixes: Annotated[tuple[Suffix, ...], BeforeValidator(_suffixes)] = Field(min_length=1)
    label_suffix: Suffix
    dataset_name: Name
    description: Text = ""
    data_sources: tuple[DataSource, ...] = ()
    """Empty: one per training data suffix, filled in by the pre-scan."""
    label_categories: tuple[LabelCategory, ...] = ()
    label_nodata: float | None = None
    """Value in the labels that is no data, beside what the files declare, such as -1 in many benchmarks."""
    label_crs: Literal["image"] | None = None
    """`image` gives labels without a CRS that of their image, and its place where they have none."""
    splits: Annotated[SplitRule, BeforeValidator(read_split_rule)] = RandomSplit()
    to_cog: bool = False
    """Rewrite the images as Cloud Optimized GeoTIFF."""

    @field_validator("type_of_upload", mode="before")
    @classmethod
    def _type_as_typed(cls, value: Any) -> Any:
        return UPLOAD_TYPE if fold(value) == fold(UPLOAD_TYPE) else value

    @field_validator("purpose", mode="before")
    @classmethod
    def _purpose_as_typed(cls, value: Any) -> Any:
        return PURPOSES.get(fold(value), value)

    @field_validator("dataset_url", mode="after")
    @classmethod
    def _no_secrets(cls, url: str) -> str:
        if has_user(url):
            raise ValueError("an address must hold no user and password, for the manifest is kept and shown")
        return url

    @field_validator("data_sources", "label_categories", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return () if value is None else value

    @model_validator(mode="after")
    def _suffixes_fit(self) -> Self:
        _all_different("training_data_suffixes", "value", list(self.training_data_suffixes))
        if self.label_suffix in self.training_data_suffixes:
            raise ValueError(
                f"label_suffix and training_data_suffixes are both {self.label_suffix!r};"
                " images and labels must end differently"
            )
        return self

    @model_validator(mode="after")
    def _sources_fit_suffixes(self) -> Self:
        if not self.data_sources:
            return self
        suffixes = self.training_data_suffixes
        if len(suffixes) > 1 and any(source.file_suffix is None for source in self.data_sources):
            raise ValueError(f"each of data_sources needs a file_suffix, one of {', '.join(suffixes)}")
        taken = [source.file_suffix or suffixes[0] for source in self.data_sources]
        unknown = [suffix for suffix in taken if suffix not in suffixes]
        if unknown:
            raise ValueError(
                f"data_sources have the file_suffix {unknown[0]!r};"
                f" the training_data_suffixes are {', '.join(suffixes)}"
            )
        missing = [suffix for suffix in suffixes if suffix not in taken]
        if missing:
            raise ValueError(f"no data source has the file_suffix {missing[0]!r}")
        _all_different("data_sources", "file_suffix", taken)
        _all_different("data_sources", "modality_tag", [source.modality_tag for source in self.data_sources])
        return self

    @model_validator(mode="after")
    def _categories_fit_purpose(self) -> Self:
        _all_different("label_categories", "id", [category.id for category in self.label_categories])
        _all_different("label_categories", "name", [category.name for category in self.label_categories])
        if self.purpose is Purpose.SEGMENTATION and len(self.label_categories) < 2:
            raise ValueError(
                f"label_categories are {len(self.label_categories)}; Segmentation needs at least two"
            )
        return self

    @property
    def modalities(self) -> dict[str, str]:
        """Modality tag by training data suffix."""
        if self.data_sources:
            first = self.training_data_suffixes[0]
            return {source.file_suffix or first: source.modality_tag for source in self.data_sources}
        if len(self.training_data_suffixes) == 1:
            return {self.training_data_suffixes[0]: DEFAULT_MODALITY}
        numbered = enumerate(self.training_data_suffixes, 1)
        return {suffix: f"{DEFAULT_MODALITY}{index}" for index, suffix in numbered}

    @classmethod
    def load(cls, place: Path | str) -> "UploadManifest":
        """Read a manifest from YAML; its file name is the dataset's name where it gives none.

        Args:
            place: a path, or the address of an object in a store.

        Raises:
            OnboardingError: MANIFEST_INVALID, with one sentence that names field, value and what is allowed;
                URL_UNREACHABLE, the store that holds it does not answer now.
        """
        content, name = read_place(place), file_name(place)
        try:
            document = yaml.load(content.decode("utf-8-sig"), Loader=SAFE_LOADER)
        except UnicodeDecodeError as error:
            raise _invalid(f"The manifest {name} is not UTF-8 text.") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
            raise _invalid(f"The manifest {name} is not YAML: {reason}.") from error
        if isinstance(document, Mapping) and not {fold(key) for key in document} & {"dataset_name", "name"}:
            document = {**document, "dataset_name": Path(name).stem}
        manifest = cls.parse(document, where=name)
        return manifest.model_copy(update={"dataset_url": beside(place, manifest.dataset_url)})

    @classmethod
    def parse(cls, document: Any, where: str) -> "UploadManifest":
        """Check a manifest given as plain data; `where` is named in the error.

        Its texts are normalised to NFC, as the names in archives are.
        """
        document = normalized(document)
        if not isinstance(document, Mapping):
            raise _invalid(f"The manifest {where} must be a YAML mapping with keys such as dataset_url.")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            # A key that is misspelt is told before the one that it should have been.
            told = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            raise _invalid(_sentence(told[0], where)) from error

    def canonical_json(self) -> str:
        """The manifest with sorted keys, without its address: an archive may move."""
        document = self.model_dump(mode="json", by_alias=True, exclude={"dataset_url"})
        # Keys that came later are left out where they are not given: the names of older uploads stay.
        for section, key in [(document, "label_crs"), *((one, "nodata") for one in document["data_sources"])]:
            if section[key] is None:
                del section[key]
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self, archive_identity: str) -> str:
        """SHA-256 of the manifest's content and of what identifies the archive's content, in hex."""
        return hashlib.sha256(f"{self.canonical_json()}\n{archive_identity}".encode()).hexdigest()

    def key(self, archive_identity: str) -> str:
        """The name of this version of the dataset, such as `burn-scars@1f2e3d4c`."""
        return f"{slug(self.dataset_name)}@{self.digest(archive_identity)[:8]}"


def _invalid(message: str) -> OnboardingError:
    return OnboardingError("MANIFEST_INVALID", message)


def _sentence(error: ErrorDetails, where: str) -> str:
    """One sentence of one complaint of pydantic."""
    path = [part for part in error["loc"] if part not in ("random", "given", "spatial")]
    field = ".".join(str(part) for part in path)
    if error["type"] == "missing":
        return f"The manifest {where} lacks {field}."
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(fold(path[-1]), _KNOWN_KEYS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"The manifest {where} has the key {field}, which means nothing here{hint}"
    reason = error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "union_tag_invalid":
        reason = "allowed are random, given and spatial"
    elif reason.startswith("Input should be"):
        reason = reason.replace("Input should be", "it should be").partition(", unable")[0]
    elif error["type"] == "string_pattern_mismatch":
        reason = _PATTERNS["modality_tag" if path[-1] == "modality_tag" else "suffix"]
    if not field or isinstance(error["input"], Mapping | list | tuple):
        return f"The manifest {where} is not valid{' at ' * bool(field)}{field}: {reason}."
    shown = display(error["input"]) if field == "dataset_url" else error["input"]
    return f"The manifest {where} has {shown!r} at {field}: {reason}."


_PATTERNS = {
    "modality_tag": "allowed are letters, digits, hyphens and underscores, 64 at most",
    "suffix": "it should be the end of a file name, without slashes, stars and question marks, or a folder"
    " and such an end, as images/*.tif",
}
_KNOWN_KEYS = sorted(
    {key for section in (UploadManifest, DataSource, Band, LabelCategory) for key in section.model_fields}
)
