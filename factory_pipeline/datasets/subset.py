"""The part of the matching items that a version is made of, as a request says it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from factory_pipeline.errors import ArgumentError

LABEL, TILE, BANDS = "label", "tile", "bands"
"""What a subset can be even over or cover, beside collection, year, day and the properties of items: the
rarest label of an item, the 100 km square of a UTM zone that it is in; mean and deviation of the bands."""
SEED = 42


@dataclass(frozen=True)
class Subset:
    """How many items are drawn, and which: evenly over strata, or as different as possible."""

    size: int
    by: tuple[str, ...] = ()
    """What has the same number of items of each value; nothing draws at random."""
    cover: tuple[str, ...] = ()
    """Instead of `by`: numbers, or lists of numbers, in which the items are to be far apart."""
    seed: int = SEED

    @classmethod
    def of(cls, value: Any) -> Self:
        """Read the `subset` of a request.

        Args:
            value: a mapping with `size` and perhaps `by`, `cover` and `seed`.

        Raises:
            ArgumentError: it is not allowed.
        """
        keys = cls.__dataclass_fields__
        if not isinstance(value, Mapping) or "size" not in value:
            allowed = "it must be a mapping with the size, such as {'size': 1000, 'by': ['label']}"
            raise ArgumentError("subset", value, allowed)
        for key in value:
            if key not in keys:
                raise ArgumentError(f"subset.{key}", value[key], f"the only keys are {', '.join(keys)}")
        names = {key: _names(f"subset.{key}", value.get(key)) for key in ("by", "cover")}
        if names["by"] and names["cover"]:
            raise ArgumentError("subset.cover", value["cover"], "it is instead of by; leave one out")
        size, seed = value["size"], value.get("seed", SEED)
        if not _is_whole(size) or size < 1:
            raise ArgumentError("subset.size", size, "it must be a whole number, at least 1")
        if not _is_whole(seed):
            raise ArgumentError("subset.seed", seed, "it must be a whole number")
        return cls(int(size), names["by"], names["cover"], int(seed))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; `of` reads them again."""
        return {**asdict(self), "by": list(self.by), "cover": list(self.cover)}


def _names(argument: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArgumentError(argument, value, "it must be a list of texts, such as ['label']")
    for index, name in enumerate(value):
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"{argument}[{index}]", name, "it must be a text that is not empty")
        if name in value[:index]:
            raise ArgumentError(f"{argument}[{index}]", name, "it occurs twice; remove one")
    return tuple(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
