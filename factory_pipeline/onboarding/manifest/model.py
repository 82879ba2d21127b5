"""The upload manifest `<name>.yaml`: a user's description of a dataset of images and labels."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from factory_pipeline.archives.url_policy import has_user
from factory_pipeline.config.lenient_keys import ManifestSection, fold, normalize_accents
from factory_pipeline.errors import DocumentError, OnboardingError
from factory_pipeline.onboarding.manifest.location import file_name, read_manifest, resolve_beside
from factory_pipeline.onboarding.manifest.sections import (
    DEFAULT_MODALITY,
    Address,
    Band,
    DataSource,
    LabelCategory,
    Name,
    Suffix,
    SuffixList,
    Text,
    require_different,
)
from factory_pipeline.redaction import display
from factory_pipeline.splits.split_rule import RandomSplit, SplitRule, read_split_rule
from factory_pipeline.storage.slug import slug
from factory_pipeline.yaml_document import parse_yaml

UPLOAD_TYPE: Literal["Dataset & Labels"] = "Dataset & Labels"


class Purpose(StrEnum):
    """The machine learning task of the dataset."""

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


class UploadManifest(ManifestSection):
    """A user's description of an upload."""

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
    """Where the archive is: an address, or a path relative to where the manifest is."""
    training_data_suffixes: SuffixList
    label_suffix: Suffix
    dataset_name: Name
    description: Text = ""
    data_sources: tuple[DataSource, ...] = ()
    """Empty: one per training data suffix, filled in by the pre-scan."""
    label_categories: tuple[LabelCategory, ...] = ()
    label_nodata: float | None = None
    """Nodata value of the labels, beside those that the files declare, such as -1 in many benchmarks."""
    label_crs: Literal["image"] | None = None
    """`image` copies the CRS of the image to labels without one, and its position to labels without
    georeference.
    """
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
    def _check_no_secrets(cls, url: str) -> str:
        if has_user(url):
            raise ValueError(
                "an address must not contain a user or password, because the manifest is stored and shown"
            )
        return url

    @field_validator("data_sources", "label_categories", mode="before")
    @classmethod
    def _replace_none(cls, value: Any) -> Any:
        return () if value is None else value

    @model_validator(mode="after")
    def _suffixes_fit(self) -> Self:
        require_different("training_data_suffixes", "value", list(self.training_data_suffixes))
        if self.label_suffix in self.training_data_suffixes:
            raise ValueError(
                f"label_suffix and training_data_suffixes are both {self.label_suffix!r};"
                " images and labels must have different suffixes"
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
        require_different("data_sources", "file_suffix", taken)
        require_different(
            "data_sources", "modality_tag", [source.modality_tag for source in self.data_sources]
        )
        return self

    @model_validator(mode="after")
    def _categories_fit_purpose(self) -> Self:
        require_different("label_categories", "id", [category.id for category in self.label_categories])
        require_different("label_categories", "name", [category.name for category in self.label_categories])
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
    def load(cls, location: Path | str) -> "UploadManifest":
        """Read a manifest from YAML; if it has no name, its file name is the dataset's name.

        Args:
            location: a path, or the address of an object in a store.

        Raises:
            OnboardingError: MANIFEST_INVALID, with one sentence that has field, value and what is allowed;
                URL_UNREACHABLE, its store does not respond now.
        """
        content, name = read_manifest(location), file_name(location)
        try:
            document = parse_yaml(content, f"The manifest {name}")
        except DocumentError as error:
            raise _invalid_error(str(error)) from error
        if isinstance(document, Mapping) and not {fold(key) for key in document} & {"dataset_name", "name"}:
            document = {**document, "dataset_name": Path(name).stem}
        manifest = cls.parse(document, where=name)
        return manifest.model_copy(update={"dataset_url": resolve_beside(location, manifest.dataset_url)})

    @classmethod
    def parse(cls, document: Any, where: str) -> "UploadManifest":
        """Validate a manifest in the form of plain data.

        Its texts are normalised to NFC, as the names in archives are.

        Args:
            document: as parsed from YAML or JSON.
            where: names the manifest in messages.

        Raises:
            OnboardingError: MANIFEST_INVALID, with the key and what is allowed.
        """
        document = normalize_accents(document)
        if not isinstance(document, Mapping):
            raise _invalid_error(
                f"The manifest {where} must be a YAML mapping with keys such as dataset_url."
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            # A misspelt key is reported before the key that is missing because of it.
            told = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            raise _invalid_error(_sentence(told[0], where)) from error

    def canonical_json(self) -> str:
        """Return the manifest with sorted keys, without its address: an archive may move."""
        document = self.model_dump(mode="json", by_alias=True, exclude={"dataset_url"})
        # Keys that were added later are omitted if they are not set, so that the names of older uploads stay.
        for section, key in [(document, "label_crs"), *((one, "nodata") for one in document["data_sources"])]:
            if section[key] is None:
                del section[key]
        if document["splits"].get("require_all_labels") is False:
            del document["splits"]["require_all_labels"]
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self, archive_identity: str) -> str:
        """Return the SHA-256 of the manifest's content and of the archive's identity, in hex."""
        return hashlib.sha256(f"{self.canonical_json()}\n{archive_identity}".encode()).hexdigest()

    def key(self, archive_identity: str) -> str:
        """Return the name of this version of the dataset, such as `burn-scars@1f2e3d4c`."""
        return f"{slug(self.dataset_name)}@{self.digest(archive_identity)[:8]}"


def _invalid_error(message: str) -> OnboardingError:
    return OnboardingError("MANIFEST_INVALID", message)


def _sentence(error: ErrorDetails, where: str) -> str:
    """Return one error of pydantic as a sentence."""
    path = [part for part in error["loc"] if part not in ("random", "given", "spatial")]
    field = ".".join(str(part) for part in path)
    if error["type"] == "missing":
        return f"The manifest {where} lacks {field}."
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(fold(path[-1]), _KNOWN_KEYS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"The manifest {where} has the key {field}, which is not allowed here{hint}"
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
    "suffix": "it should be the end of a file name without slashes, stars and question marks, or a folder"
    " and such an end, as images/*.tif",
}
_KNOWN_KEYS = sorted(
    {key for section in (UploadManifest, DataSource, Band, LabelCategory) for key in section.model_fields}
)
