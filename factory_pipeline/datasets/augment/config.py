"""The augmentations of a version: the allowed ones, and parsing a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from factory_pipeline.errors import ArgumentError

ARGUMENT = "augmentation_list"
CATEGORY = "IMAGE_LEVEL"
"""The only category of augmentations."""

SWITCH = None
"""The limits of a property that is True or False."""
OPERATIONS: Mapping[str, Mapping[str, tuple[float, float] | None]] = {
    "FLIP_IMAGE": {"FLIP_HORIZONTAL": SWITCH, "FLIP_VERTICAL": SWITCH},
    "IMAGE_ROTATION": {"PERCENTAGE_SCALE": (-360, 360)},
    "IMAGE_BLUR": {"BLUR": (0, 15)},
    "NINETY_ROTATION": {"CLOCKWISE": SWITCH, "COUNTER_CLOCKWISE": SWITCH, "UPSIDE_DOWN": SWITCH},
    "GRAYSCALE": {"GRAYSCALE_PERCENTAGE": (0, 100)},
    "HUE": {"HUE_DEGREES": (-50, 50)},
    "SATURATION": {"SATURATION_DEGREES": (-50, 50)},
    "BRIGHTNESS": {"BRIGHTNESS_DEGREES": (-50, 50)},
    "NOISE": {"NOISE_PERCENTAGE": (0, 100)},
    "SHEAR": {"SHEAR_HORIZONTAL": (-40, 40), "SHEAR_VERTICAL": (-40, 40)},
    "CROP": {"CROP_PERCENTAGE": (0, 100)},
}
"""The properties of each operation, with the limits of a property's two numbers.

Both in the order of the copies.
"""


@dataclass(frozen=True)
class Property:
    """A selected property."""

    id: str
    values: tuple[float, ...]
    """The least and the greatest value of a range, or True alone."""


@dataclass(frozen=True)
class Augmentation:
    """An operation that makes augmented copies."""

    id: str
    properties: tuple[Property, ...]
    """At least one; in the order of OPERATIONS."""

    def as_json(self) -> dict[str, Any]:
        """Return the operation as JSON values; `parse_augmentations` reads a list of these."""
        return {
            "id": self.id,
            "properties": [{"id": each.id, "values": list(each.values)} for each in self.properties],
        }


def parse_augmentations(augmentation_list: Any) -> tuple[Augmentation, ...]:
    """Parse a request for augmentations.

    The same augmentations, in another order or with other keys beside them, return the same tuple.

    Args:
        augmentation_list: `{"IMAGE_LEVEL": [{"id", "properties": [{"id", "values"}]}]}`, or only the list;
            None for no augmentations. Other keys are ignored; so are entries with `isSelected: False` and
            those whose properties are all False.

    Returns:
        In the order of OPERATIONS; the two numbers of a range in ascending order.

    Raises:
        ArgumentError: something in it is not allowed; the message has its path, such as
            `augmentation_list.IMAGE_LEVEL[1].properties[0].values`.
    """
    path, entries = _entries(augmentation_list)
    asked: dict[str, Augmentation] = {}
    for number, entry in enumerate(entries):
        here = f"{path}[{number}]"
        if not _is_selected(here, entry):
            continue
        operation = _check_id(f"{here}.id", entry.get("id"), OPERATIONS, "an augmentation", asked)
        properties = _properties(f"{here}.properties", entry.get("properties"), operation)
        asked[operation] = Augmentation(operation, properties)
    return tuple(asked[each] for each in OPERATIONS if each in asked and asked[each].properties)


def _entries(value: Any) -> tuple[str, list[Any]]:
    """Return the entries, and the path of their list."""
    if value is None:
        return ARGUMENT, []
    if not isinstance(value, Mapping):
        return ARGUMENT, _list(ARGUMENT, value, f"it must be a mapping such as {{'{CATEGORY}': [...]}}")
    for category, entries in value.items():
        if category != CATEGORY:
            raise ArgumentError(f"{ARGUMENT}.{category}", entries, f"the only category is {CATEGORY}")
    path = f"{ARGUMENT}.{CATEGORY}"
    allowed = "it must be a list of entries with `id` and `properties`"
    return path, _list(path, value.get(CATEGORY, []), allowed)


def _is_selected(path: str, entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        raise ArgumentError(path, entry, "it must be a mapping with `id` and `properties`")
    selected = entry.get("isSelected", True)
    if not isinstance(selected, bool):
        raise ArgumentError(f"{path}.isSelected", selected, "it must be True or False")
    return selected


def _properties(path: str, given: Any, operation: str) -> tuple[Property, ...]:
    """Return the selected properties."""
    known = OPERATIONS[operation]
    allowed = f"it must be a list that has any of {', '.join(known)}, each with its `values`"
    entries = _list(path, given, allowed)
    if not entries:
        raise ArgumentError(path, given, allowed)
    asked: dict[str, tuple[float, ...]] = {}
    for number, entry in enumerate(entries):
        here = f"{path}[{number}]"
        if not isinstance(entry, Mapping):
            raise ArgumentError(here, entry, "it must be a mapping with `id` and `values`")
        name = _check_id(f"{here}.id", entry.get("id"), known, f"a property of {operation}", asked)
        asked[name] = _values(f"{here}.values", entry.get("values"), known[name])
    return tuple(Property(each, asked[each]) for each in known if asked.get(each))


def _check_id(path: str, name: Any, known: Mapping[str, Any], what: str, asked: Mapping[str, Any]) -> str:
    """Return the id of an operation or of a property, which may occur once."""
    if not isinstance(name, str) or name not in known:
        raise ArgumentError(path, name, f"it must be {what}: {', '.join(known)}")
    if name in asked:
        raise ArgumentError(path, name, "it occurs twice; remove one")
    return name


def _values(path: str, given: Any, limits: tuple[float, float] | None) -> tuple[float, ...]:
    """Return the values of a property; empty if it is False."""
    if limits is None:
        allowed = "it must be a list with only True or False, such as [True]"
        values = _list(path, given, allowed)
        if len(values) != 1 or not isinstance(values[0], bool):
            raise ArgumentError(path, given, allowed)
        return (True,) if values[0] else ()
    low, high = limits
    allowed = f"it must be a list of two numbers from {low:g} to {high:g}"
    values = _list(path, given, allowed)
    if len(values) != 2 or not all(_is_number(value) and low <= value <= high for value in values):
        raise ArgumentError(path, given, allowed)
    # Adding zero turns -0.0 into 0.0, as they differ in JSON.
    least, greatest = sorted(float(value) + 0.0 for value in values)
    return least, greatest


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _list(path: str, value: Any, allowed: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ArgumentError(path, value, allowed)
    return list(value)
