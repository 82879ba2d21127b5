"""How a dataset is divided, as its recipe says."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from factory_pipeline.config.recipe import Section
from factory_pipeline.config.spans import Period, is_pair

Part = Annotated[tuple[str | int, ...] | float | Period | None, Field(union_mode="left_to_right")]
"""Percent, a span of time, or values of a column."""
GIVEN_NAMES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}
"""What a column of splits may hold, in any case -> the split."""


class Splits(Section):
    """Which samples train, test and validate. Windows of different splits never overlap."""

    by: Literal["blocks", "random", "time", "column", "given"] = "random"
    block_m: float = Field(10_000, gt=0)
    """Side of a block in metres."""
    blocks: dict[Literal["train", "test", "validation"], Annotated[float, Field(gt=0)]] | None = None
    """Of `time`, `column` and `given`: percent of the blocks of the ground that each split gets; it takes no
    sample from those of others."""
    buffer_m: float = Field(0, ge=0)
    """Least distance between windows of different splits in metres; who is nearer is dropped."""
    seed: int = 42
    stratify: str | None = None
    """A column whose values every split has in proportion."""
    column: str | None = None
    """A column of the labels that says the split: of `column` by the values that are given for each, of
    `given` by the names of the splits themselves."""
    train: Part = None
    """Percent; of `time` a span, of `column` the values."""
    test: Part = None
    validation: Part = None

    @model_validator(mode="before")
    @classmethod
    def _shares(cls, value: Any) -> Any:
        named = {"train", "test", "validation"}
        if isinstance(value, Mapping) and value.get("by", "random") in ("blocks", "random"):
            if not named & value.keys():
                return {**value, "train": 70, "test": 20, "validation": 10}
            if any(not _may_be_percent(value.get(name)) for name in named):
                # A validator of each kind that a part may have would have its say.
                raise ValueError(_needs(value.get("by", "random"), "percent"))
            return value
        if isinstance(value, Mapping) and value.get("by") == "time":
            pairs = {name: value[name] for name in named & value.keys() if is_pair(value[name])}
            return {**value, **{name: {"start": a, "end": b} for name, (a, b) in pairs.items()}}
        if isinstance(value, Mapping) and value.get("by") == "given":
            spelled = {name: [word for word, split in GIVEN_NAMES.items() if split == name] for name in named}
            if any(value.get(name) not in (None, spelled[name], tuple(spelled[name])) for name in named):
                raise ValueError("splits by given need a column alone, which holds train, test, validation")
            return {**value, **spelled}
        if isinstance(value, Mapping):
            given = {k: v for k, v in value.items() if k in named and v is not None}
            single = {k: v for k, v in given.items() if not isinstance(v, list | tuple)}
            return {**value, **{name: [one] for name, one in single.items()}}
        return value

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        kinds = {"blocks": float, "random": float, "time": Period, "column": tuple, "given": tuple}
        wanted = kinds[self.by]
        shown = {float: "percent", Period: "[first day, last day]", tuple: "values of the column"}[wanted]
        if any(not isinstance(value, wanted) for value in self.parts.values()) or not self.parts:
            raise ValueError(_needs(self.by, shown))
        if wanted is float and abs(sum(self.shares.values()) - 100) > 1e-6:
            raise ValueError(f"the percentages add up to {sum(self.shares.values()):g}, not 100")
        if (self.column is not None) != (self.by in ("column", "given")):
            raise ValueError("column goes with by: column and by: given")
        if self.blocks is not None:
            self._check_blocks(is_of_percent=wanted is float)
        if wanted is Period:
            spans = sorted((part.start, part.end, name) for name, part in self.parts.items())
            for (_, end, one), (start, _, other) in itertools.pairwise(spans):
                if start <= end:
                    raise ValueError(f"{one} and {other} share a time")
        return self

    def _check_blocks(self, is_of_percent: bool) -> None:
        assert self.blocks is not None
        if is_of_percent:
            raise ValueError("blocks goes with by: time, by: column and by: given")
        if self.by != "given" and set(self.blocks) != set(self.parts):
            raise ValueError(f"blocks needs percent for {' and '.join(self.parts)}, as they have samples")
        if abs(sum(self.blocks.values()) - 100) > 1e-6:
            raise ValueError(f"the percentages of blocks add up to {sum(self.blocks.values()):g}, not 100")

    @property
    def parts(self) -> dict[str, Any]:
        """What is given of each split that has something."""
        named = {"train": self.train, "test": self.test, "validation": self.validation}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def shares(self) -> dict[str, float]:
        """Percent of each split."""
        return {name: float(value) for name, value in self.parts.items()}


def _needs(by: str, what: str) -> str:
    return f"splits by {by} need {what} for train, test and validation, or some of them"


def _may_be_percent(value: object) -> bool:
    try:
        return value is None or float(value) >= 0  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
