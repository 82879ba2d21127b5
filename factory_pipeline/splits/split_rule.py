"""The rule in a manifest for how the images are divided into train, test and validation."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from factory_pipeline.config.lenient_keys import ManifestSection, as_list, fold
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.scenes import check_pattern

SPLIT_SPELLINGS = {
    "training": "train",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
}
"""The users' names of the three splits."""


class Percentages(ManifestSection):
    """Shares of the images; they add up to 100. Shares that add up to 1 are read as fractions.

    If those that are given already add up, one that is left out is zero.
    """

    other_spellings: ClassVar[Mapping[str, str]] = SPLIT_SPELLINGS

    train: float = Field(60, ge=0, le=100)
    test: float = Field(20, ge=0, le=100)
    validation: float = Field(20, ge=0, le=100)

    @model_validator(mode="before")
    @classmethod
    def _shares_as_percent(cls, document: Any) -> Any:
        if isinstance(document, Mapping):
            shares = {key: _number(value) for key, value in document.items()}
            numbers = [share for share in shares.values() if isinstance(share, int | float)]
            total = sum(numbers) if len(numbers) == len(shares) else math.nan
            if math.isclose(total, 1, abs_tol=1e-9):
                shares, total = {key: round(100 * share, 9) for key, share in shares.items()}, 100
            if math.isclose(total, 100, abs_tol=1e-6):
                named = {SPLIT_SPELLINGS.get(fold(key), fold(key)) for key in shares}
                shares |= {name: 0 for name in cls.model_fields if name not in named}
            return shares
        parts = document.split("/") if isinstance(document, str) else document
        if isinstance(parts, list | tuple) and len(parts) == 3:
            return dict(zip(SPLITS, map(_number, parts), strict=True))
        return document

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.train + self.test + self.validation
        if not math.isclose(total, 100, abs_tol=1e-6):
            raise ValueError(f"train, test and validation add up to {total:g} percent, not 100")
        if self.train == 0:
            raise ValueError("train is 0 percent; the training parameters need at least one training image")
        return self


def _number(value: Any) -> Any:
    """Return `60`, `"60"` or `"60 %"` as a number, if it is one."""
    if not isinstance(value, str):
        return value
    try:
        return float(value.strip().removesuffix("%"))
    except ValueError:
        return value


FOLDERS = {
    "train_folder": ["train", "training"],
    "test_folder": ["test", "testing"],
    "validation_folder": ["val", "valid", "validation"],
}
"""The rule that `splits: folders` stands for."""
FOLDER_WORDS = tuple(word for words in FOLDERS.values() for word in words)
"""The folders that this rule looks for."""


ScenePattern = Annotated[str, AfterValidator(check_pattern)]


class RandomSplit(ManifestSection):
    """Each image is assigned to a split at random, by the seed and its own name."""

    method: Literal["random"] = "random"
    seed: int = 42
    percentages: Percentages = Percentages()
    overlap: Literal["group", "ignore"] = "group"
    """Whether images that overlap are in one split, or are drawn like others to exact percentages."""
    scene: ScenePattern | None = None
    """Images whose names have the same text in the group of this expression are in one split."""
    require_all_labels: bool = False
    """Whether a label that a split lacks stops the onboarding; else it is said."""


StemsOrFile = Annotated[tuple[str, ...] | None, BeforeValidator(as_list)]


class GivenSplit(ManifestSection):
    """The user lists which stem is in which split, in the manifest or in text files in the archive.

    Images that are not listed may be assigned at random: a benchmark often lists only its test images.
    """

    other_spellings: ClassVar[Mapping[str, str]] = {
        **SPLIT_SPELLINGS,
        **{f"{typed}_folder": f"{meant}_folder" for typed, meant in SPLIT_SPELLINGS.items()},
    }

    method: Literal["given"] = "given"
    train: StemsOrFile = None
    """Stems of images."""
    test: StemsOrFile = None
    validation: StemsOrFile = None
    train_file: str | None = None
    """Name of a file in the archive with one stem per line."""
    test_file: str | None = None
    validation_file: str | None = None
    train_folder: StemsOrFile = None
    """Folders whose images train: one, or several of which any may exist."""
    test_folder: StemsOrFile = None
    validation_folder: StemsOrFile = None
    percentages: Percentages | None = None
    """Shares of the images that are not listed, assigned as in a random split; None allows no such image."""
    seed: int = 42
    """Seed of that assignment."""

    @property
    def folders(self) -> dict[str, tuple[str, ...]]:
        """Return the folders of each split that has some."""
        named = {name: getattr(self, f"{name}_folder") for name in SPLITS}
        return {name: folders for name, folders in named.items() if folders}

    @model_validator(mode="after")
    def _train_named_once(self) -> Self:
        for name in SPLITS:
            ways = [key for key in (name, f"{name}_file", f"{name}_folder") if getattr(self, key) is not None]
            if len(ways) > 1:
                raise ValueError(f"{name} is defined twice, by {' and '.join(ways)}")
        given = (self.train, self.train_file, self.train_folder)
        if not any(given) and self.percentages is None:
            raise ValueError(
                "train lists no image; set a list of stems, a file with one stem per line, a folder, or the"
                " percentages of the images that are not listed"
            )
        names = [name for part in (self.train, self.test, self.validation) for name in part or ()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is in more than one split, or twice in one")
        return self


class SpatialUnit(StrEnum):
    """The unit that is assigned to one split."""

    BLOCK = "block"
    """A square of the ground."""
    MGRS = "mgrs"
    """A tile of the Military Grid Reference System, as of Sentinel-2."""
    OVERLAP = "overlap"
    """Groups of images whose footprints touch or are within the buffer."""


UNIT_SPELLINGS = {
    "block": SpatialUnit.BLOCK,
    "blocks": SpatialUnit.BLOCK,
    "mgrs": SpatialUnit.MGRS,
    "mgrs_tile": SpatialUnit.MGRS,
    "overlap": SpatialUnit.OVERLAP,
    "overlaps": SpatialUnit.OVERLAP,
}


class SpatialSplit(ManifestSection):
    """Neighbouring images are assigned to one split, so that a test image is not beside a training image."""

    other_spellings: ClassVar[Mapping[str, str]] = {
        "unit": "by",
        "block_size": "block_m",
        "block_size_m": "block_m",
        "buffer": "buffer_m",
    }

    method: Literal["spatial"] = "spatial"
    by: Annotated[SpatialUnit, BeforeValidator(lambda value: UNIT_SPELLINGS.get(fold(value), value))] = (
        SpatialUnit.BLOCK
    )
    block_m: float = Field(10_000, gt=0)
    """Side of a block in metres."""
    buffer_m: float = Field(0, ge=0)
    """Footprints nearer than this count as overlapping, in metres."""
    scene: ScenePattern | None = None
    """As in a random split."""
    require_all_labels: bool = False
    """As in a random split."""
    seed: int = 42
    percentages: Percentages = Percentages()


SplitRule = Annotated[RandomSplit | GivenSplit | SpatialSplit, Field(discriminator="method")]


def read_split_rule(document: Any) -> Any:
    """Expand a split rule as users write it to one with an explicit method.

    `random`, `block`, `folders` or `{train: 60, test: 20, val: 20}` are enough; a missing method is derived
    from the keys.
    """
    if isinstance(document, str):
        word = fold(document)
        if word in ("folder", "folders"):
            return {"method": "given", **FOLDERS}
        if word in UNIT_SPELLINGS:
            return {"method": "spatial", "by": word}
        return {"method": word}
    if not isinstance(document, Mapping):
        return document
    rule = {SPLIT_SPELLINGS.get(fold(key), fold(key)): value for key, value in document.items()}
    for word in ("type", "kind"):
        if word in rule and "method" not in rule:
            rule["method"] = rule.pop(word)
    shares = {name: rule[name] for name in SPLITS if name in rule}
    shared = bool(shares) and all(isinstance(_number(share), int | float) for share in shares.values())
    if "method" not in rule:
        rule["method"] = _method_of(rule, named=bool(shares) and not shared)
    else:
        rule["method"] = fold(rule["method"])
    if shared:
        rule = {key: value for key, value in rule.items() if key not in shares} | {"percentages": shares}
    return rule


def _method_of(rule: Mapping[str, Any], named: bool) -> str:
    if named or any(key.endswith(("_file", "_folder")) for key in rule):
        return "given"
    if any(key in rule for key in ("by", "unit", "block_m", "block_size", "block_size_m")):
        return "spatial"
    return "random"
